"""python -m polygen.sample: which samples, which files, one line for every error."""
import errno
import json
import logging
import os
import runpy
import shutil
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fake_adapter
import tiny
from polygen import config, data, hw, sample, sample_files, sampling, tokens
from polygen.models import noise

TENSORFLOW_2 = not tf.version.VERSION.startswith('1.')


@pytest.fixture(scope='module')
def moved_run(tiny_run, tmp_path_factory):
  """The run in another folder than it was trained in."""
  path = str(tmp_path_factory.mktemp('sample') / 'moved')
  shutil.copytree(tiny_run, path)
  return path


def draw(run_path, *flags):
  """Runs the command; returns its samples, few enough to be in the picture all."""
  return sample.main(['--run_path', run_path] + [str(flag) for flag in flags]).pictured


@pytest.fixture(scope='module')
def five(moved_run, tmp_path_factory):
  """(folder, samples) of 5 samples with seed 7.

  Without top-p: tokens that this short run never saw are equally probable up to rounding, and
  where the nucleus ends among them, rounding decides.
  """
  out = str(tmp_path_factory.mktemp('sample') / 'five')
  return out, draw(moved_run, '--num-samples', 5, '--seed', 7, '--top_p', 1, '--out', out)


def test_the_files(five):
  out, samples = five
  found = tiny.files(out)
  names = ['sample_00{}.obj'.format(number) for number in range(5)]
  assert set(found) == set(names) | {'samples.json', 'samples.png'}
  assert found['samples.png'].startswith(b'\x89PNG')
  entries = json.loads(found['samples.json'].decode())
  classes = ['octahedron', 'pyramid', 'tetrahedron', 'octahedron', 'pyramid']
  for index, (entry, drawn) in enumerate(zip(entries, samples)):
    statistics = data.mesh_statistics(drawn.vertices, drawn.faces)._asdict()
    assert statistics.pop('num_vertices') == len(drawn.vertices)
    assert statistics.pop('num_faces') == len(drawn.faces)
    assert entry == dict({
        'file': names[index], 'seed': 7, 'index': index, 'class': classes[index],
        'vertices': len(drawn.vertices), 'faces': len(drawn.faces), 'tries': drawn.tries,
        'completed': drawn.completed}, **statistics)
    if drawn.faces:
      vertices, faces = data.read_obj(os.path.join(out, names[index]))
      np.testing.assert_allclose(vertices[:, [2, 0, 1]], drawn.vertices, atol=1e-6)
      assert faces == [list(face) for face in drawn.faces]
    assert drawn.face_tokens.dtype == np.int32 and drawn.face_tokens[-1] == tokens.STOP
    assert data.unflatten_faces(drawn.face_tokens) == drawn.faces
  assert len(entries) == 5 and any(drawn.faces for drawn in samples)


@pytest.mark.parametrize('mode, shards', [('off', 1), ('on', 2)])
def test_the_same_seed_gives_the_same_files_in_any_way(
    five, moved_run, tmp_path, monkeypatch, mode, shards):
  """Whatever the batch size, the number of shards and the compiler."""
  monkeypatch.setattr(sampling, 'MAX_BATCH_SIZE', 2)  # does not divide 5
  monkeypatch.setattr(hw.machine, 'num_cores', lambda: shards)
  draw(moved_run, '--num_samples', 5, '--seed', 7, '--top_p', 1, '--out', tmp_path / 'again',
       '--compile', mode)
  files = tiny.files(tmp_path / 'again')
  assert len(files) == 7 and files == tiny.files(five[0])


def test_without_a_seed_others_come(five, moved_run, tmp_path, capsys):
  samples = draw(moved_run, '--num_samples', 5, '--out', tmp_path / 'new', '--top_p', 1,
                 '--temperature', 1.5, '--top_k', 100000)
  lines = capsys.readouterr().out.splitlines()
  assert any(line.startswith('Seed: ') for line in lines)
  assert lines[-1] == '{} of 5 samples completed, in {}'.format(
      sum(drawn.completed for drawn in samples), tmp_path / 'new')
  new, old = tiny.files(tmp_path / 'new'), tiny.files(five[0])
  assert [name for name in old if name.endswith('.obj') and new[name] != old[name]]
  seeds = {sample.fresh_seed() for _ in range(5)}
  assert len(seeds) == 5 and min(seeds) >= 0
  assert 'Seed: {}'.format(json.loads(new['samples.json'].decode())[0]['seed']) in lines


def test_class_by_name_or_number_into_new_folders(five, moved_run, monkeypatch):
  flags = ['--num_samples', 2, '--seed', 7, '--top_p', 1, '--class_label']
  samples = draw(moved_run, *flags, 'pyramid')
  calls = []
  monkeypatch.setattr(
      sample, 'sample',
      lambda *arguments, **unused_options: calls.append(arguments) or drawn_samples(*samples))
  draw(moved_run, *flags, '1')
  [(run_path, num_samples, drawing, class_id, seed, *_)] = calls
  assert (run_path, num_samples, drawing.top_p, class_id, seed) == (moved_run, 2, 1, 1, 7)
  one, two = (tiny.files(os.path.join(moved_run, name)) for name in ('generated', 'generated_2'))
  assert one == two and len(one) == 4
  assert [entry['class'] for entry in json.loads(one['samples.json'].decode())] == 2 * ['pyramid']
  # Sample 1 of five was a pyramid too: weights, seed, index and class decide it.
  assert one['sample_001.obj'] == tiny.files(five[0])['sample_001.obj']


def test_finding_a_class():
  classes = ('3', 'cone', 'cube', 'x')
  assert [sample.find_class(text, classes) for text in ('cone', '1', '3', '0', 'x')] == [
      1, 1, 0, 0, 3]
  assert sample.find_class(None, classes) is None and sample.find_class(None, ()) is None
  for text in ('4', '-1', '', 'con', '²'):
    with pytest.raises(ValueError, match=r'it knows 3 \(0\), cone \(1\), cube \(2\), x \(3\)'):
      sample.find_class(text, classes)
  with pytest.raises(ValueError, match='without classes'):
    sample.find_class('0', ())


# Bad input.


@pytest.mark.parametrize('flags, words', [
    (['--class_label', 'sphere'], ['sphere', 'octahedron (0)', 'tetrahedron (2)']),
    (['--class_label', '3'], ["'3'", 'octahedron (0)']),
    (['--top_p', '2'], ['top_p', '2']), (['--top_p', '0'], ['top_p', '0']),
    (['--top_p', 'x'], ['--top_p', "'x'"]), (['--temperature', '0'], ['temperature', 'top_k 1']),
    (['--temperature', 'nan'], ['temperature']), (['--top_k', '-1'], ['top_k', '-1']),
    (['--num_samples', '0'], ['--num_samples', "'0'"]), (['--seed', '-1'], ['--seed', "'-1'"]),
    (['--device', 'abacus'], ['--device', 'cpu']), (['--colour', 'red'], ['--colour'])])
def test_bad_flags(tiny_run, capsys, flags, words):
  before = tiny.files(tiny_run)
  line = tiny.error_of(sample.main, ['--run_path', tiny_run] + flags, capsys)
  assert all(word in line for word in words), line
  assert tiny.files(tiny_run) == before


def test_samples_are_not_overwritten(five, moved_run, capsys):
  before = tiny.files(five[0])
  line = tiny.error_of(sample.main, ['--run_path', moved_run, '--out', five[0]], capsys)
  assert five[0] in line and 'another folder' in line and tiny.files(five[0]) == before


@pytest.mark.parametrize('name', ['samples.png', 'sample_000.obj', 'notes.txt'])
def test_files_of_others_are_not_overwritten(moved_run, tmp_path, capsys, name):
  (tmp_path / name).write_text('mine')
  line = tiny.error_of(sample.main, ['--run_path', moved_run, '--out', tmp_path], capsys)
  assert '{} is not empty'.format(tmp_path) in line
  assert tiny.files(tmp_path) == {name: b'mine'}


def test_an_empty_folder_is_filled(tmp_path):
  with sample_files.SampleFiles(str(tmp_path), 0):
    pass
  assert tiny.files(tmp_path) == {'samples.json': b'[]\n'}
  with pytest.raises(FileExistsError):
    sample_files.SampleFiles(str(tmp_path), 0)


def sample_of(index, completed=True, tries=1):
  """A Sample without faces, its vertices all of the value `index`."""
  return sampling.Sample(index, None, tries, completed, np.full((1, 3), index, np.float32), [],
                         np.zeros(1, np.int32))


def test_the_list_is_whole_after_every_sample_and_sorted_at_the_end(tmp_path):
  def listed():
    return [entry['index'] for entry in json.loads((tmp_path / 'samples.json').read_text())]

  order = [3, 0, 12, 1]
  with sample_files.SampleFiles(str(tmp_path), 0) as files:
    for count, index in enumerate(order, 1):
      files.write(sample_of(index))
      assert listed() == order[:count]
  assert listed() == sorted(order)
  assert (tmp_path / 'sample_012.obj').read_text().startswith('v ')


def drawn_samples(*samples):
  """A generator, as `sample.sample` is one."""
  yield from samples


class Interrupted(Exception):
  """Stands for Ctrl-C, which would end pytest."""


def test_an_interrupted_command_keeps_what_came_before(five, moved_run, tmp_path, monkeypatch):
  def two_then_stop(*unused_arguments, **unused_options):
    yield from five[1][1::-1]  # sample 1, then sample 0
    raise Interrupted

  monkeypatch.setattr(sample, 'sample', two_then_stop)
  with pytest.raises(Interrupted):
    draw(moved_run, '--num_samples', 5, '--out', tmp_path / 'out')
  found = tiny.files(tmp_path / 'out')
  assert sorted(found) == ['sample_000.obj', 'sample_001.obj', 'samples.json']
  assert [entry['index'] for entry in json.loads(found['samples.json'].decode())] == [0, 1]


def test_a_command_that_draws_nothing_leaves_an_empty_folder(moved_run, tmp_path, monkeypatch):
  def stop_at_once(*unused_arguments, **unused_options):
    raise Interrupted
    yield

  monkeypatch.setattr(sample, 'sample', stop_at_once)
  with pytest.raises(Interrupted):
    draw(moved_run, '--out', tmp_path / 'out')
  assert os.listdir(str(tmp_path / 'out')) == []


@pytest.mark.parametrize('owns_process, mode, expected', [
    (True, 'off', 2), (True, 'on', 1), (False, 'off', 1)])
def test_batches_side_by_side_share_the_cores_of_a_command(
    moved_run, monkeypatch, owns_process, mode, expected):
  asked = []

  def session_config(unused_self, side_by_side=1):
    asked.append(side_by_side)
    raise Interrupted

  monkeypatch.setattr(hw.machine, 'num_cores', lambda: 2)
  monkeypatch.setattr(hw.Machine, 'session_config', session_config)
  with pytest.raises(Interrupted):
    next(sample.sample(moved_run, 4, machine=hw.Machine(hw.Device('cpu', ''), hw.parse_precision(
        'float32', hw.Device('cpu', ''))), compile_mode=mode, owns_process=owns_process))
  assert asked == [expected]


class FakeSession:
  """Stands for a session whose model completes a sample at a try that depends on its number."""

  def __init__(self, completing_try):
    self._completing_try, self.runs = completing_try, []

  def run(self, unused_outputs, feed):
    draws = feed['draws']
    self.runs.append(len({draw.index for draw in draws}))
    return {
        'completed': [draw.attempt + 1 >= self._completing_try(draw.index) for draw in draws],
        'vertices': [np.full((4, 3), draw.attempt, np.float32) for draw in draws],
        'num_vertices': [4] * len(draws), 'faces': [np.zeros(3, np.int32)] * len(draws),
        'num_face_indices': [1] * len(draws)}


@pytest.mark.parametrize('batch_size, shards', [(1, 1), (3, 1), (4, 2), (10, 3)])
def test_incomplete_samples_are_drawn_again(batch_size, shards, monkeypatch):
  """Sample i completes at its try i % 5 + 1; four tries are allowed."""
  sampler = sampling.Sampler.__new__(sampling.Sampler)
  sampler._batch_size, sampler._outputs, sampler._num_classes = batch_size, None, 0
  sampler._given = None
  monkeypatch.setattr(sampling.Sampler, '_feed', lambda self, seed, draws: {
      'draws': draws + draws[-1:] * (self._batch_size - len(draws))})
  session = FakeSession(lambda index: index % 5 + 1)
  samples = list(sampler.sample(session, 10, 0, max_tries=4, shards=shards))
  assert sorted(drawn.index for drawn in samples) == list(range(10))
  for drawn in samples:
    assert drawn.completed == (drawn.index % 5 < 4)
    assert drawn.tries == min(drawn.index % 5 + 1, 4)
    assert (drawn.vertices == drawn.tries - 1).all()
  assert max(session.runs) == min(batch_size, 10)


def test_tries_have_noise_of_their_own():
  first, second, of_another = [
      noise.uniform_noise(3, [5, index], 4, 1, [attempt, 0])
      for index, attempt in ((6, 0), (6, 1), (7, 0))]
  assert (first[0] != second[0]).all() and (first[1] == second[1]).all()
  assert (first[0] == of_another[0]).all() and (first[1] != of_another[1]).all()
  np.testing.assert_array_equal(first, noise.uniform_noise(3, [5, 6], 4, 1))


def test_the_closing_lines_tell_what_never_completed(five, moved_run, tmp_path, capsys,
                                                     monkeypatch):
  sheets = []
  monkeypatch.setattr(data, 'write_contact_sheet', lambda path, rows: sheets.extend(rows))
  monkeypatch.setattr(sample_files, 'MAX_PICTURED_SAMPLES', 2)
  monkeypatch.setattr(sample, 'sample', lambda *unused_arguments, **unused_options: drawn_samples(
      sample_of(0), sample_of(2), sample_of(1, False, 7)))
  draw(moved_run, '--num_samples', 3, '--max_tries', 7, '--out', tmp_path / 'out')
  lines = capsys.readouterr().out.splitlines()
  assert lines[-2:] == ['1 did not complete in 7 tries each',
                        '2 of 3 samples completed, in {}'.format(tmp_path / 'out')]
  assert any(line.startswith('Tokens/s ') for line in lines) and 'Completed 2' in lines
  [(title, meshes)] = sheets
  assert title == 'Samples (first 2 of 3; 2 completed)' and len(meshes) == 2


@pytest.mark.parametrize('mode, device, count, hidden_size, expected', [
    ('on', 'cpu', 1, 512, True), ('off', 'cpu', 10 ** 6, 16, False), ('auto', 'cpu', 8, 16, False),
    ('auto', 'cpu', 10 ** 6, 16, True), ('auto', 'cpu', 10 ** 6, 512, TENSORFLOW_2),
    ('off', 'npu', 8, 16, False), ('auto', 'npu', 10 ** 6, 16, False)])
def test_what_is_compiled(mode, device, count, hidden_size, expected):
  with fake_adapter.installed():
    machine = hw.choose_machine(device)
  run_config = config.replace_fields(
      tiny.run_config(), {'vertex_model.decoder_config.hidden_size': hidden_size})
  assert sampling.compiles(mode, machine, count, run_config) == expected
  long = config.replace_fields(run_config, {'face_model.max_seq_length': 10 ** 5})
  assert sampling.compiles(mode, machine, count, long) == (mode == 'on')


def test_an_unknown_mode_is_an_error():
  with pytest.raises(ValueError, match="'of'.*auto, on, off"):
    sampling.compiles('of', hw.choose_machine('cpu'), 8, tiny.run_config())


def test_few_samples_are_not_worth_a_compilation():
  machine, run_config = hw.choose_machine('cpu'), tiny.run_config()
  assert [sampling.compiles('auto', machine, sampling.COMPILED_JOBS.num_samples + more, run_config)
          for more in (-1, 0)] == [False, True]


def test_an_npu_compiles_by_itself(moved_run, tmp_path, capsys):
  with fake_adapter.installed():
    line = tiny.error_of(sample.main, [
        '--run_path', moved_run, '--device', 'npu', '--compile', 'on', '--out', tmp_path / 'out'],
                         capsys)
  assert 'the NPU compiles every graph itself' in line and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('writer', ['write_mesh', 'write_contact_sheet'])
def test_a_full_disk_is_one_line(five, moved_run, tmp_path, capsys, monkeypatch, writer):
  def fail(*unused_arguments):
    raise OSError(errno.ENOSPC, 'No space left on device')
  monkeypatch.setattr(data, writer, fail)
  monkeypatch.setattr(sample, 'sample', lambda *unused_arguments, **unused_options: drawn_samples(
      *five[1][:1]))
  flags = ['--run_path', moved_run, '--num_samples', 1, '--out', tmp_path / 'out']
  assert 'No space left' in tiny.error_of(sample.main, flags, capsys)


@pytest.mark.parametrize('count, title, pictured', [
    (2, 'Samples (1 of 2 completed)', 2), (64, 'Samples (63 of 64 completed)', 64),
    (1000, 'Samples (first 64 of 1000; 999 completed)', 64)])
def test_a_picture_shows_the_first_samples(monkeypatch, count, title, pictured):
  sheets = []
  monkeypatch.setattr(data, 'write_contact_sheet', lambda path, rows: sheets.extend(rows))
  sample_files.write_picture([
      sample_of(i) for i in range(count)], 'unused.png', count - 1, count)
  (found, meshes), = sheets
  assert found == title
  assert [mesh['vertices'][0, 0] for mesh in meshes] == list(range(pictured))


def test_an_output_folder_that_cannot_be_made(moved_run, tmp_path, capsys):
  (tmp_path / 'file').write_text('')
  for name in ('file', 'file/below'):
    line = tiny.error_of(
        sample.main, ['--run_path', moved_run, '--out', tmp_path / name], capsys)
    assert str(tmp_path / name) in line


def test_no_run_folder(tiny_run, tmp_path, capsys):
  for path in (tmp_path, tmp_path / 'none'):
    line = tiny.error_of(sample.main, ['--run_path', path], capsys)
    assert '{} is not a run folder'.format(path) in line and 'polygen.train' in line
  shutil.copy(os.path.join(tiny_run, 'config.json'), str(tmp_path))
  line = tiny.error_of(sample.main, ['--run_path', tmp_path], capsys)
  assert '{} has no checkpoints'.format(tmp_path) in line
  (tmp_path / 'config.json').write_text('{}')
  line = tiny.error_of(sample.main, ['--run_path', tmp_path], capsys)
  assert "config.json: key 'face_model' is missing" in line
  assert os.listdir(str(tmp_path)) == ['config.json']


def test_a_damaged_checkpoint(tiny_run, tmp_path, capsys):
  path = str(tmp_path / 'run')
  shutil.copytree(tiny_run, path)
  for suffix in ('.index', '.data-00000-of-00001'):
    with open(os.path.join(path, 'checkpoints', 'model-60' + suffix), 'wb') as file:
      file.write(b'not a checkpoint')
  line = tiny.error_of(sample.main, ['--run_path', path, '--out', tmp_path / 'out'], capsys)
  assert 'model-60 cannot be restored' in line


@pytest.mark.filterwarnings('ignore:.*found in sys.modules:RuntimeWarning')
def test_exit_code_2_and_one_line_on_standard_error(tmp_path, capsys, monkeypatch):
  """As `python -m polygen.sample`, in this process; with TensorFlow's log level as it was after."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(sys, 'argv', ['polygen.sample'])
  monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', '1')
  logger = logging.getLogger('tensorflow')
  monkeypatch.setattr(logger, 'level', logger.level)
  with pytest.raises(SystemExit) as caught:
    runpy.run_module('polygen.sample', run_name='__main__')
  printed = capsys.readouterr()
  assert caught.value.code == 2 and printed.out == ''
  assert printed.err == (
      'polygen.sample: error: output is not a run folder: it has no config.json; train one with '
      'python -m polygen.train --output_path output\n')
  assert not os.listdir(str(tmp_path))


def test_pictured_training_meshes_come_from_all_over():
  assert sample_files._spread(list('abcd')) == list('abcd')
  assert sample_files._spread(range(770)) == [0, 96, 192, 288, 385, 481, 577, 673]
