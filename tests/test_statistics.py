"""Statistics of meshes against definitions written out in plain Python, and against trimesh."""
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from polygen import data

try:
  import trimesh
except ImportError:
  trimesh = None

relaxed = settings(deadline=None, max_examples=30)

TETRAHEDRON = [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]


def minus(a, b):
  return [x - y for x, y in zip(a, b)]


def cross(a, b):
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def norm(a):
  return math.sqrt(sum(x * x for x in a))


def rotations(face):
  return [tuple(face[i:] + face[:i]) for i in range(len(face))]


def naive_area(corners):
  total = [0., 0., 0.]
  for b, c in zip(corners[1:], corners[2:]):
    total = [x + y for x, y in zip(total, cross(minus(b, corners[0]), minus(c, corners[0])))]
  return norm(total) / 2


def naive_statistics(vertices, faces):
  vertices = [[float(x) for x in vertex] for vertex in vertices]
  faces = [[int(index) for index in face] for face in faces if len(face) >= 3]
  sides = [frozenset((face[i - 1], face[i])) for face in faces for i in range(len(face))
           if face[i - 1] != face[i]]
  edges = sorted(set(sides), key=sorted)
  degrees = [sum(v in edge for edge in edges) for v in range(len(vertices))]
  lengths = [norm(minus(vertices[min(edge)], vertices[max(edge)])) for edge in edges]
  areas = [naive_area([vertices[i] for i in face]) for face in faces]
  duplicates = [any(tuple(face) in rotations(other) + rotations(other[::-1])
                    for other in faces[:place]) for place, face in enumerate(faces)]
  return data.MeshStatistics(
      num_vertices=len(vertices),
      num_faces=len(faces),
      mean_degree=sum(degrees) / len(degrees) if degrees else 0.,
      mean_edge_length=sum(lengths) / len(lengths) if lengths else 0.,
      mean_face_area=sum(areas) / len(areas) if areas else 0.,
      num_open_edges=sum(sides.count(edge) == 1 for edge in edges),
      num_duplicate_faces=sum(duplicates),
      num_unreferenced_vertices=sum(all(v not in face for face in faces)
                                    for v in range(len(vertices))),
      watertight=bool(edges) and all(sides.count(edge) == 2 for edge in edges))


def assert_plain(statistics):
  """Python numbers alone, so that JSON holds them."""
  kinds = [int, int, float, float, float, int, int, int, bool]
  assert [type(value) for value in statistics] == kinds
  assert json.loads(json.dumps(statistics._asdict())) == statistics._asdict()


def assert_equal(found, expected):
  assert_plain(found)
  assert found == expected._replace(mean_edge_length=found.mean_edge_length,
                                    mean_face_area=found.mean_face_area)
  assert found.mean_edge_length == pytest.approx(expected.mean_edge_length, rel=1e-9)
  assert found.mean_face_area == pytest.approx(expected.mean_face_area, rel=1e-9, abs=1e-9)


@st.composite
def unsound_meshes(draw):
  """Meshes with all faults: short faces, repeated corners and faces, loose vertices."""
  vertices, faces = draw(strategies.bin_meshes())
  loose = draw(st.lists(st.lists(st.integers(0, len(vertices) - 1), max_size=4), max_size=3))
  again = draw(st.lists(st.sampled_from(faces), max_size=3))
  turn = draw(st.integers(0, 7))
  again = [(face[turn:] + face[:turn])[::draw(st.sampled_from([1, -1]))] for face in again]
  return vertices, draw(st.permutations(faces + loose + again))


@relaxed
@given(unsound_meshes())
def test_figures_follow_their_definitions(mesh):
  assert_equal(data.mesh_statistics(*mesh), naive_statistics(*mesh))


@pytest.mark.parametrize('name', sorted(data.primitive_meshes()))
def test_toy_meshes(name):
  vertices, faces = data.primitive_meshes()[name]
  found = data.mesh_statistics(vertices, faces)
  assert_equal(found, naive_statistics(vertices, faces))
  assert found.watertight
  assert (found.num_open_edges, found.num_duplicate_faces, found.num_unreferenced_vertices) == (
      0, 0, 0)


def test_the_cube():
  assert data.mesh_statistics(*data.primitive_meshes()['cube']) == (
      8, 6, 3., 2., 4., 0, 0, 0, True)


def test_an_open_cube():
  vertices, faces = data.primitive_meshes()['cube']
  found = data.mesh_statistics(vertices, faces[1:])
  assert found.num_open_edges == 4 and not found.watertight
  found = data.mesh_statistics(vertices, faces + [faces[0][2:] + faces[0][:2]])
  assert found.num_duplicate_faces == 1 and found.num_open_edges == 0 and not found.watertight


def test_the_area_of_a_polygon_that_is_not_convex():
  outline = np.array([[0, 0], [4, 0], [4, 2], [2, 2], [2, 4], [0, 4]])
  vertices = np.pad(outline, [(0, 0), (1, 0)]) + [1e4, -1e4, 1e4]
  found = data.mesh_statistics(vertices, [list(range(6))])
  assert found.mean_face_area == 12 and found.num_open_edges == 6


def test_both_sides_of_a_face_are_the_same_face():
  faces = [[0, 1, 2, 3], [1, 0, 3, 2], [0, 1, 3, 2], [2, 3, 0, 1], [0, 1, 2]]
  assert data.mesh_statistics(np.zeros([4, 3]), faces).num_duplicate_faces == 2


def test_a_cut_to_a_hole_leaves_no_open_edge_of_its_own():
  face = [0, 1, 2, 3, 0, 4, 5, 6, 7, 4]
  assert data.mesh_statistics(np.zeros([8, 3]), [face]).num_open_edges == 8


@pytest.mark.parametrize('faces', [[], [[]], [[0], [1, 2]], np.zeros([0, 3], int)])
def test_means_of_nothing(faces):
  for count in (0, 3):
    found = data.mesh_statistics(np.ones([count, 3]), faces)
    assert_plain(found)
    assert found == (count, 0, 0., 0., 0., 0, 0, count, False)


def test_faces_without_any_edge():
  found = data.mesh_statistics(np.eye(3), [[0, 0, 0], [1, 1, 1, 1]])
  assert_plain(found)
  assert found == (3, 2, 0., 0., 0., 0, 0, 1, False)


def test_arrays_and_lists_are_alike():
  vertices, faces = data.primitive_meshes()['cube']
  found = data.mesh_statistics(vertices.tolist(), np.array(faces))
  assert found == data.mesh_statistics(vertices, [np.array(face) for face in faces])
  assert_plain(found)


@st.composite
def triangle_meshes(draw):
  points = np.random.RandomState(draw(strategies.SEEDS)).randn(draw(st.integers(4, 9)), 3)
  triangle = st.lists(st.integers(0, len(points) - 1), min_size=3, max_size=3, unique=True)
  faces = TETRAHEDRON if draw(st.booleans()) else []
  return points, faces + draw(st.lists(triangle, min_size=0 if faces else 1, max_size=4))


@pytest.mark.skipif(trimesh is None, reason='trimesh is not installed (pip install ".[io]")')
@relaxed
@given(triangle_meshes())
def test_trimesh_agrees(mesh):
  vertices, faces = mesh
  found = data.mesh_statistics(vertices, faces)
  other = trimesh.Trimesh(vertices, faces, process=False)
  assert found.watertight == other.is_watertight
  assert found.num_faces * found.mean_face_area == pytest.approx(other.area)
  assert found.mean_edge_length == pytest.approx(other.edges_unique_length.mean())
  assert found.mean_degree * found.num_vertices == 2 * len(other.edges_unique)
  assert found.num_unreferenced_vertices == int((~other.referenced_vertices).sum())
