"""python -m polygen.train: what it writes and prints, how runs go on, one line for every error."""
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

import tiny
from checkout import ROOT
from polygen import checkpoint, config, data, train
from polygen.training import settings


@pytest.fixture
def run_copy(tiny_run, tmp_path):
  shutil.copytree(tiny_run, str(tmp_path / 'copy'))
  return str(tmp_path / 'copy')


def test_the_files_of_a_run(tiny_training):
  path, _, result = tiny_training
  found = tiny.files(path)
  samples = ['samples/step_000060/sample_00{}.obj'.format(number) for number in range(2)]
  assert set(samples) | {
      'config.json', 'checkpoints/model-60.index', 'checkpoints/model-60.data-00000-of-00001',
      'samples/step_000060/samples.json', 'samples/step_000060.png'} <= set(found)
  assert [name for name in found if name.startswith('summaries/events')]
  assert found['samples/step_000060.png'].startswith(b'\x89PNG')
  entries = json.loads(found['samples/step_000060/samples.json'].decode())
  assert [entry['file'] for entry in entries] == [os.path.basename(name) for name in samples]
  assert [entry['class'] for entry in entries] == ['octahedron', 'pyramid']
  run_config = checkpoint.RunFolder(path).read_config()
  assert run_config.classes == ('octahedron', 'pyramid', 'tetrahedron')
  assert run_config.vertex_model.num_classes == 3 and run_config.training.training_steps == 60
  assert result.step == 60 and result.output_path == path


def test_the_lines_that_scripts_grep(tiny_training):
  _, text, result = tiny_training
  number = r'[0-9.]+(e[+-][0-9]+)?$'
  losses = result.evaluation.per_batch(2)
  for start, field, value in (
      ('Loss (vertices) ', 3, losses['vertex']), ('Loss (faces) ', 3, losses['face']),
      ('StepTime: ', 2, result.step_time), ('TimetoTrain: ', 2, result.total_time)):
    lines = [line for line in text.splitlines() if line.startswith(start)]
    assert lines and all(re.match(number, line.split(' ')[field - 1]) for line in lines)
    assert all(len(line.split(' ')) == field for line in lines)
    assert float(lines[-1].split(' ')[field - 1]) == pytest.approx(value, rel=1e-3)
  assert 'Samples completed: {} of 2'.format(result.num_completed) in text
  assert '\r' not in text


def test_a_finished_run_says_how_to_extend_it(tiny_run, tiny_meshes, capsys):
  before = tiny.files(tiny_run)
  assert train.main(tiny.train_flags(tiny_meshes, tiny_run, '--training_steps', '60')) is None
  printed = capsys.readouterr().out
  assert printed.count('\n') == 1 and 'finished run of 60 steps' in printed
  assert '--training_steps 120 extends it' in printed and '--output_path' in printed
  assert tiny.files(tiny_run) == before


def test_a_picture_that_is_there_stays(tmp_path, monkeypatch):
  pictures = []
  monkeypatch.setattr(data, 'write_contact_sheet', lambda path, rows: pictures.append(path))
  (tmp_path / 'samples').mkdir()
  (tmp_path / 'samples' / 'step_000003.png').write_text('mine')
  run = types.SimpleNamespace(
      folder=checkpoint.RunFolder(str(tmp_path)), config=tiny.run_config())
  writer = train._SampleWriter(run, {}, types.SimpleNamespace(meshes=[]), False)
  writer.num_samples = 1
  writer._sampler = types.SimpleNamespace(sample=lambda *unused_arguments: [])
  writer.draw(None, 3, lambda line: None)
  assert pictures == [str(tmp_path / 'samples' / 'step_000003_2.png')]


def test_extending_without_matplotlib(run_copy, tiny_meshes, capsys, monkeypatch):
  """The run goes on, says so, overwrites nothing, and says how to get a picture."""
  for name in [name for name in sys.modules if name.split('.')[0] == 'matplotlib'] + ['matplotlib']:
    monkeypatch.setitem(sys.modules, name, None)
  before = tiny.files(run_copy)
  result = train.main(tiny.train_flags(tiny_meshes, run_copy, '--training_steps', '62'))
  lines = capsys.readouterr().out.splitlines()
  assert 'Continuing {} from step 60'.format(run_copy) in lines
  assert len([line for line in lines if line.startswith('No picture: ')]) == 1
  assert any('pip install "polygen[plot]"' in line for line in lines)
  after = tiny.files(run_copy)
  assert result.step == 62 and 'checkpoints/model-62.index' in after
  assert 'samples/step_000062/sample_000.obj' in after and 'samples/step_000062.png' not in after
  state = {'checkpoints/checkpoint'}  # TensorFlow's list of the checkpoints that stay
  moved = {'config.json': 'config_before.json'}
  for name, content in before.items():
    if name not in state:
      assert after[moved.get(name, name)] == content, name


@pytest.mark.parametrize('change, words', [
    (['--hidden_size', '32'], 'vertex_model.decoder_config.hidden_size: 16 -> 32'),
    (['--seed', '1'], 'training.seed: 0 -> 1'),
    (['--batch_size', '3'], 'training.batch_size: 2 -> 3'),
    (['--condition', 'none'], 'classes: octahedron, pyramid, tetrahedron -> none'),
    (['--data_path', str(ROOT / 'meshes'), '--max_num_vertices', '64', '--max_face_tokens', '320'],
     'classes: octahedron, pyramid, tetrahedron -> cone, cube, cylinder, icosphere')])
def test_a_folder_of_another_run_is_refused(tiny_run, tiny_meshes, capsys, change, words):
  before = tiny.files(tiny_run)
  line = tiny.error_of(
      train.main, tiny.train_flags(tiny_meshes, tiny_run, '--training_steps', '90', *change),
      capsys)
  assert words in line and '--output_path' in line and tiny_run in line
  assert tiny.files(tiny_run) == before


# Bad input.


@pytest.mark.parametrize('flags, words', [
    (['--batch_size', '0'], ['batch_size', 'at least 1', '0']),
    (['--batch_size', 'four'], ['--batch_size', "'four'"]),
    (['--learning_rate', '-1'], ['learning_rate', 'positive']),
    (['--seed', '-1'], ['seed', '-1']),
    (['--hidden_size', '15'], ['hidden_size 15', 'num_heads 2']),
    (['--dropout_rate', '1'], ['dropout_rate', '1']),
    (['--quantization_bits', '60'], ['quantization_bits', '60']),
    (['--device', 'abacus'], ['--device', 'abacus', 'cpu']),
    (['--precision_mode', 'exact'], ['exact', 'mix']),
    (['--condition', 'colour'], ['--condition', 'colour', 'class']),
    (['--preset', 'huge'], ['--preset', 'huge', 'toy']),
    (['--no_such_flag', '1'], ['no_such_flag']),
    (['stray'], ['stray']),
    (['--max_num_vertices', '5'],
     ['octahedron.obj', '6 vertices', 'max_num_vertices = 5', '--max_num_vertices 6']),
    (['--max_face_tokens', '31'],
     ['octahedron.obj', '32 face tokens', 'max_face_tokens = 31', '--max_face_tokens 32']),
    (['--data_path', 'no/such/folder'], ['no/such/folder', 'no such data folder']),
    (['--config', 'no/such/file.json'], ['no/such/file.json', 'No such file'])])
def test_bad_flags(tiny_meshes, tmp_path, capsys, flags, words):
  out = tmp_path / 'out'
  line = tiny.error_of(train.main, tiny.train_flags(tiny_meshes, out, *flags), capsys)
  assert all(word in line for word in words), line
  assert not out.exists()


def test_a_broken_mesh(tmp_path, capsys):
  (tmp_path / 'meshes').mkdir()
  line = tiny.error_of(
      train.main, tiny.train_flags(tmp_path / 'meshes', tmp_path / 'out'), capsys)
  assert str(tmp_path / 'meshes') in line and 'no mesh file' in line
  (tmp_path / 'meshes' / 'bad.obj').write_text('v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n')
  line = tiny.error_of(
      train.main, tiny.train_flags(tmp_path / 'meshes', tmp_path / 'out'), capsys)
  assert 'bad.obj, line 4' in line and '9' in line and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('content, words', [
    ('{"training": ', 'not valid JSON'), ('[1]', 'expected an object'),
    ('{"trainin": {}}', "unknown key 'trainin'"),
    ('{"training": {"batch_size": "4"}}', 'training.batch_size: expected int'),
    ('{"training": {"adam_beta1": 2}}', 'adam_beta1')])
def test_a_bad_config_file(tiny_meshes, tmp_path, capsys, content, words):
  path = tmp_path / 'settings.json'
  path.write_text(content)
  line = tiny.error_of(
      train.main, tiny.train_flags(tiny_meshes, tmp_path / 'out', '--config', path), capsys)
  assert line.startswith(str(path)) and words in line and not (tmp_path / 'out').exists()


def test_an_output_path_that_cannot_be_written(tiny_meshes, tmp_path, capsys):
  (tmp_path / 'file').write_text('')
  for path in ('file', 'file/below'):
    line = tiny.error_of(train.main, tiny.train_flags(tiny_meshes, tmp_path / path), capsys)
    assert str(tmp_path / path) in line


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_read_only_output_path(tiny_meshes, tmp_path, capsys):
  (tmp_path / 'closed').mkdir(mode=0o500)
  line = tiny.error_of(train.main, tiny.train_flags(tiny_meshes, tmp_path / 'closed/run'), capsys)
  assert 'Permission denied' in line


def test_a_disk_that_fills_up(tiny_meshes, tmp_path, capsys, monkeypatch):
  def full(*unused_arguments, **unused_options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'samples/sample_000.obj')

  monkeypatch.setattr(train, 'train', full)
  line = tiny.error_of(train.main, tiny.train_flags(tiny_meshes, tmp_path / 'run'), capsys)
  assert line == 'samples/sample_000.obj: No space left on device'


def test_a_damaged_checkpoint(run_copy, tiny_meshes, capsys):
  path = os.path.join(run_copy, 'checkpoints', 'model-60.data-00000-of-00001')
  with open(path, 'r+b') as file:
    file.truncate(1000)
  line = tiny.error_of(
      train.main, tiny.train_flags(tiny_meshes, run_copy, '--training_steps', '61'), capsys)
  assert 'checkpoints' in line and 'model-60 cannot be restored' in line


def test_exit_code_2_and_one_line_on_standard_error(tmp_path):
  """TensorFlow may warn in lines of its own, which start with a date or 'WARNING'."""
  done = subprocess.run(
      [sys.executable, '-m', 'polygen.train', '--datapath', 'nowhere'], cwd=str(tmp_path),
      env=dict(os.environ, PYTHONPATH=str(ROOT)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      universal_newlines=True)
  assert done.returncode == 2 and done.stdout == ''
  assert done.stderr.splitlines()[-1:] == [
      'polygen.train: error: nowhere: no such data folder; give one that holds mesh files']
  assert 'Traceback' not in done.stderr and not os.listdir(str(tmp_path))


# Classes.


def mesh_set(num_meshes, flat=True):
  names = tuple('{:03d}'.format(number) for number in range(num_meshes))
  return data.MeshSet((), np.arange(num_meshes), names, names, flat, '')


def test_many_flat_files_have_no_classes_unless_asked(capsys):
  toy = config.PRESETS['toy']
  few = settings.with_classes(toy, mesh_set(55), False)
  assert len(few.classes) == few.vertex_model.num_classes == 55 and capsys.readouterr().out == ''
  many = settings.with_classes(toy, mesh_set(56), False)
  assert many.classes == () and not many.vertex_model.class_conditional
  printed = capsys.readouterr().out
  assert printed.count('\n') == 1 and '--condition class' in printed
  for run_config in (settings.with_classes(toy, mesh_set(56), True),
                     settings.with_classes(toy, mesh_set(56, flat=False), False)):
    assert run_config.vertex_model.num_classes == 56 and run_config.vertex_model.class_conditional
  assert capsys.readouterr().out == ''


def test_a_run_without_classes_keeps_none_of_a_config_file():
  stored = config.replace_fields(config.PRESETS['toy'], {
      'classes': ('a', 'b'), 'vertex_model.class_conditional': False})
  assert settings.with_classes(stored, mesh_set(2), False).classes == ()
