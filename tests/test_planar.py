"""N-gons cut into triangles come back; what is not flat stays within the tolerance."""
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import strategies
from polygen import data
from polygen.data import planar
from polygen.data.planar import merge_planar

relaxed = settings(deadline=None, max_examples=30)
SMALL = 1e-3   # degrees


def rotation(rng):
  """A random rotation matrix [3, 3]."""
  matrix = np.linalg.qr(rng.randn(3, 3))[0]
  return matrix * np.sign(np.linalg.det(matrix))


def moved(vertices, rng):
  return np.asarray(vertices, np.float64) @ rotation(rng).T + rng.randn(3)


def mixed(faces, rng):
  """The same faces in another order, each from another corner."""
  faces = [[int(index) for index in faces[number]] for number in rng.permutation(len(faces))]
  starts = [rng.randint(len(face)) for face in faces]
  return [face[start:] + face[:start] for face, start in zip(faces, starts)]


def soup(vertices, faces):
  """Every face with vertices of its own."""
  corners = np.array([index for face in faces for index in face])
  ends = np.cumsum([len(face) for face in faces])
  return np.asarray(vertices)[corners], [
      list(range(end - len(face), end)) for face, end in zip(faces, ends)]


def polygons(vertices, faces):
  """The faces as cycles of coordinates; neither numbers nor order nor first corner matter."""
  corners = [tuple(row) for row in np.asarray(vertices, np.float64).tolist()]
  cycles = [[corners[index] for index in face] for face in faces]
  starts = [cycle.index(min(cycle)) for cycle in cycles]
  return sorted(tuple(cycle[i:] + cycle[:i]) for cycle, i in zip(cycles, starts))


def star(rng, corners):
  """A polygon around 0 whose radius changes at random; [n, 2]."""
  angles = 2 * np.pi * (np.arange(corners) + 0.8 * rng.rand(corners)) / corners
  return rng.uniform(0.2, 1, [corners, 1]) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def regular(corners):
  angles = 2 * np.pi * np.arange(corners) / corners
  return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def bends(outline):
  """The angles [n] in degrees by which a polygon [n, 2] or [n, 3] turns."""
  sides = np.roll(outline, -1, axis=0) - outline
  sides = sides / np.linalg.norm(sides, axis=1, keepdims=True)
  cosines = (sides * np.roll(sides, 1, axis=0)).sum(axis=1)
  return np.degrees(np.arccos(np.clip(cosines, -1, 1)))


def prism(outline, height=0.7):
  """Over a polygon [n, 2] that winds counter-clockwise; winding outward."""
  n = len(outline)
  vertices = np.concatenate([np.pad(outline, [(0, 0), (0, 1)]),
                             np.pad(outline, [(0, 0), (0, 1)]) + [0, 0, height]])
  sides = [[i, (i + 1) % n, (i + 1) % n + n, i + n] for i in range(n)]
  return vertices, [list(range(n))[::-1], list(range(n, 2 * n))] + sides


def split_sides(vertices, faces, rng):
  """The same mesh with a corner in the middle of some edges."""
  vertices, middles = list(np.asarray(vertices, np.float64)), {}
  result = []
  for face in faces:
    corners = []
    for a, b in zip(face, face[1:] + face[:1]):
      edge = min(a, b), max(a, b)
      if edge not in middles:
        middles[edge] = len(vertices) if rng.rand() < 0.5 else None
        vertices.append((vertices[a] + vertices[b]) / 2)
      corners += [a] if middles[edge] is None else [a, middles[edge]]
    result.append(corners)
  return np.array(vertices), result


def subdivided(vertices, faces, times):
  """Triangles cut into four, times over."""
  vertices, faces = np.asarray(vertices, np.float64).tolist(), [list(face) for face in faces]
  for _ in range(times):
    middles, finer = {}, []

    def middle(i, j):
      edge = min(i, j), max(i, j)
      if edge not in middles:
        middles[edge] = len(vertices)
        vertices.append(np.add(vertices[i], vertices[j]).__truediv__(2).tolist())
      return middles[edge]

    for a, b, c in faces:
      ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
      finer += [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
    faces = finer
  return np.array(vertices), faces


def sphere(times):
  vertices, faces = subdivided(*data.primitive_meshes()['icosphere'], times=times)
  return vertices / np.linalg.norm(vertices, axis=1, keepdims=True), faces


def plate(size, rng, keep=1., noise=0.):
  """Triangles of a grid of cells, of which a share is kept, cut along either diagonal."""
  x, y = np.meshgrid(np.arange(size + 1.), np.arange(size + 1.), indexing='ij')
  vertices = np.stack([x, y, noise * rng.randn(*x.shape)], axis=-1).reshape(-1, 3)
  faces = []
  for cell in np.flatnonzero(rng.rand(size * size) < keep).tolist():
    a = cell // size * (size + 1) + cell % size
    b, c, d = a + size + 1, a + size + 2, a + 1
    faces += [[a, b, c], [a, c, d]] if rng.rand() < 0.5 else [[a, b, d], [b, c, d]]
  return vertices, faces


def area_vectors(vertices, faces):
  vertices = np.asarray(vertices, np.float64)
  return np.array([np.cross(vertices[face], np.roll(vertices[face], -1, axis=0)).sum(axis=0) / 2
                   for face in faces]).reshape(-1, 3)


def area(vertices, faces):
  return np.linalg.norm(area_vectors(vertices, faces), axis=1).sum()


def volume(vertices, faces):
  a, b, c = np.moveaxis(np.asarray(vertices, np.float64)[data.triangulate(vertices, faces)], 1, 0)
  return (a * np.cross(b, c)).sum() / 6


def directed_edges(faces):
  return Counter(edge for face in faces for edge in zip(face, list(face[1:]) + list(face[:1])))


def assert_simple(faces):
  assert all(len(set(face)) == len(face) >= 3 for face in faces)


def assert_closed(faces):
  edges = directed_edges(faces)
  assert edges and max(edges.values()) == 1
  assert all((b, a) in edges for a, b in edges)


def assert_nothing_left_to_merge(faces):
  """No two flat faces have one simple cycle around both; returns how many pairs were looked at."""
  edges = directed_edges(faces)
  owner = {edge: number for number, face in enumerate(faces)
           for edge in zip(face, face[1:] + face[:1])}
  pairs = {(owner[a, b], owner[b, a]) for a, b in edges if a < b and (b, a) in edges}
  for one, other in pairs:
    both = directed_edges([faces[one], faces[other]])
    rim = [(a, b) for a, b in both if (b, a) not in both]
    following = dict(rim)
    corner, length = rim[0][0], 0
    while length < len(rim) and (length == 0 or corner != rim[0][0]):
      corner, length = following[corner], length + 1
    assert len(following) < len(rim) or length < len(rim), (faces[one], faces[other])
  return len(pairs)


@pytest.mark.parametrize('name', sorted(data.primitive_meshes()))
@pytest.mark.parametrize('as_soup', [False, True])
def test_triangulated_primitives_come_back(name, as_soup):
  vertices, faces = data.primitive_meshes()[name]
  expected = data.process_mesh(vertices, faces)
  for seed in range(5):
    rng = np.random.RandomState(seed)
    triangles = mixed(data.triangulate(vertices, faces), rng)
    mesh = soup(vertices, triangles) if as_soup else (vertices, triangles)
    merged = merge_planar(*mesh, degrees=5)
    assert_closed(merged)
    assert polygons(mesh[0], merged) == polygons(vertices, faces)
    processed = data.process_mesh(mesh[0], merged)
    for key in ('vertices', 'faces'):
      np.testing.assert_array_equal(processed[key], expected[key])


def test_known_counts():
  counts = {}
  for name, (vertices, faces) in data.primitive_meshes().items():
    merged = merge_planar(vertices, data.triangulate(vertices, faces), 5)
    counts[name] = Counter(map(len, merged))
  assert counts == {'cube': {4: 6}, 'cylinder': {32: 2, 4: 32}, 'cone': {32: 1, 3: 32},
                    'icosphere': {3: 80}}


@relaxed
@given(strategies.SEEDS, st.integers(3, 20), st.booleans(), st.booleans())
def test_prisms_come_back(seed, corners, convex, with_middles):
  rng = np.random.RandomState(seed)
  outline = regular(corners) if convex else star(rng, max(corners, 5))
  assume(bends(outline).min() > 10 * SMALL)
  vertices, faces = prism(outline)
  vertices = moved(vertices, rng)
  finer = split_sides(vertices, faces, rng) if with_middles else (vertices, faces)
  triangles = mixed(data.triangulate(*finer), rng)
  merged = merge_planar(finer[0], triangles, SMALL)
  assert polygons(finer[0], merged) == polygons(vertices, faces)


@relaxed
@given(strategies.SEEDS, st.integers(3, 8), st.integers(1, 3))
def test_fine_triangles_make_the_same_prism(seed, corners, times):
  rng = np.random.RandomState(seed)
  outline = star(rng, max(corners, 5))
  assume(bends(outline).min() > 10 * SMALL)
  vertices, faces = prism(outline)
  vertices = moved(vertices, rng)
  finer, triangles = subdivided(vertices, data.triangulate(vertices, faces).tolist(), times)
  merged = merge_planar(finer, mixed(triangles, rng), SMALL)
  assert polygons(finer, merged) == polygons(vertices, faces)
  assert volume(finer, merged) == pytest.approx(volume(finer, triangles), rel=1e-9)
  assert area(finer, merged) == pytest.approx(area(finer, triangles), rel=1e-9)


def test_holes_are_never_made():
  checked = 0
  for seed in range(80):
    rng = np.random.RandomState(seed)
    vertices, faces = plate(rng.randint(2, 9), rng, keep=rng.uniform(0.6, 1))
    if not faces:
      continue
    merged = merge_planar(vertices, mixed(faces, rng), 5)
    assert_simple(merged)
    assert max(directed_edges(merged).values()) == 1
    assert area(vertices, merged) == pytest.approx(area(vertices, faces), rel=1e-12)
    assert (area_vectors(vertices, merged)[:, 2] > 0).all()
    checked += assert_nothing_left_to_merge(merged)
    again = merge_planar(vertices, merged, 5)
    assert polygons(vertices, again) == polygons(vertices, merged)
  assert checked > 40


def test_a_square_hole():
  vertices, faces = plate(3, np.random.RandomState(0))
  ring = [face for face in faces if not set(face) <= {5, 6, 9, 10}]
  assert len(ring) == 16
  merged = merge_planar(vertices, ring, 5)
  assert_simple(merged)
  assert len(merged) == 2 and area(vertices, merged) == 8
  assert len(merge_planar(vertices, faces, 5)) == 1


def test_a_whole_plate_is_one_square_in_any_order():
  vertices, faces = plate(12, np.random.RandomState(0))
  corners = (0., 0., 0.), (12., 0., 0.), (12., 12., 0.), (0., 12., 0.)
  for seed in range(10):
    merged = merge_planar(vertices, mixed(faces, np.random.RandomState(seed)), 5)
    assert polygons(vertices, merged) == [corners]


@pytest.mark.parametrize('degrees', [2, 5, 10, 20])
def test_a_sphere_keeps_its_shape(degrees):
  vertices, faces = sphere(3)
  merged = merge_planar(vertices, faces, degrees)
  assert_simple(merged)
  assert_closed(merged)
  assert len(merged) < len(faces)
  if degrees >= 10:
    assert len(merged) < len(faces) / 10
  assert volume(vertices, merged) == pytest.approx(volume(vertices, faces), rel=0.03)


def rough_sphere(seed):
  rng = np.random.RandomState(seed)
  vertices, faces = sphere(2)
  vertices *= 1 + rng.uniform(0.001, 0.02) * rng.randn(len(vertices), 1)
  return vertices, mixed(faces, rng)


def angles_within(vertices, faces, degrees):
  """The angle of every face with the sum of the area vectors of its region, and region sizes."""
  regions = planar._merge_faces(np.asarray(vertices), faces, degrees)
  members = {}
  for number in range(len(faces)):
    members.setdefault(regions.find(number), []).append(number)
  areas, angles = area_vectors(vertices, faces), []
  for numbers in members.values():
    whole = areas[numbers].sum(axis=0)
    across = np.linalg.norm(np.cross(areas[numbers], whole), axis=1)
    angles += np.degrees(np.arctan2(across, areas[numbers] @ whole)).tolist()
  return np.array(angles), [len(numbers) for numbers in members.values()]


@pytest.mark.parametrize('degrees', [
    5, 60, *(pytest.param(degrees, marks=pytest.mark.slow) for degrees in (1, 20))])
def test_no_face_leaves_the_plane_of_its_region(degrees):
  for vertices, faces in [sphere(2), sphere(3)] + [rough_sphere(seed) for seed in range(5)]:
    angles, sizes = angles_within(vertices, faces, degrees)
    assert len(angles) == len(faces) and angles.max() <= degrees + 1e-6
    if degrees > 5:
      assert max(sizes) > 3 and angles.max() > degrees / 2


@pytest.mark.parametrize('degrees', [1, 10, 20, 45])
def test_closed_meshes_stay_closed(degrees):
  for seed in range(5):
    vertices, faces = rough_sphere(seed)
    merged = merge_planar(vertices, faces, degrees)
    assert_simple(merged)
    assert_closed(merged)
    if degrees > 1:
      assert len(merged) < len(faces)


def test_the_order_of_faces_and_vertices_does_not_matter():
  for noise in (0., 0.03, 0.1):
    vertices, faces = plate(10, np.random.RandomState(1), keep=0.9, noise=noise)
    expected = polygons(vertices, merge_planar(vertices, faces, 8))
    assert 1 < len(expected) < len(faces)
    for seed in range(5):
      rng = np.random.RandomState(seed)
      order = rng.permutation(len(vertices))
      renamed = [[int(index) for index in np.argsort(order)[face]] for face in mixed(faces, rng)]
      merged = merge_planar(vertices[order], renamed, 8)
      assert polygons(vertices[order], merged) == expected


def test_two_faces_merge_up_to_the_tolerance():
  for degrees in (1., 10., 30., 80.):
    for bend, num_faces in ((degrees - 0.01, 1), (degrees + 0.01, 2)):
      wing = [np.cos(np.radians(bend)), 0.5, np.sin(np.radians(bend))]
      vertices = np.array([[0, 0, 0], [0, 1, 0], [-1e-3, 0.5, 0], wing])   # one area dominates
      assert len(merge_planar(vertices, [[0, 1, 2], [1, 0, 3]], degrees)) == num_faces


SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0], [0.5, 0.5, 1]], float)


@pytest.mark.parametrize('faces', [
    [[0, 1, 2], [0, 3, 2]],                         # wound the other way
    [[0, 1, 2], [0, 2, 3], [0, 2, 5]],              # three faces at an edge
    [[0, 1, 2], [0, 2, 3], [2, 0, 1]],              # one face twice
    [[0, 1, 2], [0, 2, 3], [0, 3, 2]],              # both sides of one face
    [[0, 1, 4], [0, 2, 3]],                         # a corner alone; no area
    [[0, 1, 2, 1, 2, 3], [0, 2, 5], [0, 0, 1]],     # a place twice
    [[0, 1], [3], [], [1, 1, 1]],
    [],
])
def test_left_as_they_are(faces):
  assert merge_planar(SQUARE, faces, 5) == faces


def test_collapsed_faces_do_not_count():
  assert merge_planar(SQUARE, [[0, 1, 2], [0, 2, 0], [0, 2, 3]], 5) == [[0, 1, 2, 3], [0, 2, 0]]


def test_equal_faces_are_not_made():
  merged = merge_planar(SQUARE, [[0, 1, 2], [0, 2, 3], [0, 1, 3], [1, 2, 3]], 5)
  assert sorted(map(len, merged)) == [3, 3, 4]
  two_sides = [[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]]
  assert merge_planar(SQUARE, two_sides, 5) == [[0, 1, 2, 3], [0, 3, 2, 1]]


def test_faces_that_share_a_path_lose_what_is_inside():
  vertices = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0], [1, 1, 0], [1.2, 0.5, 0]])
  merged = merge_planar(vertices, [[0, 1, 5, 4, 3], [3, 4, 5, 1, 2]], 5)
  assert merged == [[0, 1, 2, 3]]


def test_straight_corners_go_from_all_their_faces_or_none():
  vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0],
                       [2, 0, 1], [1, 0, 1], [0, 0, 1]])
  roof = [0, 1, 2, 3, 4]
  assert merge_planar(vertices, [roof], 5) == [[0, 2, 3, 4]]
  assert merge_planar(vertices, [roof, [2, 1, 0, 7, 5]], 5) == [[0, 2, 3, 4], [2, 0, 7, 5]]
  triangle = [2, 1, 0]   # no area: left alone, and so is the face it leans on
  assert merge_planar(vertices, [roof, triangle], 5) == [roof, triangle]
  wall = [2, 1, 6, 5]      # shares one of the two edges only
  assert merge_planar(vertices, [roof, wall], 5) == [roof, wall]


@pytest.mark.parametrize('degrees', [3, 10, 20])
def test_round_outlines_are_not_cut_off(degrees):
  outline = np.pad(regular(360), [(0, 0), (0, 1)])
  face, = merge_planar(outline, [list(range(360))], degrees)
  assert 180 / degrees <= len(face) < 360 / degrees
  for a, b in zip(face, face[1:] + face[:1]):
    numbers = np.arange(a, b + 1 if b > a else b + 361) % 360
    sides = np.diff(outline[numbers], axis=0)
    chord = outline[b] - outline[a]
    cosines = sides @ chord / np.linalg.norm(sides, axis=1) / np.linalg.norm(chord)
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).max() <= degrees + 1e-6
  assert area(outline, [face]) > 0.9 * np.pi


def assert_sound(vertices, faces, merged):
  """Only simple faces or such as were given; no directed edge more often than before."""
  places = {}
  first = [places.setdefault(tuple(row), number)
           for number, row in enumerate((np.asarray(vertices, np.float64) + 0.).tolist())]
  welded = [[first[index] for index in face] for face in faces]
  for face in merged:
    assert len(set(face)) == len(face) >= 3 or face in welded
  before, after = directed_edges(welded), directed_edges(merged)
  assert all(count <= max(1, before[edge]) for edge, count in after.items())
  assert {index for face in merged for index in face} <= set(first)


@pytest.mark.parametrize('meshes', [
    strategies.bin_meshes(), strategies.bin_meshes(strategies.simple_faces, max_bin=2),
    strategies.bin_meshes(strategies.simple_faces, max_bin=1),
    strategies.distinct_bin_meshes(), strategies.file_meshes()])
def test_any_faces(meshes):
  seen = []

  @settings(deadline=None, max_examples=60)
  @given(meshes, st.floats(0.5, 89))
  def check(mesh, degrees):
    vertices, faces = mesh
    merged = merge_planar(vertices, faces, degrees)
    assert len(merged) <= len(faces)
    assert_sound(vertices, faces, merged)
    seen.append(len(faces))

  check()
  assert len(seen) >= 30


def damaged(faces, num_vertices, rng):
  """Faces of which some are turned over, given twice, moved or made of several."""
  result = []
  for face in mixed(faces, rng):
    kind = rng.randint(12)
    if kind == 0:
      face = face[::-1]
    elif kind == 1:
      face = face[:-1] + [rng.randint(num_vertices)]
    elif kind == 2:
      face = face + rng.randint(num_vertices, size=2).tolist()
    result += [face] * (1 + (kind == 3))
  return result


def test_damaged_meshes_merge_where_they_are_sound():
  num_faces = num_merged = 0
  for seed in range(100):
    rng = np.random.RandomState(seed)
    vertices, faces = plate(rng.randint(1, 5), rng, noise=rng.choice([0, 0.05]))
    faces = damaged(faces, len(vertices), rng)
    merged = merge_planar(vertices, faces, 10)
    assert_sound(vertices, faces, merged)
    num_faces, num_merged = num_faces + len(faces), num_merged + len(faces) - len(merged)
  assert 0.2 * num_faces < num_merged < 0.8 * num_faces


@pytest.mark.parametrize('scale', [1e-300, 1e-200, 1e-30, 1e30, 1e100, 1e200, np.inf, np.nan])
def test_extreme_coordinates(scale):
  vertices, faces = data.primitive_meshes()['cube']
  triangles = data.triangulate(vertices, faces).tolist()
  vertices = np.asarray(vertices, np.float64) * scale
  with np.errstate(all='raise', under='ignore'):
    merged = merge_planar(vertices, triangles, 5)
  if scale in (1e-30, 1e30):
    assert len(merged) == 6
  elif not 0 < scale < 1e200 or scale < 1e-200:
    assert len(merged) == 12


@pytest.mark.parametrize('degrees', [0, -1, 90, 180, float('nan'), float('inf')])
def test_impossible_tolerances(degrees):
  with pytest.raises(ValueError, match='between 0 and 90'):
    merge_planar(SQUARE, [[0, 1, 2]], degrees)


@pytest.mark.parametrize('index', [-1, 6])
def test_impossible_indices(index):
  with pytest.raises(ValueError, match=f'vertex {index}, but the mesh has 6'):
    merge_planar(SQUARE, [[0, 1, index]], 5)


def test_arrays_and_lists_are_alike_and_left_alone():
  vertices, faces = data.primitive_meshes()['cube']
  triangles = data.triangulate(vertices, faces)
  before = vertices.copy(), triangles.copy()
  merged = merge_planar(vertices, triangles, 5)
  assert merge_planar(vertices.tolist(), triangles.tolist(), 5) == merged
  assert all(type(index) is int for face in merged for index in face)
  np.testing.assert_array_equal(vertices, before[0])
  np.testing.assert_array_equal(triangles, before[1])
