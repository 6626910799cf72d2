"""Laws of preparation: every file is kept or named, and the arrays depend on the files alone."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import broken_meshes
import checkout
import tiny
from benchmarks import objects
from polygen import cli, data, prepare
from polygen.data.preparation import journal, labels, one_file, pool, store, tree
from polygen.data.preparation import run as run_module

SPLITS = ('train', 'validation', 'test')


def report_of(folder):
  with open(os.path.join(str(folder), 'report.json'), encoding='utf-8') as file:
    return json.load(file)


def sets_of(folder):
  """{split: MeshSet}."""
  opened = data.open_prepared(str(folder))
  return {split: getattr(opened, split) for split in SPLITS}


@pytest.fixture(scope='module')
def tree_of_meshes(tmp_path_factory):
  """(folder, {name: kind} of the broken files), 160 files; not to be changed."""
  folder = tmp_path_factory.mktemp('prepare') / 'meshes'
  return str(folder), broken_meshes.write_tree(str(folder), 160, 0.2)


@pytest.fixture(scope='module')
def prepared(tree_of_meshes, tmp_path_factory):
  """The prepared folder of `tree_of_meshes`; not to be changed."""
  out = tmp_path_factory.mktemp('prepare') / 'out'
  data.prepare(tree_of_meshes[0], str(out), broken_meshes.settings())
  return str(out)


# What becomes of the files.


def check_report(report, broken, num_files):
  assert len(report['files']) == num_files
  skipped = {entry['file']: entry for entry in report['files'] if entry['status'] == 'skipped'}
  assert set(skipped) == set(broken) and len(broken) >= len(broken_meshes.BROKEN)
  for name, kind in broken.items():
    _, reason, part = broken_meshes.BROKEN[kind]
    assert skipped[name]['reason'] == reason, (kind, skipped[name])
    assert part in skipped[name]['message'] and '\n' not in skipped[name]['message']
  assert report['summary']['kept'] == num_files - len(broken)
  assert sum(report['summary']['skipped'].values()) == len(broken)


def test_every_broken_file_is_named_with_its_reason(prepared, tree_of_meshes):
  check_report(report_of(prepared), tree_of_meshes[1], 160)


def test_every_kept_file_is_an_example_of_its_class_and_split(prepared, tree_of_meshes):
  sets, found = sets_of(prepared), {split: [] for split in SPLITS}
  assert sets['train'].classes == tuple(sorted(objects.CLASSES))
  for entry in report_of(prepared)['files']:
    if entry['status'] == 'skipped':
      continue
    mesh_set, index = sets[entry['split']], entry['first_example']
    found[entry['split']].append(index)
    mesh = data.load_process_mesh(os.path.join(tree_of_meshes[0], entry['file']))
    for key in ('vertices', 'faces'):
      assert mesh_set.meshes[index][key].dtype == np.int32
      np.testing.assert_array_equal(mesh_set.meshes[index][key], mesh[key])
    assert (entry['vertices'], entry['face_tokens']) == (
        len(mesh['vertices']), len(mesh['faces'])) == tuple(mesh_set.lengths[index])
    assert mesh_set.classes[mesh_set.labels[index]] == entry['class'] == (
        entry['file'].split('/')[0])
  for split, indices in found.items():
    assert indices == list(range(len(sets[split].meshes))) and len(indices) > 3
  assert len(found['train']) > 80


def test_prepared_meshes_are_a_sequence_on_disk(prepared):
  meshes = sets_of(prepared)['train'].meshes
  assert isinstance(meshes._vertices, np.memmap) and meshes._vertices.dtype == np.uint8
  assert meshes._faces.dtype == np.uint8 and len(list(meshes)) == len(meshes) > 0
  np.testing.assert_array_equal(meshes[-1]['faces'], meshes[len(meshes) - 1]['faces'])
  assert len(meshes[:3]) == 3
  with pytest.raises(IndexError):
    meshes[len(meshes)]


def test_larger_limits_take_wider_integers(tmp_path):
  objects.write_objects(str(tmp_path / 'in'), 6)
  data.prepare(str(tmp_path / 'in'), str(tmp_path / 'out'), data.PrepareSettings(
      quantization_bits=12, split=(0, 0, 1)))
  sets = sets_of(tmp_path / 'out')
  assert len(sets['train'].meshes) == 0 and len(sets['test'].meshes) == 6
  assert sets['test'].meshes._vertices.dtype == sets['test'].meshes._faces.dtype == np.uint16
  assert max(mesh['vertices'].max() for mesh in sets['test'].meshes) > 255


@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() != 0,
                    reason='only root may become a user without permissions')
def test_files_and_folders_without_permission_are_named(tmp_path):
  objects.write_objects(str(tmp_path / 'in'), 12)
  locked = tmp_path / 'in' / 'gear' / '00001.obj'
  os.chmod(str(locked), 0)
  os.chmod(str(tmp_path / 'in' / 'table'), 0)
  os.chmod(str(tmp_path), 0o777)
  for folder in tmp_path.parents:
    if os.stat(str(folder)).st_uid == 0 and str(folder).startswith('/tmp/'):
      os.chmod(str(folder), 0o755)
  # Once before, so that nothing is imported later on, from where that user may not read.
  code = ('import os, sys; sys.path.insert(0, {!r}); from polygen import data; '
          'data.prepare({!r}, {!r}); os.setuid(65534); data.prepare({!r}, {!r})').format(
              str(checkout.ROOT), *(str(tmp_path / name) for name in ('in', 'warm', 'in', 'out')))
  subprocess.run([sys.executable, '-c', code], check=True, cwd='/')
  skipped = {entry['file']: entry for entry in report_of(tmp_path / 'out')['files']
             if entry['status'] == 'skipped'}
  assert set(skipped) == {'gear/00001.obj', 'table'}
  assert all(entry['reason'] == 'not readable' and 'ermission denied' in entry['message']
             for entry in skipped.values())
  os.chmod(str(tmp_path / 'in' / 'table'), 0o755)


def test_a_fault_of_ours_is_a_reason_not_an_end(monkeypatch, tmp_path):
  (tmp_path / 'a.obj').write_bytes(broken_meshes.TRIANGLE)

  def failing(*unused):
    raise RuntimeError('a fault')

  monkeypatch.setattr(one_file.transforms, 'process_mesh', failing)
  found = one_file.prepare_file(str(tmp_path / 'a.obj'), data.PrepareSettings())
  assert (found.reason, found.message) == ('unexpected error', 'RuntimeError: a fault')
  for error, reason in ((MemoryError(), 'out of memory'), (OSError(5, 'I/O'), 'not readable')):
    monkeypatch.setattr(one_file.transforms, 'process_mesh',
                        lambda *unused, error=error: (_ for _ in ()).throw(error))
    assert one_file.prepare_file(str(tmp_path / 'a.obj'), data.PrepareSettings()).reason == reason


# The tree.


def test_links_are_followed_but_not_in_circles(tmp_path):
  root = tmp_path / 'in'
  deep = root.joinpath(*'abcdefgh')
  deep.mkdir(parents=True)
  (deep / 'x.OBJ').write_bytes(b'')
  (deep / 'notes.txt').write_bytes(b'')
  (root / '.hidden').mkdir()
  (root / '.hidden' / 'y.obj').write_bytes(b'')
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'z.ply').write_bytes(b'')
  os.symlink(str(tmp_path / 'other'), str(root / 'linked'))
  os.symlink(str(root), str(deep / 'up'))
  os.symlink(str(tmp_path / 'other'), str(root / 'linked_again'))
  os.symlink(str(root / 'a'), str(root / '0'))
  os.symlink('self.obj', str(root / 'self.obj'))
  os.symlink('nowhere', str(root / 'broken.stl'))
  names = [file.name for file in tree.mesh_files(str(root))]
  assert names == ['a/b/c/d/e/f/g/h/x.OBJ', 'broken.stl', 'linked/z.ply', 'self.obj']
  for name in ('self.obj', 'broken.stl'):
    assert one_file.prepare_file(str(root / name), data.PrepareSettings()).reason == 'not readable'
  os.mkfifo(str(root / 'pipe.obj'))
  assert one_file.prepare_file(str(root / 'pipe.obj'), data.PrepareSettings()).message == (
      'this is not a regular file')


def test_classes_of_shapenet_are_those_of_the_published_weights(tmp_path):
  assert len(labels.SHAPENET_SYNSETS) == 55 == len(set(labels.SHAPENET_SYNSETS.values()))
  for number, synset in enumerate(('04379243', '03001627')):
    folder = tmp_path / 'in' / 'core' / synset / 'model{}'.format(number) / 'models'
    folder.mkdir(parents=True)
    (folder / 'model_normalized.obj').write_bytes(broken_meshes.TRIANGLE)
    (folder.parent / 'part.obj').write_bytes(broken_meshes.TRIANGLE)
  data.prepare(str(tmp_path / 'in'), str(tmp_path / 'out'),
               data.PrepareSettings(split=(1., 0., 0.)))
  found = sets_of(tmp_path / 'out')['train']
  assert len(found.classes) == 55
  assert found.classes[49] == 'table' and found.classes[0] == 'airplane'
  assert found.labels.tolist() == [18, 18, 49, 49] and found.classes[18] == 'chair'


def test_classes_from_folders():
  assert labels.label_of('chair/old/a.obj') == 'chair' and labels.label_of('a.b.obj') == 'a.b'
  assert labels.label_of('02691156/x/model.obj') == '02691156'
  assert labels.label_of('20261122/a/b.obj') == '20261122'
  assert labels.label_of('a/b.obj', '20261122') == 'a'
  assert labels.label_of('m/models/model_normalized.obj', '04379243') == '04379243'
  assert labels.label_of('m/models/model_normalized.obj', '02834778') == '02834778'
  names, ids = labels.class_ids({'02834778', '02691156', 'readme'})
  assert len(names) == 57 and (ids['02691156'], ids['02834778'], ids['readme']) == (0, 55, 56)
  assert names[0] == 'airplane' and names[55:] == ['02834778', 'readme']
  assert labels.class_ids({'b', 'a'}) == (['a', 'b'], {'a': 0, 'b': 1})


# The split.


def test_a_content_stays_in_its_split(prepared, tree_of_meshes, tmp_path):
  """Other files, another name, another seed."""
  splits = {entry['file']: entry['split'] for entry in report_of(prepared)['files']
            if entry['status'] == 'kept'}
  few = sorted(splits)[::3]
  for name in few:
    target = tmp_path / 'in' / ('renamed_' + name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(os.path.join(tree_of_meshes[0], name), str(target))
  found = []
  for seed in (0, 1):
    out = str(tmp_path / str(seed))
    data.prepare(str(tmp_path / 'in'), out, broken_meshes.settings(seed=seed))
    found.append({entry['file'][len('renamed_'):]: entry['split']
                  for entry in report_of(out)['files']})
  assert found[0] == {name: splits[name] for name in few} and len(few) > 40
  assert found[1].keys() == found[0].keys() and found[1] != found[0]


def test_shares_of_the_split():
  rng = np.random.default_rng(0)
  counts = dict.fromkeys(SPLITS, 0)
  for _ in range(4000):
    counts[one_file.split_of(rng.bytes(32), (0.7, 0.1, 0.2))] += 1
  assert [counts[split] / 4000 for split in SPLITS] == pytest.approx([0.7, 0.1, 0.2], abs=0.03)
  assert one_file.split_of(b'\xff' * 32, (0.5, 0.4999999, 0.)) == 'validation'


# Interrupted, parallel, repeated.


class Stop(Exception):
  pass


@pytest.mark.parametrize('stops', [[1], [60, 60, 159]])
def test_an_interrupted_preparation_ends_with_the_same_bytes(
    prepared, tree_of_meshes, tmp_path, stops):
  worked = []

  def watched(stop):
    def on_file(done, total, unused_skipped):
      worked.append(done)
      assert total == 160
      if done == stop:
        raise Stop
    return on_file

  out = str(tmp_path / 'out')
  for stop in stops:
    with pytest.raises(Stop):
      data.prepare(tree_of_meshes[0], out, broken_meshes.settings(), on_file=watched(stop))
    assert not data.is_prepared(out)
  data.prepare(tree_of_meshes[0], out, broken_meshes.settings(), on_file=watched(None))
  assert tiny.files(out) == tiny.files(prepared)
  # Done once each; every start shows what was done before.
  assert len(worked) == 160 + len(stops) + 1


def test_several_processes_write_the_same_bytes(prepared, tree_of_meshes, tmp_path):
  data.prepare(tree_of_meshes[0], str(tmp_path / 'out'), broken_meshes.settings(), workers=3)
  assert tiny.files(tmp_path / 'out') == tiny.files(prepared)


def test_a_killed_command_ends_with_the_same_bytes(prepared, tree_of_meshes, tmp_path):
  kill_and_repeat(tree_of_meshes[0], tmp_path / 'out', broken_meshes.settings(), [0.15, 0.5],
                  journal_size(tree_of_meshes[0], tmp_path / 'other'))
  assert tiny.files(tmp_path / 'out') == tiny.files(prepared)


def journal_size(folder, out):
  """Of the whole journal, before it is deleted."""
  with pytest.raises(Stop):
    data.prepare(folder, str(out), broken_meshes.settings(), on_file=raise_at_the_end)
  return (out / 'unfinished.journal').stat().st_size


def raise_at_the_end(done, total, unused_skipped):
  if done == total:
    raise Stop


def flags_of(settings):
  flags = []
  for name, value in settings._asdict().items():
    flags += ['--' + name, ','.join(map(str, value)) if name == 'split' else str(value)]
  return flags


def kill_and_repeat(folder, out, settings, shares, whole_size):
  """Runs the command, killed when the journal has grown to these shares of its size, then to the
  end."""
  command = [sys.executable, '-m', 'polygen.prepare', folder, str(out), '--workers', '2']
  command += flags_of(settings)
  for share in shares:
    process = subprocess.Popen(command, cwd=str(checkout.ROOT), stdout=subprocess.DEVNULL,
                               start_new_session=True)
    path = out / 'unfinished.journal'
    wanted = share * whole_size
    while process.poll() is None and not (path.exists() and path.stat().st_size >= wanted):
      time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert path.stat().st_size < whole_size
  subprocess.run(command, cwd=str(checkout.ROOT), check=True, stdout=subprocess.DEVNULL)


def test_a_torn_journal_keeps_its_whole_records(tmp_path):
  path = str(tmp_path / 'journal')
  rng = random.Random(0)
  meshes = ({'vertices': np.arange(9).reshape(3, 3), 'faces': np.array([2, 3, 4, 0])},)
  results = [one_file.FileResult('broken file', 'no', {'vertices': 3}),
             one_file.FileResult(None, None, {'vertices': 3}, 'train', meshes, 1)]
  with journal.Journal(path, {'a': 1}) as opened:
    ends = []
    for number in range(6):
      opened.append('file {}'.format(number), journal.FileVersion(number, 2), results[number % 2])
      ends.append(os.path.getsize(path))
  with open(path, 'rb') as file:
    whole = file.read()
  for cut in [0, 5, ends[0], ends[2] - 1, ends[2], ends[2] + 3] + [
      rng.randrange(ends[-1]) for _ in range(20)]:
    with open(path, 'wb') as file:
      file.write(whole[:cut])
    with journal.Journal(path, {'a': 1}) as opened:
      names = [(name, version) for name, version, _, _ in opened.finished()]
      places = [place for _, _, _, place in opened.finished()]
      count = sum(end <= cut for end in ends)
      assert names == [('file {}'.format(i), journal.FileVersion(i, 2)) for i in range(count)]
      for number, place in enumerate(places):
        found = opened.result(place)
        assert found[:-2] == results[number % 2][:-2] and len(found.meshes) == number % 2
        for mesh in found.meshes:
          np.testing.assert_array_equal(mesh['vertices'], meshes[0]['vertices'])
          np.testing.assert_array_equal(mesh['faces'], meshes[0]['faces'])
      place = opened.append('again', journal.FileVersion(0, 0), results[1])
      assert opened.result(place, with_meshes=False).meshes == ([3, 4],)
  with journal.Journal(path, {'a': 1}):
    with pytest.raises(ValueError, match='another preparation'):
      journal.Journal(path, {'a': 1})
  with pytest.raises(ValueError, match='other settings'):
    journal.Journal(path, {'a': 2})


def test_a_file_that_has_changed_is_read_again(tree_of_meshes, tmp_path):
  folder, out = tmp_path / 'in', str(tmp_path / 'out')
  objects.write_objects(str(folder), 12)

  with pytest.raises(Stop):
    data.prepare(str(folder), out, on_file=raise_at_the_end)
  (folder / 'gear' / '00001.obj').write_bytes(broken_meshes.TRIANGLE)
  (folder / 'gear' / '00007.obj').unlink()
  data.prepare(str(folder), out)
  entries = {entry['file']: entry for entry in report_of(out)['files']}
  assert len(entries) == 11 and entries['gear/00001.obj']['vertices'] == 3


@pytest.mark.parametrize('moment', ['first arrays', 'half the arrays', 'classes', 'end', 'journal'])
def test_a_death_while_the_arrays_are_written_costs_nothing(
    prepared, tree_of_meshes, tmp_path, monkeypatch, moment):
  """Stopped by an error where a kill would stop it."""
  calls = []

  def failing(function, number):
    def called(*arguments):
      calls.append(function)
      if len(calls) == number:
        raise Stop
      return function(*arguments)
    return called

  module, name, number = {
      'first arrays': (store.SplitWriter, 'write', 1),
      'half the arrays': (store.SplitWriter, 'write', 60), 'classes': (run_module, 'write_json', 1),
      'end': (run_module, 'write_json', 2), 'journal': (run_module.os, 'remove', 1)}[moment]
  out = str(tmp_path / 'out')
  with monkeypatch.context() as patch, pytest.raises(Stop):
    patch.setattr(module, name, failing(getattr(module, name), number))
    data.prepare(tree_of_meshes[0], out, broken_meshes.settings())
  assert os.path.exists(os.path.join(out, 'unfinished.journal'))
  result = data.prepare(tree_of_meshes[0], out, broken_meshes.settings())
  assert tiny.files(out) == tiny.files(prepared) and result.was_prepared == (moment == 'journal')


def test_trouble_that_may_pass_is_tried_again(tmp_path, monkeypatch):
  objects.write_objects(str(tmp_path / 'in'), 6)
  with monkeypatch.context() as patch, pytest.raises(Stop):
    patch.setattr(run_module, 'prepare_file',
                  lambda path, settings: one_file.FileResult('not readable', 'too many open files'))
    data.prepare(str(tmp_path / 'in'), str(tmp_path / 'out'), on_file=raise_at_the_end)
  # 5 and 5. are the same setting.
  result = data.prepare(str(tmp_path / 'in'), str(tmp_path / 'out'),
                        data.PrepareSettings(max_file_mb=100))
  assert result.summary['kept'] == 6


def test_workers_that_cannot_start_are_an_error_not_a_reason(tmp_path):
  objects.write_objects(str(tmp_path / 'in'), 6)
  script = tmp_path / 'unguarded.py'
  script.write_text('import sys\nsys.path.insert(0, {!r})\nfrom polygen import data\n'
                    'data.prepare({!r}, {!r}, workers=2)\n'.format(
                        str(checkout.ROOT), str(tmp_path / 'in'), str(tmp_path / 'out')))
  ended = subprocess.run([sys.executable, str(script)], stderr=subprocess.PIPE)
  assert ended.returncode == 1 and b'guard its entry point' in ended.stderr
  assert not data.is_prepared(str(tmp_path / 'out'))


def slow(item):
  """For the test below."""
  time.sleep(60)


def test_an_end_in_the_middle_does_not_wait_for_the_work():
  start = time.time()
  pool_of = pool.in_processes(slow, range(5), 2, None)
  previous = signal.signal(signal.SIGALRM, lambda *unused: (_ for _ in ()).throw(Stop()))
  signal.setitimer(signal.ITIMER_REAL, 4.)
  try:
    with pytest.raises(Stop):
      next(pool_of)
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)
  assert time.time() - start < 50


def lethal(item):
  """For the test below: some items kill their process."""
  if item == 3:
    os._exit(7)
  return 2 * item


def test_a_process_that_dies_costs_its_own_item_alone(monkeypatch):
  monkeypatch.setattr(pool, 'WAITING_PER_WORKER', 1)  # each that waits is started anew
  found = dict(pool.in_processes(lethal, range(10), 2, lambda item: 'dead'))
  assert found == {item: 'dead' if item == 3 else 2 * item for item in range(10)}
  assert dict(pool.in_processes(lethal, [3], 1, lambda item: 'dead')) == {3: 'dead'}


# Variation.


def test_varied_copies_are_those_of_training_meshes(tree_of_meshes, prepared, tmp_path):
  out = [str(tmp_path / name) for name in 'ab']
  for folder, workers in zip(out, (1, 2)):
    data.prepare(tree_of_meshes[0], folder, broken_meshes.settings(augment=3), workers=workers)
  assert tiny.files(out[0]) == tiny.files(out[1])
  varied, plain = sets_of(out[0]), sets_of(prepared)
  for split in ('validation', 'test'):
    assert varied[split].digest == plain[split].digest
  different = set()
  for entry in report_of(out[0])['files']:
    if entry.get('split') != 'train':
      assert entry.get('examples', 1) == 1
      continue
    first, count = entry['first_example'], entry['examples']
    assert count + entry.get('dropped_copies', 0) == 4
    assert len({varied['train'].labels[first + copy] for copy in range(count)}) == 1
    different.add(len({varied['train'].meshes[first + copy]['vertices'].tobytes()
                       for copy in range(count)}))
  assert max(different) == 4 and len(varied['train'].meshes) > 3 * len(plain['train'].meshes)


def test_triangles_are_merged_on_request(tmp_path):
  vertices, faces = data.primitive_meshes()['cube']
  triangles = data.triangulate(vertices, faces)
  assert len(triangles) == 12
  (tmp_path / 'in').mkdir()
  data.write_obj(vertices, triangles.tolist(), str(tmp_path / 'in' / 'cube.obj'), transpose=False)
  counts = []
  for degrees in (0., 5.):
    out = str(tmp_path / str(degrees))
    data.prepare(str(tmp_path / 'in'), out, data.PrepareSettings(
        split=(1., 0., 0.), merge_planar=degrees))
    counts.append(len(data.unflatten_faces(sets_of(out)['train'].meshes[0]['faces'])))
  assert counts == [12, 6]


# The command.


def run(capsys, *arguments):
  result = prepare.main([str(argument) for argument in arguments])
  return result, capsys.readouterr().out


def test_the_command_says_what_became_of_the_files(tree_of_meshes, tmp_path, capsys):
  flags = flags_of(broken_meshes.settings())
  result, printed = run(capsys, tree_of_meshes[0], tmp_path / 'out', '--workers', 1, *flags)
  assert result.summary['kept'] == 128 and not result.was_prepared
  assert '128 of 160 files kept, 6 classes' in printed and 'skipped: too many vertices' in printed
  assert 'File 160/160' in printed and 'report.json' in printed
  before = tiny.files(tmp_path / 'out')
  again, printed = run(capsys, tree_of_meshes[0], tmp_path / 'out', '--workers', 1, *flags)
  assert again == result._replace(was_prepared=True) and 'was prepared before' in printed
  assert tiny.files(tmp_path / 'out') == before
  line = tiny.error_of(prepare.main, [tree_of_meshes[0], tmp_path / 'out'], capsys)
  assert 'other settings' in line


def test_what_the_command_refuses(tree_of_meshes, tmp_path, capsys):
  def error(*arguments):
    return tiny.error_of(prepare.main, arguments, capsys)

  (tmp_path / 'empty').mkdir()
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'mine' / 'thesis.txt').write_text('all of it')
  assert 'No such file' in error(tmp_path / 'none', tmp_path / 'out')
  assert 'no mesh file' in error(tmp_path / 'empty', tmp_path / 'out')
  assert 'not empty' in error(tree_of_meshes[0], tmp_path / 'mine')
  for flag, value, text in (
      ('--split', '0.5,0.5', '3 shares'), ('--split', 'a,b,c', 'numbers with commas'),
      ('--split', '0.5,0.2,0.2', 'sum to 1'), ('--quantization_bits', 17, 'between 1 and 16'),
      ('--merge_planar', 90, 'below 90'), ('--augment', -1, 'negative'),
      ('--max_file_mb', 0, 'positive'), ('--workers', 0, 'positive')):
    assert text in error(tree_of_meshes[0], tmp_path / 'out', flag, value), flag
  assert not (tmp_path / 'out').exists()


def test_a_missing_extra_is_told_before_the_work(tmp_path, capsys, monkeypatch):
  objects.write_objects(str(tmp_path / 'in'), 3)
  (tmp_path / 'in' / 'a.stl').write_bytes(b'')
  monkeypatch.setitem(sys.modules, 'trimesh', None)
  assert '[io]' in tiny.error_of(prepare.main, [tmp_path / 'in', tmp_path / 'out'], capsys)
  assert not (tmp_path / 'out').exists()


def test_no_file_survives(tmp_path, capsys):
  (tmp_path / 'in').mkdir()
  (tmp_path / 'in' / 'a.obj').write_bytes(b'')
  result, printed = run(capsys, tmp_path / 'in', tmp_path / 'out', '--workers', 1)
  assert result.summary['kept'] == 0 and '1 skipped: broken file' in printed
  assert [len(each.meshes) for each in sets_of(tmp_path / 'out').values()] == [0, 0, 0]
