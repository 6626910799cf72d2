import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import strategies
from polygen import data, tokens

relaxed = settings(deadline=None, max_examples=25)
sizes = st.integers(1, 7)


def primitive_set():
  meshes = tuple(data.process_mesh(*mesh) for mesh in data.primitive_meshes().values())
  return meshes, np.arange(len(meshes), dtype=np.int32)


def assert_same_batch(a, b):
  assert a.keys() == b.keys() == {'vertex', 'face'}
  for part in a:
    assert a[part].keys() == b[part].keys() and a[part]
    for key in a[part]:
      assert a[part][key].dtype == b[part][key].dtype
      np.testing.assert_array_equal(a[part][key], b[part][key], key)


def row_of(batch, row):
  """The row without its padding: {key: array}."""
  vertex, face = batch['vertex'], batch['face']
  kept = {
      'vertices_flat': vertex['vertices_flat'][row][vertex['vertices_flat_mask'][row] > 0],
      'vertices': face['vertices'][row][face['vertices_mask'][row] > 0],
      'faces': face['faces'][row][face['faces_mask'][row] > 0],
      'vertex_label': vertex['class_label'][row],
      'face_label': face['class_label'][row],
  }
  return {key: value.tolist() for key, value in kept.items()}


# Order.


@relaxed
@given(sizes, sizes, st.integers(0, 5), strategies.SEEDS)
def test_every_epoch_sees_every_example_once(num_examples, batch_size, epochs, seed):
  steps = (epochs + 1) * num_examples
  stream = [pick for step in range(steps)
            for pick in data.batch_picks(num_examples, batch_size, step, seed)]
  assert len(stream) == steps * batch_size
  for epoch in range(epochs + 1):
    picks = stream[epoch * num_examples:(epoch + 1) * num_examples]
    assert sorted(picks) == [(epoch, index) for index in range(num_examples)]


@relaxed
@given(sizes, sizes, st.integers(0, 1000), strategies.SEEDS, sizes)
def test_workers_share_one_stream(num_examples, batch_size, step, seed, size):
  parts = [data.batch_picks(num_examples, batch_size, step, seed, rank, size)
           for rank in range(size)]
  whole = data.batch_picks(num_examples, batch_size * size, step, seed)
  assert sum(parts, []) == whole and len(whole) == batch_size * size


def test_order_changes_with_seed_and_epoch():
  def stream(seed, step):
    return [index for _, index in data.batch_picks(50, 50, step, seed)]
  orders = [stream(0, 0), stream(0, 1), stream(1, 0), stream(2, 0)]
  assert len(set(map(tuple, orders))) == 4
  assert stream(0, 10 ** 9) == stream(0, 10 ** 9)


def test_order_needs_examples_and_a_seed():
  with pytest.raises(ValueError, match='no examples'):
    data.batch_picks(0, 4, 0, 0)
  with pytest.raises(ValueError, match='seed'):
    data.batch_picks(5, 4, 0, -1)


# Batches.


@relaxed
@given(strategies.processed_sets(), sizes, strategies.SEEDS, st.integers(0, 100), st.booleans(),
       st.booleans())
def test_rows_are_the_picked_meshes(mesh_set, batch_size, seed, step, shift, shuffle):
  meshes, labels = mesh_set
  shape = data.padded_shape(meshes, batch_size)
  picks = data.batch_picks(len(meshes), batch_size, step, seed)
  batch = data.make_batch(meshes, labels, picks, shape, seed, random_shift=shift,
                          shuffle_vertices=shuffle)
  assert len(picks) == batch_size
  for row, (_, index) in enumerate(picks):
    mesh, found = meshes[index], row_of(batch, row)
    assert found['vertex_label'] == found['face_label'] == labels[index]
    vertices = data.unflatten_vertices(found['vertices_flat'])
    move = vertices - mesh['vertices']
    assert len(vertices) and (move == move[0]).all()
    assert shift or not move.any()
    assert 0 <= vertices.min() and vertices.max() <= 255
    face_vertices = data.quantize_verts(found['vertices'])
    assert sorted(face_vertices.tolist()) == sorted(vertices.tolist())
    assert shuffle or face_vertices.tolist() == vertices.tolist()
    faces = data.unflatten_faces(found['faces'])
    originals = data.unflatten_faces(mesh['faces'])
    assert len(faces) == len(originals) > 0
    for face, original in zip(faces, originals):
      assert face_vertices[face].tolist() == vertices[original].tolist()


@relaxed
@given(strategies.processed_sets(), sizes, strategies.SEEDS)
def test_shapes_and_padding(mesh_set, batch_size, seed):
  meshes, labels = mesh_set
  shape = data.padded_shape(meshes, batch_size)
  assert shape.batch_size == batch_size
  assert shape.num_vertices == max(len(mesh['vertices']) for mesh in meshes)
  assert shape.face_tokens == max(len(mesh['faces']) for mesh in meshes)
  batch = data.make_batch(
      meshes, labels, data.batch_picks(len(meshes), batch_size, 0, seed), shape, seed)
  vertex, face = batch['vertex'], batch['face']
  length = tokens.vertex_sequence_length(shape.num_vertices)
  expected = {
      'vertices_flat': (np.int32, (batch_size, length)),
      'vertices_flat_mask': (np.float32, (batch_size, length)),
      'vertices': (np.float32, (batch_size, shape.num_vertices, 3)),
      'vertices_mask': (np.float32, (batch_size, shape.num_vertices)),
      'faces': (np.int32, (batch_size, shape.face_tokens)),
      'faces_mask': (np.float32, (batch_size, shape.face_tokens)),
      'class_label': (np.int32, (batch_size,)),
  }
  found = {key: (value.dtype, value.shape) for part in (vertex, face)
           for key, value in part.items()}
  assert found == expected
  for values, mask in ((vertex['vertices_flat'], vertex['vertices_flat_mask']),
                       (face['vertices'], face['vertices_mask']),
                       (face['faces'], face['faces_mask'])):
    assert set(np.unique(mask)) <= {0., 1.}
    assert (np.diff(mask, axis=1) <= 0).all() and (mask[:, 0] == 1).all()
    assert not values[mask == 0].any()


@relaxed
@given(strategies.SEEDS, st.integers(0, 50), st.integers(0, 3), sizes, st.data())
def test_an_example_depends_on_seed_epoch_and_index_alone(seed, epoch, index, batch_size, draw):
  meshes, labels = primitive_set()
  row = draw.draw(st.integers(0, batch_size - 1))
  picks = [(epoch + 1, (index + 1) % 4)] * batch_size
  picks[row] = (epoch, index)
  shape = data.padded_shape(meshes, batch_size)
  alone = data.make_batch(meshes, labels, [(epoch, index)], data.BatchShape(1, 100, 400), seed,
                          random_shift=True)
  among = data.make_batch(meshes, labels, picks, shape, seed, random_shift=True)
  assert row_of(alone, 0) == row_of(among, row)
  other = data.make_batch(meshes, labels, [(epoch + 1, index)], data.BatchShape(1, 100, 400),
                          seed, random_shift=True)
  assert row_of(alone, 0)['vertices'] != row_of(other, 0)['vertices']


def test_equal_meshes_of_one_epoch_get_different_random_numbers():
  meshes, labels = primitive_set()
  meshes, labels = meshes[:1] * 6, labels[:1].repeat(6)
  batch = data.make_batch(meshes, labels, [(0, index) for index in range(6)],
                          data.padded_shape(meshes, 6), 0)
  assert len({str(row_of(batch, row)['vertices']) for row in range(6)}) == 6


@relaxed
@given(strategies.processed_sets(), sizes, strategies.SEEDS, st.integers(0, 6))
def test_training_continues_at_any_step(mesh_set, batch_size, seed, start):
  meshes, labels = mesh_set
  shape = data.padded_shape(meshes, batch_size)
  whole = list(data.training_batches(meshes, labels, shape, 0, 8, seed, random_shift=True))
  rest = list(data.training_batches(meshes, labels, shape, start, 8, seed, random_shift=True))
  assert len(whole) == 8 and len(rest) == 8 - start
  for a, b in zip(whole[start:], rest):
    assert_same_batch(a, b)


def test_workers_get_the_parts_of_the_global_batch():
  meshes, labels = primitive_set()
  small, large = data.padded_shape(meshes, 3), data.padded_shape(meshes, 6)
  parts = [list(data.training_batches(meshes, labels, small, 2, 4, 7, rank=rank, size=2))
           for rank in (0, 1)]
  whole = list(data.training_batches(meshes, labels, large, 2, 4, 7))
  assert len(whole) == 2
  for step, batch in enumerate(whole):
    rows = [row_of(batch, row) for row in range(6)]
    assert rows == [row_of(part[step], row) for part in parts for row in range(3)]


@relaxed
@given(strategies.processed_sets(), sizes)
def test_evaluation_covers_every_mesh_once_in_order(mesh_set, batch_size):
  meshes, labels = mesh_set
  shape = data.padded_shape(meshes, batch_size)
  batches = list(data.evaluation_batches(meshes, labels, shape))
  rows = [row_of(batch, row) for batch in batches for row in range(batch_size)]
  assert len(rows) == -(-len(meshes) // batch_size) * batch_size
  for mesh, label, row in zip(meshes, labels, rows):
    assert data.unflatten_vertices(row['vertices_flat']).tolist() == mesh['vertices'].tolist()
    assert data.quantize_verts(row['vertices']).tolist() == mesh['vertices'].tolist()
    assert row['faces'] == mesh['faces'].tolist()
    assert row['vertex_label'] == row['face_label'] == label
  for row in rows[len(meshes):]:
    assert row['vertices_flat'] == row['vertices'] == row['faces'] == []


def test_batches_of_other_bits():
  meshes = (data.process_mesh(*data.primitive_meshes()['cone'], quantization_bits=6),)
  labels = np.zeros(1, np.int32)
  shape = data.padded_shape(meshes, 2)
  for batch in data.training_batches(meshes, labels, shape, 0, 20, 0, quantization_bits=6,
                                     random_shift=True):
    for row in range(2):
      found = row_of(batch, row)
      vertices = data.unflatten_vertices(found['vertices_flat'])
      assert 0 <= vertices.min() and vertices.max() <= 63
      assert sorted(data.quantize_verts(found['vertices'], 6).tolist()) == sorted(
          vertices.tolist())


def test_what_does_not_fit_is_refused():
  meshes, labels = primitive_set()
  shape = data.padded_shape(meshes, 1)
  with pytest.raises(ValueError, match='2 picks'):
    data.make_batch(meshes, labels, [(0, 0), (0, 1)], shape, 0)
  with pytest.raises(ValueError, match='faces of an example has length'):
    data.make_batch(meshes, labels, [(0, 3)], shape._replace(face_tokens=5), 0)
  with pytest.raises(ValueError, match='vertices_flat of an example has length'):
    data.make_batch(meshes, labels, [(0, 3)], shape._replace(num_vertices=5), 0)


# Examples.


@relaxed
@given(strategies.distinct_bin_meshes(), strategies.SEEDS)
def test_examples_of_one_mesh(mesh, seed):
  vertices, faces, _ = data.canonical_mesh(*mesh)
  assume(len(vertices) > 3)
  processed = {'vertices': vertices, 'faces': data.flatten_faces(faces)}
  vertex = data.vertex_example(processed)
  assert vertex['vertices_flat'].tolist() == data.flatten_vertices(vertices).tolist()
  assert vertex['vertices_flat_mask'].tolist() == [1.] * len(vertex['vertices_flat'])
  face = data.face_example(processed, shuffle_vertices=False)
  np.testing.assert_array_equal(face['vertices'], data.dequantize_verts(vertices))
  assert face['faces'].tolist() == processed['faces'].tolist()
  assert face['num_vertices'] == len(vertices) == face['vertices_mask'].sum()
  assert face['faces_mask'].tolist() == [1.] * len(face['faces'])
  shifted = data.shift_mesh(processed, rng=np.random.default_rng(seed))
  np.testing.assert_array_equal(
      shifted['vertices'], data.random_shift(vertices, rng=np.random.default_rng(seed)))
  np.testing.assert_array_equal(shifted['faces'], processed['faces'])
