"""Packed batches: every example is there once, and the models see each alone."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
import randomise
import tiny
from polygen import data
from polygen.config import TransformerConfig
from polygen.data import packing
from polygen.models import FaceModel, VertexModel
from polygen.training.losses import batch_losses

relaxed = settings(deadline=None, max_examples=50)
lengths_lists = st.lists(st.integers(1, 500), min_size=1, max_size=40)
SHALLOW, DEEP = (TransformerConfig(hidden_size=16, fc_size=32, num_heads=2, num_layers=num_layers,
                                   dropout_rate=0.) for num_layers in (1, 2))


@relaxed
@given(lengths_lists)
def test_rows_hold_every_sequence_once_and_cost_no_more_than_padding(lengths):
  rows = packing.plan_rows(lengths)
  assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
  assert all(rows)
  alone = [[number] for number in range(len(lengths))]
  assert packing.cost(rows, lengths) <= packing.cost(alone, lengths)


@relaxed
@given(st.lists(st.integers(1, 500), min_size=1, max_size=packing.MAX_ROW_COUNTS))
def test_rows_of_small_batches_are_those_of_the_naive_twin(lengths):
  assert packing.plan_rows(lengths) == naive.plan_rows(lengths, packing.cost)
  slots = [length // 3 + 3 for length in lengths]
  assert packing.plan_rows(lengths, slots) == naive.plan_rows(
      lengths, lambda rows, lengths: packing.cost(rows, lengths, slots))


def test_the_cost_of_rows_counts_the_blocks_of_the_longest():
  # 12 + 4 places, cut at 12, 6 and 9: 6 * 6 + 3 * 9 + 3 * 12 + 4 * 4 pairs.
  assert packing.cost([[0, 1]], [12, 4]) == 16 * packing.DENSE_COST + 115
  # Two rows of 12, cut at 6, 3 and 9: 3 * (3 + 6 + 9 + 12) pairs each.
  assert packing.cost([[0], [1]], [12, 4]) == 2 * (12 * packing.DENSE_COST + 90)
  # And of an encoder of 5 + 3 slots, which all see each other.
  assert packing.cost([[0, 1]], [12, 4], [5, 3]) == (16 + 8) * packing.DENSE_COST + 115 + 64
  assert packing.cost([[0], [1]], [12, 4], [5, 3]) == 2 * (
      (12 + 5) * packing.DENSE_COST + 90 + 25)


@pytest.mark.parametrize('lengths', [
    [25, 193, 100, 127], [30, 226, 161, 320], [200 + i % 60 for i in range(100)],
    [20 + 13 * i % 480 for i in range(100)], [20 + 4000 // i for i in range(1, 101)]])
def test_rows_cost_little_more_than_those_of_the_naive_twin(lengths):
  costs = [packing.cost(rows, lengths) for rows in (
      packing.plan_rows(lengths), naive.plan_rows(lengths, packing.cost))]
  assert costs[1] <= costs[0] <= 1.1 * costs[1]


def test_the_toy_batch_is_mostly_real_tokens():
  mesh_set = data.load_mesh_set()
  batch = data.make_packed_batch(mesh_set.meshes, mesh_set.labels, [(0, i) for i in range(4)], 0)
  assert batch['vertex']['vertices_flat'].shape == (2, 227)
  assert batch['face']['faces'].shape == (1, 737)
  assert batch['vertex']['vertices_flat_mask'].sum() == 445
  assert batch['face']['faces_mask'].sum() == 737


def unpack(part, keys):
  """{key: list of the arrays of each segment}, in no particular order."""
  segments = part['packed_segments']
  return [{key: part[key][row][segments[row] == segment] for key in keys}
          for row in range(len(segments)) for segment in range(1, segments[row].max() + 1)]


def test_every_example_is_packed_unchanged():
  mesh_set = data.load_mesh_set()
  labels = mesh_set.labels
  batch = data.make_packed_batch(
      mesh_set.meshes, labels, [(0, i) for i in range(4)], 0, shuffle_vertices=False)
  vertex = unpack(batch['vertex'], ['vertices_flat', 'packed_positions', 'class_label'])
  assert len(vertex) == 4
  for example in vertex:
    label = example['class_label'][0]
    mesh = mesh_set.meshes[list(labels).index(label)]
    np.testing.assert_array_equal(
        example['vertices_flat'], data.flatten_vertices(mesh['vertices']))
    positions = example['packed_positions']
    np.testing.assert_array_equal(positions, np.arange(len(positions)))
    assert (example['class_label'] == label).all()
  face = batch['face']
  seen = set()
  for row, segments in enumerate(face['packed_segments']):
    for segment in range(1, segments.max() + 1):
      here, slots = segments == segment, face['packed_vertices_segments'][row] == segment
      label = face['class_label'][row][here][0]
      mesh = mesh_set.meshes[list(labels).index(label)]
      np.testing.assert_array_equal(face['faces'][row][here] - slots.argmax(), mesh['faces'])
      np.testing.assert_array_equal(face['packed_vertices_special'][row][slots][:3], [1, 2, 0])
      np.testing.assert_array_equal(
          face['vertices'][row][slots][2:], data.dequantize_verts(mesh['vertices']))
      seen.add(label)
  assert seen == set(labels)


@pytest.fixture(params=[True, pytest.param(False, marks=pytest.mark.slow)],
                ids=['class', 'unconditional'])
def models(request):
  arguments = {'class_conditional': request.param, 'num_classes': 3, 'quantization_bits': 4}
  decoder = DEEP if request.param else SHALLOW
  with tf.Graph().as_default():
    yield {'vertex': VertexModel(decoder, max_num_input_verts=tiny.MAX_VERTICES, **arguments),
           'face': FaceModel(SHALLOW, decoder, max_seq_length=tiny.MAX_FACE_TOKENS, **arguments)}


def test_packing_changes_neither_losses_nor_gradients(models, tiny_meshes):
  mesh_set = data.load_mesh_set(tiny_meshes, quantization_bits=4)
  picks = [(2, index) for index in (0, 1, 1, 2)]
  shape = data.padded_shape(mesh_set.meshes, len(picks))
  batches = [
      data.make_batch(mesh_set.meshes, mesh_set.labels, picks, shape, 1, quantization_bits=4),
      data.make_packed_batch(mesh_set.meshes, mesh_set.labels, picks, 1, quantization_bits=4)]
  assert batches[1]['vertex']['packed_segments'].max() > 1
  assert batches[1]['face']['packed_segments'].max() > 1
  losses = [list(batch_losses(models, batch).values()) for batch in batches]
  variables = [variable for model in models.values() for variable in model.variables]
  gradients = [[tf.convert_to_tensor(gradient)
                for gradient in tf.gradients(tf.add_n(loss), variables)]
               for loss in losses]
  with randomise.randomised_session(variables) as session:
    results = session.run([losses, gradients])
  (padded, packed), (padded_gradients, packed_gradients) = results
  assert min(padded) > 0
  np.testing.assert_allclose(packed, padded, rtol=1e-5)
  for variable, a, b in zip(variables, padded_gradients, packed_gradients):
    size = np.linalg.norm(a)
    assert size > 1e-3 and np.linalg.norm(b - a) <= 1e-4 * size, variable.name


def test_the_packed_dataset_delivers_the_numpy_batches():
  mesh_set = data.load_mesh_set()
  with tf.Graph().as_default(), tf.Session() as session:
    iterator = tf.data.make_initializable_iterator(data.packed_training_dataset(
        mesh_set.meshes, mesh_set.labels, lambda step: data.batch_picks(4, 3, step, 7), 5, 8,
        seed=7, random_shift=True))
    batch = iterator.get_next()
    session.run(iterator.initializer)
    for step in (5, 6, 7):
      picks = data.batch_picks(4, 3, step, 7)
      expected = data.make_packed_batch(
          mesh_set.meshes, mesh_set.labels, picks, 7, random_shift=True)
      delivered = session.run(batch)
      for part in ('vertex', 'face'):
        assert delivered[part].keys() == expected[part].keys()
        for key, value in expected[part].items():
          np.testing.assert_array_equal(delivered[part][key], value, key)
    with pytest.raises(tf.errors.OutOfRangeError):
      session.run(batch)
