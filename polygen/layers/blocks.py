"""Blocks of queries, so that most of what a causal mask would hide is never computed.

Each block sees the keys up to its end:

    keys       0 1 2 3 4 5 6 7 8
    block 0    x x x
    block 1    x x x x x x
    block 2    x x x x x x x x x
"""
from typing import NamedTuple, Optional, Tuple

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
    paddings: int32 [4, 2] of each block: zeros before which [B, H, e - t, d] becomes [B, H, e, d].
  """
  biases: Tuple[Optional[tf.Tensor], ...]
  sizes: Optional[tf.Tensor] = None
  prefixes: Tuple[tf.Tensor, ...] = ()
  paddings: Tuple[tf.Tensor, ...] = ()

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
  count = CAUSAL_BLOCKS
  if isinstance(length, int):
    count = max(1, min(count, length // LEAST_BLOCK))
  ends = [length * number // count for number in range(count + 1)]
  bounds = list(zip(ends, ends[1:]))
  biases = tuple(_causal_bias(start, stop, segments) for start, stop in bounds)
  if count == 1:
    return Blocks(biases)
  return Blocks(
      biases, tf.stack([stop - start for start, stop in bounds]),
      tuple(tf.stack([-1, -1, stop, -1]) for _, stop in bounds),
      tuple(tf.stack([[0, 0], [0, 0], [0, stop - start], [0, 0]]) for start, stop in bounds))


def _causal_bias(start, stop, segments):
  """Bias [1, 1, stop - start, stop] or [B, 1, stop - start, stop]."""
  allowed = (tf.range(start, stop)[:, None] >= tf.range(stop))[None]
  if segments is not None:
    allowed &= tf.equal(segments[:, start:stop, None], segments[:, None, :stop])
  return bias_from_mask(allowed)[:, None]
