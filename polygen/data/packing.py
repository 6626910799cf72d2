"""Several examples in one row of a batch, so that little of it is padding (Raffel et al., 2020).

A row holds the sequences of its examples one after another; segments tell them apart (1, 2, ...;
0 is padding) and positions count within each. Vertices are laid out with the two special rows of
the face model's encoder before those of each example, and face tokens count from the first row of
the whole batch row:

    vertices    STOP NEW_FACE v0 v1 v2 | STOP NEW_FACE v0 v1 v2 v3 | padding
    special      1      2     0  0  0     1      2     0  0  0  0     0
    segments     1      1     1  1  1     2      2     2  2  2  2     0
    face token   0      1     2  3  4     5      6     7  8  9  10

Windows say which keys each block of queries sees (windows.py).
"""
import functools
import heapq

import numpy as np

from .. import tokens
from . import windows

# Attention over this many keys costs about as much as the rest of a layer of hidden size 128,
# gradients included: 233 on a CPU with TensorFlow 1.15, 341 with 2.21.
DENSE_COST = 300

MAX_ROW_COUNTS = 16

_INT, _FLOAT = (np.int32, (None, None)), (np.float32, (None, None))
_WINDOWS = (np.int32, (windows.NUM_BLOCKS, 2))

# {part: {key: (numpy dtype, static shape)}} of a packed batch.
PACKED_SPEC = {
    'vertex': {
        'vertices_flat': _INT, 'vertices_flat_mask': _FLOAT,
        'packed_segments': _INT, 'packed_positions': _INT, 'class_label': _INT,
        'packed_windows': _WINDOWS,
    },
    'face': {
        'faces': _INT, 'faces_mask': _FLOAT,
        'packed_segments': _INT, 'packed_positions': _INT, 'class_label': _INT,
        'vertices': (np.float32, (None, None, tokens.COORDINATES_PER_VERTEX)),
        'vertices_mask': _FLOAT, 'packed_vertices_segments': _INT, 'packed_vertices_special': _INT,
        'packed_windows': _WINDOWS, 'packed_vertices_windows': _WINDOWS,
    },
}


def plan_rows(lengths, slots=None):
  """Spreads sequences over rows so that the batch is cheap to compute.

  For some numbers of rows the longest sequences are placed first, each into the emptiest row; the
  plan with the least `cost` is taken.

  Args:
    lengths: ints, one per sequence.
    slots: ints, places of each in the encoder, or None.

  Returns:
    list of rows, each a list of sequence numbers.
  """
  plan = _best_plan(tuple(lengths), None if slots is None else tuple(slots))
  return [list(row) for row in plan]


# A few meshes come together again and again, in any order: 4 meshes have 24.
@functools.lru_cache(maxsize=64)
def _best_plan(lengths, slots):
  """`plan_rows` of tuples; the rows belong to the cache."""
  longest_first = sorted(range(len(lengths)), key=lambda number: -lengths[number])
  plans = [_spread(lengths, longest_first, num_rows) for num_rows in _row_counts(lengths)]
  return min(plans, key=lambda rows: cost(rows, lengths, slots))


def _spread(lengths, longest_first, num_rows):
  """`num_rows` rows of sequence numbers, each sequence put into the emptiest one."""
  rows, filled = [[] for _ in range(num_rows)], [(0, row) for row in range(num_rows)]
  for number in longest_first:
    tokens_there, emptiest = filled[0]
    rows[emptiest].append(number)
    heapq.heapreplace(filled, (tokens_there + lengths[number], emptiest))
  return rows


def cost(rows, lengths, slots=None):
  """What a layer of a decoder costs, and one of an encoder, in pairs of a query and a key.

  Args: see plan_rows; rows: its result.

  Returns:
    rows * (length * DENSE_COST + pairs), of tokens and of slots, which all see each other.
  """
  segments = _segments(rows, lengths)
  num_rows, length = segments.shape
  pairs = windows.num_pairs(windows.causal_windows(segments))
  if slots is None:
    return num_rows * (length * DENSE_COST + pairs)
  most = max(sum(slots[number] for number in row) for row in rows)
  return num_rows * (length * DENSE_COST + pairs + most * (DENSE_COST + most))


def _row_counts(lengths):
  """At most MAX_ROW_COUNTS numbers of rows, ascending: all, or some around the likely best one.

  That one makes the rows about as long as the longest sequence. One row per sequence is always
  among them, so packing never costs more than padding.
  """
  if len(lengths) <= MAX_ROW_COUNTS:
    return list(range(1, len(lengths) + 1))
  likely = sum(lengths) / max(lengths)
  fewest, most = max(1, int(likely / 2)), min(len(lengths), int(2 * likely))
  spread = np.linspace(fewest, most, MAX_ROW_COUNTS - 1).astype(int).tolist()
  return sorted({len(lengths), *spread})


def pack_vertex_examples(examples, labels):
  """One packed batch of vertex examples.

  Args:
    examples: results of examples.vertex_example.
    labels: class of each.

  Returns:
    dict of arrays [rows, length]: vertices_flat, packed_segments, packed_positions, class_label
    int32, vertices_flat_mask float32; and packed_windows int32
    [NUM_BLOCKS, 2].
  """
  lengths = [len(example['vertices_flat']) for example in examples]
  packed = _pack(plan_rows(lengths), lengths, {
      'vertices_flat': [example['vertices_flat'] for example in examples],
      'vertices_flat_mask': [example['vertices_flat_mask'] for example in examples],
      'class_label': [np.full(length, label, np.int32)
                      for length, label in zip(lengths, labels)]})
  return dict(packed, packed_windows=windows.causal_windows(packed['packed_segments']))


def pack_face_examples(examples, labels):
  """One packed batch of face examples.

  Args:
    examples: results of examples.face_example.
    labels: class of each.

  Returns:
    dict of arrays [rows, length]: faces, packed_segments, packed_positions, class_label int32,
    faces_mask float32; and [rows, slots]: vertices float32 [rows, slots, 3], vertices_mask float32,
    packed_vertices_segments, packed_vertices_special int32; and packed_windows,
    packed_vertices_windows int32 [NUM_BLOCKS, 2].
  """
  lengths = [len(example['faces']) for example in examples]
  slots = [len(example['vertices']) + tokens.NUM_SPECIAL_FACE_TOKENS for example in examples]
  rows = plan_rows(lengths, slots)
  special = np.arange(1, tokens.NUM_SPECIAL_FACE_TOKENS + 1)
  vertices = _pack(rows, slots, {
      'vertices': [_behind_special(example['vertices']) for example in examples],
      'vertices_mask': [_behind_special(example['vertices_mask']) for example in examples],
      'packed_vertices_special': [
          np.append(special, np.zeros(len(example['vertices']))).astype(np.int32)
          for example in examples]})
  first_slots = _first_places(rows, slots)
  packed = _pack(rows, lengths, {
      'faces': [example['faces'] + first for example, first in zip(examples, first_slots)],
      'faces_mask': [example['faces_mask'] for example in examples],
      'class_label': [np.full(length, label, np.int32)
                      for length, label in zip(lengths, labels)]})
  segments, slot_segments = packed['packed_segments'], vertices['packed_segments']
  seen = windows.causal_windows(segments)
  return dict(packed, vertices=vertices['vertices'], vertices_mask=vertices['vertices_mask'],
              packed_vertices_segments=slot_segments,
              packed_vertices_special=vertices['packed_vertices_special'],
              packed_windows=seen,
              packed_vertices_windows=windows.memory_windows(segments, slot_segments, seen[:, 1]))


def empty_batch(parts):
  """A packed batch without examples: {part: dict}, one row of one place of padding."""
  padding = windows.causal_windows(np.zeros([1, 1], np.int32))
  return {part: {key: padding if spec is _WINDOWS else _zeros(*spec)
                 for key, spec in PACKED_SPEC[part].items()} for part in parts}


def _zeros(dtype, shape):
  return np.zeros([1 if size is None else size for size in shape], dtype)


def _behind_special(values):
  pad = [(tokens.NUM_SPECIAL_FACE_TOKENS, 0)] + [(0, 0)] * (values.ndim - 1)
  return np.pad(values, pad, 'constant')


def _first_places(rows, lengths):
  """Where each sequence starts in its row."""
  first = np.zeros(len(lengths), np.int32)
  for row in rows:
    first[row] = np.cumsum([0] + [lengths[number] for number in row[:-1]])
  return first


def _segments(rows, lengths):
  """Number 1, 2, ... of the sequence at each place of its row, 0 at padding: int32 [rows, T]."""
  length = max(sum(lengths[number] for number in row) for row in rows)
  segments = np.zeros((len(rows), length), np.int32)
  for place, row in enumerate(rows):
    filled = np.repeat(np.arange(1, len(row) + 1), [lengths[number] for number in row])
    segments[place, :len(filled)] = filled
  return segments


def _pack(rows, lengths, columns):
  """Arrays [rows, longest row, ...] of {name: one array per sequence}, segments and positions."""
  columns = dict(columns, packed_positions=[
      np.arange(length, dtype=np.int32) for length in lengths])
  segments = _segments(rows, lengths)
  packed = {name: np.zeros(segments.shape + arrays[0].shape[1:], arrays[0].dtype)
            for name, arrays in columns.items()}
  for place, row in enumerate(rows):
    for name, arrays in columns.items():
      joined = np.concatenate([arrays[number] for number in row])
      packed[name][place, :len(joined)] = joined
  return dict(packed, packed_segments=segments)
