import os
import shutil

import numpy as np
import pytest

from polygen import data
from polygen.data import folder as folder_module
from polygen.data import primitives

NAMES = ['cone', 'cube', 'cylinder', 'icosphere']


@pytest.fixture
def flat(tmp_path):
  path = tmp_path / 'flat'
  primitives.write_primitives(str(path))
  return path


@pytest.fixture
def classes(tmp_path, flat):
  """round/cone, round/deep/er/cylinder, square/cube and things that are no meshes."""
  path = tmp_path / 'classes'
  (path / 'round' / 'deep' / 'er').mkdir(parents=True)
  (path / 'square').mkdir()
  (path / 'empty').mkdir()
  (path / '.hidden').mkdir()
  shutil.copy(str(flat / 'cone.obj'), str(path / 'round' / 'cone.obj'))
  shutil.copy(str(flat / 'cylinder.obj'), str(path / 'round' / 'deep' / 'er' / 'c.OBJ'))
  shutil.copy(str(flat / 'cube.obj'), str(path / 'square'))
  shutil.copy(str(flat / 'cube.obj'), str(path / '.hidden'))
  (path / 'round' / '._cone.obj').write_text('not a mesh')
  (path / 'round' / 'notes.txt').write_text('not a mesh')
  return path


def assert_same_meshes(meshes, names):
  expected = [data.process_mesh(*data.primitive_meshes()[name]) for name in names]
  assert len(meshes) == len(expected) > 0
  for mesh, other in zip(meshes, expected):
    assert sorted(mesh) == ['faces', 'vertices']
    np.testing.assert_array_equal(mesh['vertices'], other['vertices'])
    np.testing.assert_array_equal(mesh['faces'], other['faces'])


def test_flat_files_are_a_class_each(flat):
  for path in (flat, str(flat)):
    mesh_set = data.load_mesh_set(path)
    assert mesh_set.classes == tuple(NAMES)
    assert mesh_set.names == tuple(name + '.obj' for name in NAMES)
    assert mesh_set.labels.dtype == np.int32 and mesh_set.labels.tolist() == [0, 1, 2, 3]
    assert mesh_set.flat
    assert_same_meshes(mesh_set.meshes, NAMES)


def test_subfolders_are_a_class_each(classes):
  mesh_set = data.load_mesh_set(classes)
  assert mesh_set.classes == ('round', 'square')
  assert mesh_set.names == ('round/cone.obj', 'round/deep/er/c.OBJ', 'square/cube.obj')
  assert mesh_set.labels.tolist() == [0, 0, 1]
  assert not mesh_set.flat
  assert_same_meshes(mesh_set.meshes, ['cone', 'cylinder', 'cube'])


def test_files_and_subfolders_together(classes, flat):
  shutil.copy(str(flat / 'icosphere.obj'), str(classes / 'square.obj'))
  shutil.copy(str(flat / 'icosphere.obj'), str(classes / 'ball.obj'))
  mesh_set = data.load_mesh_set(classes)
  assert mesh_set.classes == ('ball', 'round', 'square')
  assert dict(zip(mesh_set.names, mesh_set.labels.tolist())) == {
      'ball.obj': 0, 'round/cone.obj': 1, 'round/deep/er/c.OBJ': 1, 'square.obj': 2,
      'square/cube.obj': 2}
  assert mesh_set.flat


def test_the_parent_of_meshes_will_do(tmp_path, flat):
  parent = tmp_path / 'parent'
  (parent / 'output').mkdir(parents=True)
  shutil.copytree(str(flat), str(parent / 'meshes'))
  shutil.copy(str(flat / 'cube.obj'), str(parent / 'output' / 'sample_000.obj'))
  (parent / 'output' / 'samples.json').write_text('[]')
  assert data.find_data(parent) == str(parent / 'meshes')
  assert data.load_mesh_set(parent).classes == tuple(NAMES)
  shutil.copy(str(flat / 'cube.obj'), str(parent))
  assert data.find_data(parent) == str(parent)


def test_a_class_named_meshes_hides_no_other(classes):
  (classes / 'round').rename(classes / 'meshes')
  with pytest.raises(ValueError) as error:
    data.load_mesh_set(classes)
  message = one_line(error)
  assert 'square/cube.obj' in message and str(classes / 'meshes') in message
  assert data.find_data(classes / 'meshes') == str(classes / 'meshes')
  shutil.rmtree(str(classes / 'meshes'))
  (classes / 'meshes').mkdir()  # without mesh files it is no class and no mesh folder
  assert data.load_mesh_set(classes).classes == ('square',)


def test_without_a_path_the_meshes_beside_the_package_or_the_generator(monkeypatch, tmp_path, flat):
  assert os.path.basename(data.find_data()) == 'meshes'
  beside = data.load_mesh_set()
  module = tmp_path / 'installed' / 'polygen' / 'data' / 'folder.py'
  monkeypatch.setattr(folder_module, '__file__', str(module))
  assert data.find_data() is None
  generated = data.load_mesh_set()
  assert generated.names == beside.names and generated.classes == beside.classes
  assert generated.labels.tolist() == beside.labels.tolist() and generated.flat == beside.flat
  assert_same_meshes(beside.meshes, NAMES)
  assert_same_meshes(generated.meshes, NAMES)
  shutil.copytree(str(flat), str(tmp_path / 'installed' / 'meshes'))
  assert data.find_data() == str(tmp_path / 'installed' / 'meshes')


def one_line(error):
  message = str(error.value)
  assert '\n' not in message
  return message


def test_a_missing_folder(tmp_path):
  with pytest.raises(FileNotFoundError) as error:
    data.load_mesh_set(tmp_path / 'none')
  assert 'none: no such data folder' in one_line(error)


def test_a_file_is_no_folder(flat):
  with pytest.raises(NotADirectoryError) as error:
    data.load_mesh_set(flat / 'cube.obj')
  assert 'cube.obj: not a folder' in one_line(error)


def test_a_folder_without_meshes(tmp_path):
  (tmp_path / 'a' / 'b').mkdir(parents=True)
  (tmp_path / 'a' / 'mesh.txt').write_text('ply')
  with pytest.raises(ValueError) as error:
    data.load_mesh_set(tmp_path)
  assert 'no mesh file' in one_line(error) and str(tmp_path) in one_line(error)


def test_limits(flat):
  assert len(data.load_mesh_set(flat, max_num_vertices=64, max_face_tokens=320).meshes) == 4
  with pytest.raises(ValueError) as error:
    data.load_mesh_set(flat, max_num_vertices=63)
  message = one_line(error)
  assert 'cylinder.obj: 64 vertices' in message
  assert 'max_num_vertices = 63' in message and '--max_num_vertices 64' in message
  with pytest.raises(ValueError) as error:
    data.load_mesh_set(flat, max_face_tokens=200)
  message = one_line(error)
  assert 'icosphere.obj: 320 face tokens' in message
  assert 'max_face_tokens = 200' in message and '--max_face_tokens 320' in message


def test_a_broken_file(flat):
  (flat / 'd.obj').write_text('v 0 0 0\nv 1 0 0\nf 1 2 7\n')
  with pytest.raises(ValueError) as error:
    data.load_mesh_set(flat)
  message = one_line(error)
  assert f'{flat / "d.obj"}, line 3' in message and 'beyond the 2 vertices' in message


def test_bits(flat):
  assert max(mesh['vertices'].max() for mesh in data.load_mesh_set(flat, 4).meshes) < 16


def test_other_formats_are_read_too(tmp_path):
  for name, suffix in (('cone', 'ply'), ('cube', 'GLB'), ('cylinder', 'obj')):
    vertices, faces = data.primitive_meshes()[name]
    data.write_mesh(vertices, faces, str(tmp_path / (name + '.' + suffix)), transpose=False)
  mesh_set = data.load_mesh_set(tmp_path)
  assert mesh_set.classes == ('cone', 'cube', 'cylinder')
  assert [len(mesh['vertices']) for mesh in mesh_set.meshes] == [33, 8, 64]
