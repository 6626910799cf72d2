"""Blocks of queries, so that most of what a causal mask would hide is never computed.

Each block sees the keys up to its end:

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

# At most so many blocks, of at least so many positions where the length is known. Four save three
# eighths of the scores; more would save little and make the graph longer.
CAUSAL_BLOCKS = 4
LEAST_BLOCK = 32


class Blocks(NamedTuple):
  """The blocks of the queries of self-attention, of sizes t1, t2, ... which end at e1, e2, ...

  Attributes:
    biases: of the scores of each block, broadcast to [B, H, t, e]; None: all are allowed.
    sizes: int32 [number of blocks], t; None if there is one block.
    prefixes: int32 [4] of each block: the size of keys [B, H, e, d], as tf.slice takes it.
    paddings: int32 [4, 2] of each block: zeros behind which [B, H, e - t, d] becomes [B, H, e, d].
  """
  biases: Tuple[Optional[tf.Tensor], ...]
  sizes: Optional[tf.Tensor] = None
  prefixes: Sequence[tf.Tensor] = ()
  paddings: Sequence[tf.Tensor] = ()

  def split(self, queries):
    """[B, H, T, d] -> a tensor [B, H, t, d] for each block."""
    return tf.split(queries, self.sizes, axis=2, num=len(self.biases))

  def seen(self, keys):
    """[B, H, T, d] -> a tensor [B, H, e, d] for each block."""
    start = tf.zeros([4], tf.int32)
    return [tf.slice(keys, start, size) for size in self.prefixes[:-1]] + [keys]

  def unseen(self, parts):
    """The transpose of `seen`: a tensor [B, H, e, d] for each block -> their sum [B, H, T, d]."""
    total = parts[0]
    for part, padding in zip(parts[1:], self.paddings[1:]):
      total = part + tf.pad(total, padding)
    return total


def whole(bias):
  """One block: attention to all keys under a bias."""
  return Blocks((bias,))


def causal(length, segments=None):
  """Blocks in which position t sees those <= t, within segments [B, T] if given.

  Args:
    length: T, int or int32 scalar.
    segments: int32 [B, T], or None.
  """
  marks = [(tf.greater_equal, tf.range(length)[None])]
  if segments is not None:
    marks.append((tf.equal, segments))
  queries = [mark[:, None, :, None] for _, mark in marks]
  keys = [mark[:, None, None, :] for _, mark in marks]

  def bias(queries, keys):
    """Of queries [B, 1, t, 1] and keys [B, 1, 1, e]."""
    allowed = [sees(*pair) for (sees, _), pair in zip(marks, zip(queries, keys))]
    return bias_from_mask(functools.reduce(tf.logical_and, allowed))

  count = CAUSAL_BLOCKS
  if isinstance(length, int):
    count = max(1, min(count, length // LEAST_BLOCK))
  if count == 1:
    return Blocks((bias(queries, keys),))
  blocks, seen = _blocks_without_biases(length, count)
  start = tf.zeros([4], tf.int32)
  return blocks._replace(biases=tuple(
      bias(block, [tf.slice(mark, start, size) for mark in keys])
      for block, size in zip(zip(*map(blocks.split, queries)), seen)))


def _blocks_without_biases(length, count):
  """Blocks, and int32 [4] of each: the size of the part [B, 1, 1, e] of a mark of keys."""
  numbers = np.arange(1, count + 1, dtype=np.int32)
  ends = length * numbers // count
  sizes = ends - length * (numbers - 1) // count
  blocks = Blocks(
      (None,) * count, sizes,
      _rows([-1, -1, 0, -1], [0, 0, 1, 0], ends),
      _rows(np.zeros([4, 2]), [[0, 0], [0, 0], [0, 1], [0, 0]], sizes))
  return blocks, _rows([-1, -1, -1, 0], [0, 0, 0, 1], ends)


def _rows(base, unit, values):
  """base + unit * value for each of the values int32 [n]: arrays of an array, else tensors."""
  base, unit = np.array(base, np.int32), np.array(unit, np.int32)
  columns = values[(slice(None),) + (None,) * base.ndim]
  rows = base + unit * columns
  return list(rows) if isinstance(rows, np.ndarray) else tf.unstack(rows, num=values.shape[0])
