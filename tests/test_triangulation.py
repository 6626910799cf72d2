"""Triangles fill the polygon they are cut from, and whatever the input, there are n - 2."""
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from polygen import data

relaxed = settings(deadline=None, max_examples=30)


def rotation(rng):
  """A random rotation matrix [3, 3]."""
  matrix = np.linalg.qr(rng.randn(3, 3))[0]
  return matrix * np.sign(np.linalg.det(matrix))


def placed(outline, rng):
  """A plane polygon [n, 2] turned, moved and scaled in space: [n, 3]."""
  flat = np.pad(np.asarray(outline, np.float64), [(0, 0), (0, 1)])
  return (flat @ rotation(rng).T + rng.randn(3)) * 10. ** rng.randint(-3, 4)


def star(rng, corners):
  """A polygon around 0 whose radius changes at random; [n, 2]."""
  angles = 2 * np.pi * (np.arange(corners) + 0.8 * rng.rand(corners)) / corners
  return rng.uniform(0.2, 1, [corners, 1]) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def with_corners_on_sides(outline, rng, most=3):
  """The same polygon with up to `most` corners on each straight side."""
  outline = np.asarray(outline, np.float64)
  points = []
  for a, b in zip(outline, np.roll(outline, -1, axis=0)):
    fractions = np.arange(rng.randint(1, most + 2))
    points += [a + (b - a) * fraction / len(fractions) for fraction in fractions]
  return np.array(points)


def twice_area_vectors(corners, triangles):
  a, b, c = (corners[triangles[:, i]] for i in range(3))
  return np.cross(b - a, c - a)


def signed_areas(corners, triangles):
  """Areas along the normal of the whole polygon, and the area of the polygon."""
  moved = corners - corners.mean(axis=0)
  whole = np.cross(moved, np.roll(moved, -1, axis=0)).sum(axis=0) / 2
  area = np.linalg.norm(whole)
  return twice_area_vectors(corners, triangles) @ whole / area / 2, area


def heights(corners, triangles):
  """The least height of every triangle, in extents of the polygon."""
  sides = np.stack([corners[triangles[:, i]] - corners[triangles[:, i - 1]] for i in range(3)])
  longest = np.linalg.norm(sides, axis=-1).max(axis=0)
  extent = np.ptp(corners, axis=0).max()
  return np.linalg.norm(twice_area_vectors(corners, triangles), axis=-1) / longest / extent


def directed_edges(polygons):
  polygons = [[int(index) for index in polygon] for polygon in polygons]
  return Counter(edge for polygon in polygons for edge in zip(polygon, polygon[1:] + polygon[:1]))


def assert_edges_of_the_faces_remain(triangles, faces):
  """Beside the directed edges of the faces there are pairs of opposite ones."""
  inner = directed_edges(triangles)
  inner.subtract(directed_edges(faces))
  assert all(inner[a, b] == inner[b, a] for a, b in list(inner))


def assert_fills(corners, triangles):
  """Positive areas that add up, on the given boundary, leave no room for one outside."""
  n = len(corners)
  assert triangles.dtype == np.int32 and triangles.shape == (n - 2, 3)
  areas, area = signed_areas(corners, triangles)
  assert area > 0 and (areas > 0).all()
  assert areas.sum() == pytest.approx(area, rel=1e-9)
  assert_edges_of_the_faces_remain(triangles, [range(n)])
  edges = directed_edges(triangles)
  assert max(edges.values()) == 1
  assert {(i, (i + 1) % n) for i in range(n)} <= set(edges)


@relaxed
@given(strategies.SEEDS, st.integers(5, 40), st.booleans())
def test_a_star_is_filled(seed, corners, turned_over):
  rng = np.random.RandomState(seed)
  outline = star(rng, corners)
  points = placed(outline[::-1] if turned_over else outline, rng)
  assert_fills(points, data.triangulate(points, [list(range(corners))]))


@relaxed
@given(strategies.SEEDS, st.integers(5, 15))
def test_a_star_with_corners_on_its_sides_is_filled(seed, corners):
  rng = np.random.RandomState(seed)
  points = placed(with_corners_on_sides(star(rng, corners), rng), rng)
  triangles = data.triangulate(points, [list(range(len(points)))])
  assert_fills(points, triangles)


SPIRAL = [(0, 0), (7, 0), (7, 7), (1, 7), (1, 2), (5, 2), (5, 5), (3, 5), (3, 4), (4, 4), (4, 3),
          (2, 3), (2, 6), (6, 6), (6, 1), (0, 1)]
COMB = [(0, 0), (9, 0)] + [(x, 4 if x % 2 else 1) for x in range(9, -1, -1)]
OUTLINES = {
    'triangle': [(0, 0), (4, 0), (0, 4)],
    'square': [(0, 0), (4, 0), (4, 4), (0, 4)],
    'arrow': [(0, 0), (4, 2), (0, 4), (1, 2)],
    'L': [(0, 0), (4, 0), (4, 2), (2, 2), (2, 4), (0, 4)],
    'plus': [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 2), (0, 2),
             (0, 1), (1, 1)],
    'comb': COMB,
    'spiral': SPIRAL,
}


@pytest.mark.parametrize('name', sorted(OUTLINES))
@pytest.mark.parametrize('most', [0, 1, 4])
def test_no_triangle_is_flat_in_float32(name, most):
  """Corners on straight sides are off them by rounding, and still make no slivers."""
  for seed in range(5):
    rng = np.random.RandomState(seed)
    points = placed(with_corners_on_sides(OUTLINES[name], rng, most), rng).astype(np.float32)
    points = points.astype(np.float64)
    triangles = data.triangulate(points, [list(range(len(points)))])
    assert len(triangles) == len(points) - 2
    assert heights(points, triangles).min() > 1e-3
    areas, area = signed_areas(points, triangles)
    assert areas.min() > 0 and areas.sum() == pytest.approx(area, rel=1e-6)


@pytest.mark.parametrize('name', sorted(OUTLINES))
def test_the_start_and_the_axes_do_not_matter(name):
  outline = np.pad(np.array(OUTLINES[name], np.float64), [(0, 0), (0, 1)])
  n = len(outline)
  for start in range(n):
    for axes in ([0, 1, 2], [1, 2, 0], [2, 0, 1], [1, 0, 2]):
      points = np.roll(outline, start, axis=0)[:, axes]
      assert_fills(points, data.triangulate(points, [list(range(n))]))


def test_a_hole_behind_a_cut_stays_a_hole():
  outer = [(0, 0), (6, 0), (6, 6), (0, 6)]
  inner = [(2, 2), (2, 4), (4, 4), (4, 2)]
  points = np.pad(np.array(outer + inner, np.float64), [(0, 0), (0, 1)])
  face = [0, 1, 2, 3, 0, 4, 5, 6, 7, 4]
  triangles = data.triangulate(points, [face])
  assert triangles.shape == (8, 3)
  areas = twice_area_vectors(points, triangles)[:, 2] / 2
  assert areas.min() > 0 and areas.sum() == 36 - 4
  assert_edges_of_the_faces_remain(triangles, [face])


@pytest.mark.parametrize('corners', [32, 800])
def test_large_polygons(corners):
  rng = np.random.RandomState(corners)
  angles = 2 * np.pi * np.arange(corners) / corners
  round_outline = np.stack([np.cos(angles), np.sin(angles)], axis=1)
  for outline in (round_outline, star(rng, corners)):
    points = placed(outline, rng)
    assert_fills(points, data.triangulate(points, [list(range(corners))]))


def degenerate_polygons():
  line = np.arange(6.)[:, None] * [1., 2., 3.]
  circle = np.arange(9)[:, None] * 4 * np.pi / 9   # twice around: a star that crosses itself
  return {
      'one place': np.ones([5, 3]),
      'line': line,
      'line there and back': np.concatenate([line, line[1:-1][::-1]]),
      'shuffled line': line[[3, 0, 5, 1, 4, 2]],
      'figure eight without area': np.array(
          [[0, 0, 0], [0, 2, 2], [0, 2, 0], [0, 0, 2]], np.float64),
      'crossing star': np.concatenate([np.cos(circle), np.sin(circle), 0 * circle], axis=1),
      'screw': np.concatenate([np.cos(circle), np.sin(circle), circle], axis=1),
      'two places': np.array([[0, 0, 0], [1, 0, 0]] * 4, np.float64),
      'noise': np.random.RandomState(0).randn(200, 3),
      'grid': np.random.RandomState(0).randint(0, 3, [200, 3]).astype(np.float64),
      'tiny': 1e-30 * np.random.RandomState(0).randn(7, 3),
      'huge': 1e30 * np.random.RandomState(0).randn(7, 3),
      'far away': 1e9 + np.random.RandomState(0).randn(7, 3),
  }


@pytest.mark.parametrize('name', sorted(degenerate_polygons()))
def test_degenerate_polygons_give_as_many_triangles(name):
  points = degenerate_polygons()[name]
  face = list(range(len(points)))
  with np.errstate(all='raise', under='ignore'):
    triangles = data.triangulate(points, [face])
  assert triangles.shape == (len(points) - 2, 3)
  assert all(len(set(triangle)) == 3 for triangle in triangles.tolist())
  assert_edges_of_the_faces_remain(triangles, [face])


@relaxed
@given(strategies.bin_meshes())
def test_any_faces_keep_their_edges(mesh):
  vertices, faces = mesh
  triangles = data.triangulate(vertices, faces)
  assert triangles.dtype == np.int32
  assert len(triangles) == sum(len(face) - 2 for face in faces) > 0
  start = 0
  for face in faces:
    part = triangles[start:start + len(face) - 2]
    assert_edges_of_the_faces_remain(part, [face])
    assert set(part.ravel().tolist()) <= set(face)
    start += len(part)


@relaxed
@given(strategies.bin_meshes(), strategies.SEEDS)
def test_faces_do_not_depend_on_each_other(mesh, seed):
  vertices, faces = mesh
  # No two diagonals are alike, so that no rounding decides.
  vertices = vertices + np.random.RandomState(seed).randn(*vertices.shape)
  alone = [data.triangulate(vertices, [face]) for face in faces]
  np.testing.assert_array_equal(data.triangulate(vertices, faces), np.concatenate(alone))


def test_many_polygons_are_as_good_as_few():
  vertices, faces = data.primitive_meshes()['cube']
  few = data.triangulate(vertices, faces)
  many = data.triangulate(vertices, faces * 5000)
  np.testing.assert_array_equal(many, np.tile(few, [5000, 1]))


@pytest.mark.parametrize('name', sorted(data.primitive_meshes()))
def test_closed_meshes_stay_closed(name):
  vertices, faces = data.primitive_meshes()[name]
  triangles = data.triangulate(vertices, faces)
  edges = directed_edges(triangles)
  assert len(edges) == 3 * len(triangles) > 0
  assert all((b, a) in edges for a, b in edges)


def test_triangles_stay_as_they_are():
  faces = [[2, 0, 1], [1, 1, 1], [0, 1, 2]]
  assert data.triangulate(np.zeros([3, 3]), faces).tolist() == faces


@pytest.mark.parametrize('faces', [[], [[]], [[0], [0, 1]], np.zeros([0, 3], int)])
def test_nothing_to_cut(faces):
  for vertices in (np.eye(3), np.zeros([0, 3])):
    triangles = data.triangulate(vertices, faces)
    assert triangles.dtype == np.int32 and triangles.shape == (0, 3)


def test_arrays_and_lists_are_alike_and_left_alone():
  vertices, faces = data.primitive_meshes()['cube']
  before = vertices.copy(), [list(face) for face in faces]
  expected = data.triangulate(vertices, faces)
  np.testing.assert_array_equal(data.triangulate(vertices.tolist(), np.array(faces)), expected)
  np.testing.assert_array_equal(vertices, before[0])
  assert faces == before[1]
