import os

import numpy as np
import pytest

from polygen import data, tokens
from polygen.data import primitives

COUNTS = {'cube': (8, 6, 25, 30), 'cylinder': (64, 34, 193, 226), 'cone': (33, 33, 100, 161),
          'icosphere': (42, 80, 127, 320)}
MESHES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'meshes')
names = pytest.mark.parametrize('name', sorted(COUNTS))


def normals_and_centers(vertices, faces):
  vertices = np.asarray(vertices, np.float64)
  for face in faces:
    corners = vertices[face]
    yield np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0), corners.mean(axis=0)


def test_there_are_four():
  assert sorted(data.primitive_meshes()) == sorted(COUNTS)


@names
def test_counts(name):
  vertices, faces = data.primitive_meshes()[name]
  mesh = data.process_mesh(vertices, faces)
  assert (len(mesh['vertices']), len(data.unflatten_faces(mesh['faces'])),
          tokens.vertex_sequence_length(len(mesh['vertices'])), len(mesh['faces'])) == COUNTS[name]


@names
def test_faces_wind_outward_before_and_after_processing(name):
  vertices, faces = data.primitive_meshes()[name]
  processed = data.process_mesh(vertices, faces)
  coordinates = data.dequantize_verts(processed['vertices'])
  for mesh in ((vertices, faces), (coordinates, data.unflatten_faces(processed['faces']))):
    outward = [normal @ center > 0 for normal, center in normals_and_centers(*mesh)]
    assert len(outward) == COUNTS[name][1] and all(outward)


@names
def test_surfaces_are_closed(name):
  _, faces = data.primitive_meshes()[name]
  edges = [edge for face in faces for edge in zip(face, face[1:] + face[:1])]
  assert len(set(edges)) == len(edges)
  assert {(b, a) for a, b in edges} == set(edges)


@names
def test_symmetry_is_exact(name):
  vertices, _ = data.primitive_meshes()[name]
  axes = (0, 2) if name == 'cone' else (0, 1, 2)
  points = {tuple(point) for point in vertices.tolist()}
  assert len(points) == len(vertices)
  for axis in axes:
    mirrored = vertices.copy()
    mirrored[:, axis] *= -1
    assert {tuple(point) for point in (mirrored + 0.).tolist()} == points
  assert vertices.dtype == np.float32 and np.abs(vertices).max() == 1
  assert {'cube': 3 ** 0.5, 'icosphere': 1}.get(name, 2 ** 0.5) == pytest.approx(
      float(np.linalg.norm(vertices, axis=1).max()), abs=1e-6)


@names
def test_mirror_planes_survive_processing(name):
  bins = data.process_mesh(*data.primitive_meshes()[name])['vertices']
  # The first two axes of processed meshes are horizontal. 127.5 is the middle: a coordinate on
  # the plane goes to 127, the others have their mirror image at 255 - q.
  points = {tuple(point) for point in bins.tolist()}
  for axis in (0, 1):
    mirrored = np.where(bins == 127, 127, 255 - bins)
    mirrored = np.where(np.arange(3) == axis, mirrored, bins)
    assert {tuple(point) for point in mirrored.tolist()} == points


@pytest.mark.parametrize('name, heights', [('cube', [4, 4]), ('cylinder', [32, 32]),
                                           ('cone', [32, 1])])
def test_caps_are_flat(name, heights):
  bins = data.process_mesh(*data.primitive_meshes()[name])['vertices']
  assert np.unique(bins[:, 2], return_counts=True)[1].tolist() == heights


@names
def test_committed_files_are_the_output_of_the_generator(name):
  vertices, faces = data.read_obj(os.path.join(MESHES, name + '.obj'))
  expected_vertices, expected_faces = data.primitive_meshes()[name]
  assert vertices.dtype == expected_vertices.dtype == np.float32
  np.testing.assert_array_equal(vertices, expected_vertices)
  assert faces == expected_faces


def test_the_command_writes_the_committed_files(tmp_path, capsys):
  assert primitives.main([str(tmp_path / 'new')]) == 0
  written = capsys.readouterr().out.split()
  assert len(written) == len(COUNTS)
  for path in written:
    with open(path) as new, open(os.path.join(MESHES, os.path.basename(path))) as committed:
      assert new.read() == committed.read()
  assert primitives.main([]) == 2
