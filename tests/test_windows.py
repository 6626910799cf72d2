"""Windows of keys: nothing that a query may see lies outside, and little else inside."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import model_cases
import naive
from polygen.data import windows
from polygen.layers import blocks as block_layers
from polygen.layers.attention import KeyValues, attend_blocks_vjp
from polygen.layers.masks import segment_bias

relaxed = settings(deadline=None, max_examples=100)
# Sequences of each row: their tokens, and their slots in the memory.
row_lists = st.lists(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 8)),
                              min_size=1, max_size=5), min_size=1, max_size=3)
ROWS = [[(40, 5), (9, 3)], [(20, 4), (16, 2), (7, 6)]]


def segments_of(rows, column, padding=0):
  numbers = [np.repeat(np.arange(1, len(row) + 1), [lengths[column] for lengths in row])
             for row in rows]
  longest = max(map(len, numbers)) + padding
  return np.array([np.pad(row, (0, longest - len(row)), 'constant') for row in numbers], np.int32)


def begins_of(ends):
  return [0] + list(ends[:-1])


@relaxed
@given(row_lists, st.integers(0, 3))
def test_every_key_that_a_query_may_see_is_in_its_window(rows, padding):
  segments, slots = segments_of(rows, 0, padding), segments_of(rows, 1)
  seen = windows.causal_windows(segments)
  in_memory = windows.memory_windows(segments, slots, seen[:, 1])
  assert seen.shape == in_memory.shape == (windows.NUM_BLOCKS, 2)
  assert seen.dtype == in_memory.dtype == np.int32
  assert seen[-1, 1] == segments.shape[1]
  visible = 0
  for begin, (first, end), (first_slot, end_slot) in zip(
      begins_of(seen[:, 1]), seen, in_memory):
    assert 0 <= first <= max(begin, first) <= end
    assert 0 <= first_slot < end_slot <= slots.shape[1]
    for row, query in np.ndindex(len(segments), end - begin):
      query += begin
      keys = np.flatnonzero(segments[row, :query + 1] == segments[row, query])
      assert first <= keys.min() and keys.max() < end
      if segments[row, query]:
        keys = np.flatnonzero(slots[row] == segments[row, query])
        assert first_slot <= keys.min() and keys.max() < end_slot
        visible += 1
  assert visible == (segments > 0).sum()


@relaxed
@given(row_lists.filter(lambda rows: len(rows) == 1))
def test_blocks_of_one_row_are_those_of_the_naive_twin(rows):
  segments = segments_of(rows, 0)
  seen = windows.causal_windows(segments)
  first_keys = [list(segments[0]).index(segment) for segment in segments[0]]
  _, pairs = naive.block_ends(first_keys, windows.NUM_BLOCKS)
  assert windows.num_pairs(seen) == pairs
  for begin, (first, end) in zip(begins_of(seen[:, 1]), seen):
    assert begin == end or first == first_keys[begin]


def test_two_sequences_of_one_length_see_nothing_of_each_other():
  seen = windows.causal_windows(segments_of([[(8, 3), (8, 2)]], 0))
  assert seen.tolist() == [[0, 4], [0, 8], [8, 12], [8, 16]]
  in_memory = windows.memory_windows(
      segments_of([[(8, 3), (8, 2)]], 0), segments_of([[(8, 3), (8, 2)]], 1), seen[:, 1])
  assert in_memory.tolist() == [[0, 3], [0, 3], [3, 5], [3, 5]]


@pytest.mark.parametrize('kind', ['self', 'memory'])
@pytest.mark.parametrize('rows', [ROWS, ROWS[:1], [[(1, 1)]]], ids=['two', 'one', 'single'])
def test_attention_to_windows_is_attention_under_masks(kind, rows):
  segments, slots = segments_of(rows, 0), segments_of(rows, 1)
  keys = segments if kind == 'self' else slots
  rng = model_cases.philox(len(rows), 0)
  q, dy = rng.standard_normal((2, len(rows), 3, segments.shape[1], 5)).astype(np.float32)
  real = (segments > 0)[:, None, :, None]
  dy *= real
  k, v = rng.standard_normal((2, len(rows), 3, keys.shape[1], 5)).astype(np.float32)
  seen = windows.causal_windows(segments)
  with tf.Graph().as_default(), tf.Session() as session:
    bias = segment_bias(tf.constant(segments), tf.constant(keys))
    unknown = [tf.placeholder_with_default(array, [None] * array.ndim)
               for array in (segments, keys)]
    ends = tf.placeholder_with_default(seen, seen.shape)
    if kind == 'self':
      places = np.arange(segments.shape[1])
      bias = tf.minimum(bias, segment_bias(places[None], places[None]) * (
          places[:, None] < places[None]))
      found_blocks = block_layers.causal(tf.shape(unknown[0])[1], unknown[0], ends)
    else:
      in_memory = windows.memory_windows(segments, slots, seen[:, 1])
      found_blocks = block_layers.within_segments(*unknown, seen[:, 1], in_memory)
    assert len(found_blocks.biases) == windows.NUM_BLOCKS
    (found, found_gradient), (wanted, wanted_gradient) = (
        attend_blocks_vjp(tf.constant(q), KeyValues(tf.constant(k), tf.constant(v)), blocks)
        for blocks in (found_blocks, block_layers.whole(bias)))
    found, wanted = session.run([(found, found_gradient(tf.constant(dy))),
                                 (wanted, wanted_gradient(tf.constant(dy)))])
  assert np.abs(wanted[0] * real).max() > 0.1
  np.testing.assert_allclose(found[0] * real, wanted[0] * real, atol=2e-5)
  for a, b in zip(tf.nest.flatten(found[1]), tf.nest.flatten(wanted[1])):
    assert np.abs(b).max() > 0.1 or segments.size == 1
    np.testing.assert_allclose(a, b, atol=2e-5)
