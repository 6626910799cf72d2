"""Files of other formats show the same solid: closed, facing outward, of the same volume."""
import logging
import struct
import subprocess
import sys

import numpy as np
import pytest

from polygen import data
from polygen.data import obj

try:
  import trimesh
except ImportError:
  trimesh = None

needs_trimesh = pytest.mark.skipif(
    trimesh is None, reason='trimesh is not installed (pip install ".[io]")')
TRIANGLE_FORMATS = [name for name in data.FORMATS if name != 'obj']
formats = pytest.mark.parametrize('name', TRIANGLE_FORMATS)


def prism(outline):
  """An upright prism over a plane polygon [n, 2], its caps single polygons; z up."""
  n = len(outline)
  outline = np.asarray(outline, np.float64)
  ring = list(range(n))
  vertices = np.concatenate([np.pad(outline, [(0, 0), (0, 1)], constant_values=z) for z in (0, 1)])
  sides = [[i, j, j + n, i + n] for i, j in zip(ring, ring[1:] + ring[:1])]
  return vertices, [ring[::-1], [i + n for i in ring]] + sides


def star(points=7):
  angles = np.pi * np.arange(2 * points) / points
  radii = np.where(np.arange(2 * points) % 2, 0.3, 1.)
  return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def solids():
  """{name: (vertices [V, 3] with z up, polygons)}."""
  meshes = {name: (vertices[:, obj.OBJ_TO_Z_UP], faces)
            for name, (vertices, faces) in data.primitive_meshes().items()}
  meshes['L'] = prism([(0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4)])
  meshes['star'] = prism(star())
  return meshes


SOLIDS = sorted(solids())


def volume(vertices, faces):
  """Of the inside of planar polygons, by the divergence theorem."""
  vertices = np.asarray(vertices, np.float64)
  return sum(np.linalg.det(vertices[[face[0], b, c]]) / 6
             for face in faces for b, c in zip(face[1:], face[2:]))


def load(path):
  mesh = trimesh.load(str(path), force='mesh')
  mesh.merge_vertices()
  return mesh


@needs_trimesh
@formats
@pytest.mark.parametrize('solid', SOLIDS)
def test_solids_stay_solid(tmp_path, name, solid):
  vertices, faces = solids()[solid]
  expected = volume(vertices, faces)
  assert expected > 0.5
  path = tmp_path / ('mesh.' + name)
  data.write_mesh(vertices, faces, path)
  found = load(path)
  assert len(found.vertices) == len(vertices)
  assert len(found.faces) == sum(len(face) - 2 for face in faces)
  assert found.is_watertight and found.is_winding_consistent
  assert found.volume == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('solid', SOLIDS)
def test_obj_keeps_the_polygons(tmp_path, solid):
  vertices, faces = solids()[solid]
  data.write_mesh(vertices, faces, tmp_path / 'a.obj')
  data.write_obj(vertices, faces, tmp_path / 'b.obj')
  assert (tmp_path / 'a.obj').read_bytes() == (tmp_path / 'b.obj').read_bytes()
  assert data.read_obj(tmp_path / 'a.obj')[1] == faces


@needs_trimesh
@pytest.mark.parametrize('transpose', [True, False])
def test_axes_are_those_of_obj_files(tmp_path, transpose):
  vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 5]], np.float32)
  faces = [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]
  data.write_mesh(vertices, faces, tmp_path / 'a.obj', transpose=transpose)
  expected = data.read_obj(tmp_path / 'a.obj')[0]
  assert expected.max(axis=0).tolist() == ([2, 5, 1] if transpose else [1, 2, 5])
  for name in TRIANGLE_FORMATS:
    path = tmp_path / ('a.' + name)
    data.write_mesh(vertices, faces, str(path), transpose=transpose)
    found = load(path).vertices
    assert sorted(found.tolist()) == sorted(expected.tolist()), name


@needs_trimesh
@pytest.mark.parametrize('name', ['ply', 'glb'])
def test_nothing_is_merged_dropped_or_reordered(tmp_path, name):
  vertices = np.array([[3, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]])
  faces = [[4, 1, 2, 3], [1, 5, 3], [5, 3, 1], [2, 2, 3], [2, 5, 3]]
  path = tmp_path / ('a.' + name)
  data.write_mesh(vertices, faces, path, transpose=False)
  found = trimesh.load(str(path), force='mesh', process=False)
  np.testing.assert_array_equal(found.vertices, vertices)
  np.testing.assert_array_equal(found.faces, data.triangulate(vertices, faces))


@needs_trimesh
def test_stl_has_every_triangle(tmp_path):
  vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
  data.write_mesh(vertices, [[0, 1, 2, 3], [0, 1, 2], [0, 0, 1]], tmp_path / 'a.stl')
  assert stl_count((tmp_path / 'a.stl').read_bytes()) == 4


def stl_count(content):
  """Number of triangles of a binary STL file; checks its length."""
  count, = struct.unpack('<I', content[80:84])
  assert len(content) == 84 + 50 * count
  return count


@needs_trimesh
@pytest.mark.parametrize('count', [0, 3])
def test_meshes_without_faces_give_sound_files(tmp_path, count):
  for name in data.FORMATS:
    for faces in ([], [[]], [[0, 0]][:count], np.zeros([0, 3], int)):
      data.write_mesh(np.eye(3)[:count], faces, tmp_path / ('a.' + name))
  assert stl_count((tmp_path / 'a.stl').read_bytes()) == 0
  header = (tmp_path / 'a.ply').read_bytes().partition(b'end_header')[0].split(b'\n')
  assert b'element vertex %d' % count in header and b'element face 0' in header
  content = (tmp_path / 'a.glb').read_bytes()
  assert struct.unpack('<4sII', content[:12]) == (b'glTF', 2, len(content))
  assert trimesh.load(str(tmp_path / 'a.glb'), force='scene').is_empty


@needs_trimesh
@formats
def test_degenerate_meshes_can_be_written(tmp_path, name):
  path = tmp_path / ('a.' + name)
  for vertices in (np.zeros([5, 3]), np.arange(15.).reshape(5, 3), np.eye(5)[:, :3]):
    data.write_mesh(vertices, [[0, 1, 2, 3, 4], [0, 0, 0], [4, 2, 4, 1]], path)
    assert path.stat().st_size > 84


@needs_trimesh
@formats
def test_arguments_are_left_alone_and_nothing_is_said(tmp_path, name, capfd, caplog):
  vertices, faces = data.primitive_meshes()['cylinder']
  before = vertices.copy(), [list(face) for face in faces]
  with caplog.at_level(logging.INFO):
    data.write_mesh(vertices, faces, tmp_path / ('a.' + name))
    data.write_mesh(vertices, [], tmp_path / ('b.' + name))
  assert len(list(tmp_path.iterdir())) == 2
  assert capfd.readouterr() == ('', '') and not caplog.records
  np.testing.assert_array_equal(vertices, before[0])
  assert faces == before[1]


@needs_trimesh
def test_the_case_of_the_suffix_does_not_matter(tmp_path):
  vertices, faces = solids()['cube']
  for name in data.FORMATS:
    data.write_mesh(vertices, faces, tmp_path / ('a.' + name))
    data.write_mesh(vertices, faces, tmp_path / ('b.' + name.upper()))
    assert ((tmp_path / ('a.' + name)).read_bytes()
            == (tmp_path / ('b.' + name.upper())).read_bytes())


@pytest.mark.parametrize('path', ['mesh.off', 'mesh', 'obj', '.ply', 'mesh.obj.gz', 'mesh.'])
def test_an_unknown_suffix_names_the_legal_ones(tmp_path, path):
  with pytest.raises(ValueError, match=path + r': .*\.obj, \.ply, \.stl, \.glb'):
    data.write_mesh(np.eye(3), [[0, 1, 2]], tmp_path / path)
  assert not list(tmp_path.iterdir())


@needs_trimesh
def test_a_file_that_cannot_be_written_is_named(tmp_path):
  for name in data.FORMATS:
    path = str(tmp_path / 'missing' / ('a.' + name))
    with pytest.raises(OSError) as caught:
      data.write_mesh(np.eye(3), [[0, 1, 2]], path)
    assert caught.value.filename == path


@needs_trimesh
def test_every_format_is_there():
  for name in data.FORMATS:
    data.require_format(name)


@pytest.mark.parametrize('name', ['off', '', '.obj', 'OBJ'])
def test_an_unknown_format_names_the_legal_ones(name):
  with pytest.raises(ValueError, match='is no mesh format, obj, ply, stl, glb are'):
    data.require_format(name)


@formats
def test_without_trimesh_the_error_says_what_to_install(tmp_path, monkeypatch, name):
  monkeypatch.setitem(sys.modules, 'trimesh', None)
  message = (r'^PLY, STL and GLB files need trimesh: pip install "polygen\[io\]" '
             r'\(from a checkout: pip install "\.\[io\]"\)$')
  with pytest.raises(ImportError, match=message):
    data.require_format(name)
  with pytest.raises(ImportError, match=message):
    data.write_mesh(np.eye(3), [[0, 1, 2]], tmp_path / ('a.' + name))
  assert not list(tmp_path.iterdir())


def test_obj_needs_no_trimesh(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'trimesh', None)
  data.require_format('obj')
  data.write_mesh(np.eye(3), [[0, 1, 2]], tmp_path / 'a.obj')
  assert data.read_obj(tmp_path / 'a.obj')[1] == [[0, 1, 2]]


def test_obj_files_do_not_load_trimesh(tmp_path):
  code = ('import sys; from polygen import data; '
          'data.write_mesh([[0, 0, 0]] * 4, [[0, 1, 2, 3]], sys.argv[1]); '
          'data.triangulate([[0, 0, 0]] * 4, [[0, 1, 2, 3]]); '
          'data.mesh_statistics([[0, 0, 0]] * 4, [[0, 1, 2, 3]]); '
          'print(sorted({"trimesh", "matplotlib", "tensorflow"} & set(sys.modules)))')
  command = [sys.executable, '-c', code, str(tmp_path / 'a.obj')]
  assert subprocess.check_output(command).split() == [b'[]']
