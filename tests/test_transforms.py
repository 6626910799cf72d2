import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import naive
import strategies
from polygen import data
from polygen.data import augment, faces as polygons

relaxed = settings(deadline=None, max_examples=50)


def assert_same_mesh(a, b):
  assert a[0].tolist() == b[0].tolist()
  assert a[1] == b[1]


def cycles_by_position(vertices, faces):
  """Cyclic corner positions of faces, independent of names, order and first corner."""
  points = [tuple(point) for point in np.asarray(vertices).tolist()]
  return {tuple(min(naive.rotations([points[index] for index in face]))) for face in faces}


def edges_by_position(vertices, faces):
  points = [tuple(point) for point in np.asarray(vertices).tolist()]
  return {(points[a], points[b]) for face in faces for a, b in zip(face, face[1:] + face[:1])}


def canonical_or_none(vertices, faces):
  try:
    return data.canonical_mesh(vertices, faces)
  except ValueError:
    return None


# Quantisation.


@pytest.mark.parametrize('bits', range(4, 13))
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_every_bin_survives_the_round_trip(bits, dtype):
  bins = np.arange(2 ** bits)
  coordinates = data.dequantize_verts(bins, bits)
  assert coordinates.dtype == np.float32
  assert coordinates[0] == -0.5 and coordinates[-1] == 0.5
  back = data.quantize_verts(coordinates.astype(dtype), bits)
  assert back.dtype == np.int32
  np.testing.assert_array_equal(back, bins)
  exact = bins.astype(dtype) / dtype(2 ** bits - 1) - dtype(0.5)
  np.testing.assert_array_equal(data.quantize_verts(exact, bits), bins)


@pytest.mark.parametrize('bits', range(4, 13))
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_ties_go_down_under_noise(bits, dtype):
  lower = np.arange(2 ** bits - 1)
  noise = np.random.default_rng(bits).uniform(-8e-4, 8e-4, lower.shape)
  ties = ((lower + 0.5 + noise) / (2 ** bits - 1) - 0.5).astype(dtype)
  np.testing.assert_array_equal(data.quantize_verts(ties, bits), lower)


@relaxed
@given(st.lists(st.floats(-0.6, 0.6), min_size=1, max_size=20), strategies.BITS)
def test_quantize_finds_the_nearest_bin_and_agrees_with_the_naive_twin(coordinates, bits):
  bins = data.quantize_verts(coordinates, bits)
  assert bins.tolist() == [naive.quantize(coordinate, bits) for coordinate in coordinates]
  error = np.abs(np.clip(coordinates, -0.5, 0.5) - data.dequantize_verts(bins, bits))
  assert error.max() * (2 ** bits - 1) <= 0.502


@relaxed
@given(strategies.BITS, strategies.SEEDS)
def test_noise_stays_in_the_bin(bits, seed):
  bins = np.arange(2 ** bits)
  noisy = data.dequantize_verts(bins, bits, add_noise=True, rng=np.random.default_rng(seed))
  assert (noisy != data.dequantize_verts(bins, bits)).any()
  assert (noisy < data.dequantize_verts(bins, bits)).any()
  np.testing.assert_array_equal(data.quantize_verts(noisy, bits), bins)
  again = data.dequantize_verts(bins, bits, add_noise=True, rng=np.random.default_rng(seed))
  np.testing.assert_array_equal(noisy, again)


@pytest.mark.parametrize('bits', [0, -1, 17])
def test_impossible_bits(bits):
  with pytest.raises(ValueError, match='quantization bits'):
    data.quantize_verts(np.zeros(3), bits)
  with pytest.raises(ValueError, match='quantization bits'):
    data.dequantize_verts(np.zeros(3, int), bits)


@pytest.mark.parametrize('name', ['cube', 'cylinder', 'cone', 'icosphere'])
def test_recentred_copies_keep_their_shape(name):
  bins = data.process_mesh(*data.primitive_meshes()[name])['vertices']
  rng = np.random.default_rng(0)
  for _ in range(50):
    moved = data.dequantize_verts(data.random_shift(bins, rng=rng))
    back = data.quantize_verts(data.center_vertices(moved))
    difference = back - bins
    assert (difference == difference[0]).all()
    assert np.abs(difference).max() <= 1


# Centre and scale.


@relaxed
@given(strategies.file_meshes())
def test_centre_and_scale(mesh):
  vertices = mesh[0].astype(np.float64)
  assume(np.ptp(vertices, axis=0).max() > 1e-3)
  normal = data.normalize_vertices_scale(data.center_vertices(vertices))
  np.testing.assert_allclose(normal.min(axis=0) + normal.max(axis=0), 0, atol=1e-9)
  assert np.linalg.norm(np.ptp(normal, axis=0)) == pytest.approx(1)
  assert np.abs(normal).max() <= 0.5 + 1e-9


def test_a_point_has_no_scale():
  with pytest.raises(ValueError, match='coincide'):
    data.normalize_vertices_scale(np.ones((4, 3)))


# Faces.


@relaxed
@given(st.lists(st.integers(0, 5), min_size=3, max_size=14))
def test_split_gives_simple_cycles_of_the_same_edges(face):
  cycles = polygons.split_face(face)
  assert cycles == [cycle for cycle in naive.split(face) if len(cycle) >= 3]
  for cycle in cycles:
    assert len(set(cycle)) == len(cycle)
  edges = list(zip(face, face[1:] + face[:1]))
  for cycle in cycles:
    for edge in zip(cycle, cycle[1:] + cycle[:1]):
      edges.remove(edge)


def test_split_of_a_figure_eight():
  assert polygons.split_face([0, 1, 2, 0, 3, 4]) == [[0, 1, 2], [0, 3, 4]]
  assert polygons.split_face([0, 1, 2, 3, 2, 4]) == [[0, 1, 2, 4]]


# The canonical form.


@relaxed
@given(strategies.bin_meshes())
def test_canonical_mesh_agrees_with_the_naive_twin(mesh):
  vertices, faces = mesh
  points, cycles = naive.canonical_mesh([tuple(point) for point in vertices.tolist()], faces)
  result = canonical_or_none(vertices, faces)
  if result is None:
    assert cycles == []
  else:
    assert result[0].dtype == np.int32
    assert [tuple(point) for point in result[0].tolist()] == points
    assert result[1] == cycles


@relaxed
@given(strategies.bin_meshes())
def test_canonical_mesh_is_in_canonical_form(mesh):
  result = canonical_or_none(*mesh)
  assume(result is not None)
  vertices, faces, _ = result
  keys = [tuple(point[::-1]) for point in vertices.tolist()]
  assert keys == sorted(set(keys))
  assert sorted({index for face in faces for index in face}) == list(range(len(vertices)))
  for face in faces:
    assert len(face) >= 3 and len(set(face)) == len(face) and face[0] == min(face)
    assert all(type(index) is int for index in face)
  order = [(sorted(face), face) for face in faces]
  assert all(a < b for a, b in zip(order, order[1:]))


@relaxed
@given(strategies.bin_meshes())
def test_canonical_mesh_is_idempotent(mesh):
  result = canonical_or_none(*mesh)
  assume(result is not None)
  assert_same_mesh(data.canonical_mesh(result[0], result[1]), result)
  for bits in (4, 8, 12):
    coordinates = data.dequantize_verts(result[0], bits)
    assert_same_mesh(
        data.quantize_process_mesh(coordinates, result[1], quantization_bits=bits), result)


@relaxed
@given(strategies.bin_meshes(), st.randoms(use_true_random=False))
def test_canonical_mesh_ignores_names_order_and_first_corners(mesh, random):
  vertices, faces = mesh
  result = canonical_or_none(vertices, faces)
  new_index = list(range(len(vertices)))
  random.shuffle(new_index)
  renamed = np.empty_like(vertices)
  renamed[new_index] = vertices
  faces = [[new_index[index] for index in face] for face in faces]
  random.shuffle(faces)
  faces = [random.choice(naive.rotations(face)) for face in faces]
  other = canonical_or_none(renamed, faces)
  assert (result is None) == (other is None)
  if result is not None:
    assert_same_mesh(result, other)


@relaxed
@given(strategies.distinct_bin_meshes())
def test_simple_faces_keep_their_cycles(mesh):
  vertices, faces = mesh
  result = data.canonical_mesh(vertices, faces)
  assert cycles_by_position(*result[:2]) == cycles_by_position(vertices, faces)


@relaxed
@given(strategies.bin_meshes())
def test_winding_is_kept_edge_by_edge(mesh):
  result = canonical_or_none(*mesh)
  assume(result is not None)
  assert edges_by_position(*result[:2]) <= edges_by_position(*mesh)


@relaxed
@given(strategies.bin_meshes())
def test_triangles_follow_the_vertices(mesh):
  vertices, faces = mesh
  tris = [face[:3] for face in faces]
  try:
    new_vertices, new_faces, new_tris = data.canonical_mesh(vertices, tris, tris)
  except ValueError:
    return
  assert new_tris.dtype == np.int32 and new_tris.shape[1:] == (3,)
  assert (cycles_by_position(new_vertices, new_tris.tolist())
          == cycles_by_position(new_vertices, new_faces))


def test_triangles_that_lose_a_corner_go():
  vertices = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9], [1, 1, 1]])
  faces = [[0, 1, 2]]
  tris = np.array([[0, 1, 2], [0, 1, 4], [1, 1, 2]])
  assert data.canonical_mesh(vertices, faces, tris)[2].tolist() == [[0, 1, 2]]
  assert data.canonical_mesh(vertices, faces, tris[1:])[2].shape == (0, 3)
  assert data.canonical_mesh(vertices, faces)[2] is None


# The whole.


@relaxed
@given(strategies.file_meshes(), strategies.BITS)
def test_process_mesh_agrees_with_the_naive_twin(mesh, bits):
  vertices, faces = mesh
  used = vertices[[index for face in faces for index in face]]
  if np.ptp(used.astype(np.float64), axis=0).max() == 0:
    with pytest.raises(ValueError, match='coincide'):
      data.process_mesh(vertices, faces, bits)
    return
  points, cycles = naive.process_mesh(vertices.astype(np.float64).tolist(), faces, bits)
  if not cycles:
    with pytest.raises(ValueError, match='no face is left'):
      data.process_mesh(vertices, faces, bits)
    return
  result = data.process_mesh(vertices, faces, bits)
  assert result['vertices'].dtype == np.int32 and result['faces'].dtype == np.int32
  assert [tuple(point) for point in result['vertices'].tolist()] == points
  assert result['faces'].tolist() == naive.face_tokens(cycles)
  assert 0 <= result['vertices'].min() and result['vertices'].max() < 2 ** bits


@relaxed
@given(strategies.SEEDS)
def test_larger_meshes_of_mixed_polygons_agree_with_the_naive_twin(seed):
  rng = np.random.default_rng(seed)
  vertices = rng.integers(-9, 10, [40, 3]).astype(np.float32)
  faces = [rng.integers(0, 40, rng.integers(3, 9)).tolist() for _ in range(60)]
  faces += [face[1:] + face[:1] for face in faces[:9]]
  points, cycles = naive.process_mesh(vertices.astype(np.float64).tolist(), faces, 6)
  assert len(set(map(len, cycles))) > 2
  result = data.process_mesh(vertices, faces, 6)
  assert [tuple(point) for point in result['vertices'].tolist()] == points
  assert result['faces'].tolist() == naive.face_tokens(cycles)


def test_unused_vertices_do_not_count():
  vertices, faces = data.primitive_meshes()['cone']
  far = np.concatenate([vertices, [[100., 0., 0.]]]).astype(np.float32)
  far[-1, 1] = np.nan
  expected, found = data.process_mesh(vertices, faces), data.process_mesh(far, faces)
  np.testing.assert_array_equal(expected['vertices'], found['vertices'])
  np.testing.assert_array_equal(expected['faces'], found['faces'])


def test_the_input_stays_as_it_was():
  vertices, faces = data.primitive_meshes()['cube']
  before = vertices.copy(), [list(face) for face in faces]
  data.process_mesh(vertices, faces)
  np.testing.assert_array_equal(vertices, before[0])
  assert faces == before[1]


def test_faces_may_be_arrays():
  vertices, faces = data.primitive_meshes()['icosphere']
  expected = data.process_mesh(vertices, faces)
  for given_faces in (np.array(faces), [np.array(face, np.int32) for face in faces]):
    np.testing.assert_array_equal(
        data.process_mesh(vertices, given_faces)['faces'], expected['faces'])


@pytest.mark.parametrize('faces, reason', [
    ([], 'no faces'),
    ([[0, 1, 3]], 'vertex 3'),
    ([[0, 1, -1]], 'vertex -1'),
    ([[0, 1, 1]], 'no face is left'),
])
def test_bad_faces(faces, reason):
  with pytest.raises(ValueError, match=reason):
    data.process_mesh(np.eye(3), faces)


def test_bad_vertices():
  vertices = np.eye(3)
  vertices[1, 1] = np.inf
  with pytest.raises(ValueError, match='not finite'):
    data.process_mesh(vertices, [[0, 1, 2]])


# Augmentation.


@relaxed
@given(strategies.BITS, st.data(), strategies.SEEDS, st.floats(0, 1))
def test_shift_stays_in_range_and_moves_all_vertices_alike(bits, draw, seed, shift_factor):
  max_bin = 2 ** bits - 1
  coordinate = st.integers(0, max_bin)
  vertices = np.array(draw.draw(st.lists(
      st.tuples(coordinate, coordinate, coordinate), min_size=1, max_size=5)), np.int32)
  moved = data.random_shift(vertices, shift_factor, bits, np.random.default_rng(seed))
  assert moved.dtype == np.int32
  assert moved.min() >= 0 and moved.max() <= max_bin
  assert ((moved - vertices) == (moved - vertices)[0]).all()
  again = data.random_shift(vertices, shift_factor, bits, np.random.default_rng(seed))
  np.testing.assert_array_equal(moved, again)


def normal_cdf(x):
  return 0.5 * (1 + math.erf(x / math.sqrt(2)))


@pytest.mark.parametrize('low, high', [(-0.3, 0.2), (0., 0.5), (-2., 2.), (-0.1, 4.), (-9., 9.)])
def test_shift_is_truncated_not_clipped(low, high):
  rng = np.random.default_rng(1)
  found = np.sort([augment.truncated_normal(rng, 1., low, high) for _ in range(5000)])
  assert low <= found[0] and found[-1] <= high
  assert len(set(found.tolist())) == 5000
  expected = np.array([normal_cdf(x) - normal_cdf(low) for x in found])
  expected /= normal_cdf(high) - normal_cdf(low)
  assert np.abs(expected - np.arange(5000) / 5000).max() < 0.03


def test_shift_is_rounded_toward_zero():
  rng = np.random.default_rng(2)
  vertices = np.full((1, 3), 7)
  shifts = np.concatenate(
      [data.random_shift(vertices, 0.1, 4, rng)[0] - 7 for _ in range(2000)])
  share = np.mean(shifts == 0)
  assert share == pytest.approx(normal_cdf(1 / 1.5) - normal_cdf(-1 / 1.5), abs=0.03)
  assert abs(shifts.mean()) < 0.1


def test_shift_refuses_what_is_out_of_range():
  with pytest.raises(ValueError, match='between 0 and 15'):
    data.random_shift(np.full((2, 3), 16), quantization_bits=4)


@relaxed
@given(strategies.distinct_bin_meshes(), strategies.SEEDS)
def test_shuffled_vertices_are_the_same_mesh(mesh, seed):
  vertices, faces, _ = data.canonical_mesh(*mesh)
  flat = data.flatten_faces(faces)
  shuffled, renamed = data.shuffle_vertices(vertices, flat, np.random.default_rng(seed))
  assert renamed.dtype == np.int32
  for before, after in zip(faces, data.unflatten_faces(renamed)):
    assert vertices[before].tolist() == shuffled[after].tolist()
  np.testing.assert_array_equal(renamed < 2, flat < 2)
  assert_same_mesh(data.canonical_mesh(shuffled, data.unflatten_faces(renamed)),
                   (vertices, faces))


def test_shuffling_shuffles_without_a_generator():
  vertices, flat = np.arange(90).reshape(30, 3), np.array([2, 3, 4, 0])
  results = [data.shuffle_vertices(vertices, flat)[0].tolist() for _ in range(3)]
  assert results[0] != results[1] or results[1] != results[2]


# Speed.


@pytest.mark.slow
def test_speed():
  from benchmarks import meshes
  tokens, growth = meshes.file_to_tokens(), meshes.growth()
  print(f'\nfile to tokens: {tokens.in_units:.3f} u {tokens.details}')
  print(f'time per vertex, 50,000 over 500 vertices: {growth.value:.2f} {growth.details}')
  assert tokens.in_units <= 0.35
  assert growth.value <= 3
