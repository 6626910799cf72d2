"""Blocks of queries, so that most of what a mask would hide is never computed.

Each block sees a window of the keys. A causal mask hides those after its end:

    keys       0 1 2 3 4 5 6 7 8
    block 0    x x x
    block 1    x x x x x x
    block 2    x x x x x x x x x
"""
import functools
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from .masks import bias_from_mask
from .shapes import shape_of

# At most so many blocks, of at least so many positions where the length is known. Four save three
# eighths of the scores; more would save little and make the graph longer.
CAUSAL_BLOCKS = 4
LEAST_BLOCK = 32


class Window(NamedTuple):
  """A range of the keys [B, H, S, d].

  Attributes:
    begin, size: int32 [4], as tf.slice takes it.
    padding: int32 [4, 2], as tf.pad puts it back among zeros.
  """
  begin: tf.Tensor
  size: tf.Tensor
  padding: tf.Tensor


class Blocks(NamedTuple):
  """The blocks of queries, of sizes t1, t2, ... which see windows of e1, e2, ... keys.

  Attributes:
    biases: of the scores of each block, broadcast to [B, H, t, e]; None: all are allowed.
    sizes: int32 [number of blocks], t; None if there is one block, which sees all keys.
    windows: of each block.
  """
  biases: Tuple[Optional[tf.Tensor], ...]
  sizes: Optional[tf.Tensor] = None
  windows: Sequence[Window] = ()

  def split(self, queries):
    """[B, H, T, d] -> a tensor [B, H, t, d] for each block."""
    if self.sizes is None:
      return [queries]
    return tf.split(queries, self.sizes, axis=2, num=len(self.biases))

  def join(self, parts):
    """A tensor [B, H, t, d] for each block -> [B, H, T, d]."""
    return parts[0] if self.sizes is None else tf.concat(parts, axis=2)

  def seen(self, keys):
    """[B, H, S, d] -> a tensor [B, H, e, d] for each block."""
    if self.sizes is None:
      return [keys]
    return [tf.slice(keys, window.begin, window.size) for window in self.windows]

  def unseen(self, parts):
    """The transpose of `seen`: a tensor [B, H, e, d] for each block -> their sum [B, H, S, d]."""
    if self.sizes is None:
      return parts[0]
    return tf.add_n([tf.pad(part, window.padding) for part, window in zip(parts, self.windows)])


def whole(bias):
  """One block: attention to all keys under a bias."""
  return Blocks((bias,))


def causal(length, segments=None, windows=None):
  """Blocks in which position t sees those <= t, within segments if given.

  Args:
    length: T, int or int32 scalar.
    segments: int32 [B, T], or None.
    windows: int32 [n, 2], the first key and the end of each of n blocks; by default prefixes.
  """
  places = tf.range(length)[None]
  relations = [(tf.greater_equal, places, places)]
  if segments is not None:
    relations.append((tf.equal, segments, segments))
  if windows is None:
    windows = _prefixes(length)
  return _blocks(relations, windows[:, 1], windows, length)


def within_segments(query_segments, key_segments, ends, windows):
  """Blocks in which segments [B, T] see the same ones of keys [B, S].

  Args:
    query_segments, key_segments: int32.
    ends: int32 [n], of the queries of each block.
    windows: int32 [n, 2], the first key and the end of the keys of each block.
  """
  return _blocks([(tf.equal, query_segments, key_segments)], ends, windows,
                 shape_of(key_segments)[1])


def _prefixes(length):
  """The windows of blocks of about the same size which see all before them."""
  count = CAUSAL_BLOCKS
  if isinstance(length, int):
    count = max(1, min(count, length // LEAST_BLOCK))
  ends = length * np.arange(1, count + 1, dtype=np.int32) // count
  if isinstance(ends, np.ndarray):
    return np.stack([0 * ends, ends], axis=1)
  return tf.stack([tf.zeros_like(ends), ends], axis=1)


def _blocks(relations, ends, windows, num_keys):
  """Blocks in which queries see keys that are in all of some relations to them.

  Args:
    relations: (function of two tensors, of queries [B, T], of keys [B, S]).
    ends, windows: see above; arrays, or tensors with n known.
    num_keys: S, int or int32 scalar.
  """
  if not isinstance(num_keys, int):
    ends, windows = tf.convert_to_tensor(ends), tf.convert_to_tensor(windows)
  count = int(windows.shape[0])
  pairs = [(queries[:, None, :, None], keys[:, None, :, None]) for _, queries, keys in relations]
  if count == 1:
    blocks, parts = Blocks((None,)), [pairs]
  else:
    blocks = Blocks((None,) * count, ends - _behind_zero(ends[:-1]), _windows(windows, num_keys))
    parts = zip(*[zip(blocks.split(queries), blocks.seen(keys)) for queries, keys in pairs])
  return blocks._replace(biases=tuple(
      bias_from_mask(functools.reduce(tf.logical_and, [
          related(queries, tf.linalg.matrix_transpose(keys))
          for (related, _, _), (queries, keys) in zip(relations, part)]))
      for part in parts))


def _behind_zero(values):
  """[n] -> [n + 1], 0 first."""
  if isinstance(values, np.ndarray):
    return np.append(np.int32(0), values)
  return tf.pad(values, [[1, 0]])


def _windows(ranges, num_keys):
  """The Window of each of some ranges.

  Args:
    ranges: int32 [n, 2], first key and end; an array, then num_keys is an int, or a tensor.
  """
  # [of first and end; axis of keys [B, H, S, d]; begin, size, padding before, padding behind]
  factors = np.zeros([2, 4, 4], np.int32)
  factors[:, 2] = [[1, -1, 1, 0], [0, 1, 0, -1]]
  fixed, of_num_keys = np.zeros([2, 4, 4], np.int32)
  fixed[[0, 1, 3], 1] = -1  # all that is there
  of_num_keys[2, 3] = 1
  total = np.sum if isinstance(ranges, np.ndarray) else tf.reduce_sum
  rows = total(ranges[:, :, None, None] * factors, axis=1) + (fixed + of_num_keys * num_keys)
  if isinstance(rows, np.ndarray):
    return [Window(*[tf.constant(part, tf.int32) for part in (row[:, 0], row[:, 1], row[:, 2:])])
            for row in rows]
  begins, sizes, paddings = tf.split(rows, [1, 1, 2], axis=2)
  return [Window(*window) for window in zip(
      tf.unstack(tf.squeeze(begins, 2)), tf.unstack(tf.squeeze(sizes, 2)), tf.unstack(paddings))]
