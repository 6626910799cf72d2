"""Masks as additive biases of attention scores and logits: 0 where allowed, MASKED elsewhere.

Self-attention that looks back alone is computed in blocks of queries, each with the keys up to its
end, so that most of what the mask would hide is never computed:

    keys       0 1 2 3 4 5 6 7 8
    block 0    x x x
    block 1    x x x x x x
    block 2    x x x x x x x x x
"""
from typing import NamedTuple, Optional, Union

import tensorflow.compat.v1 as tf

# Finite in float16, and its exponential is exactly 0 in every float type.
MASKED = -3e4

# At most so many blocks, of at least so many positions where the length is known. Four save three
# eighths of the scores; more would save little and make the graph longer.
CAUSAL_BLOCKS = 4
LEAST_BLOCK = 32


class Block(NamedTuple):
  """Queries start to stop - 1 of self-attention, which see the keys before `stop`.

  Attributes:
    start, stop: ints or int32 scalars; None: all queries, all keys.
    bias: of their scores, broadcast to [B, H, stop - start, stop]; None: all are allowed.
  """
  start: Optional[Union[int, tf.Tensor]]
  stop: Optional[Union[int, tf.Tensor]]
  bias: Optional[tf.Tensor]


def bias_from_mask(mask):
  """mask [...] (1 or True = allowed) -> float32 bias of the same shape."""
  return (1. - tf.cast(mask, tf.float32)) * MASKED


def padding_bias(mask):
  """mask [B, S] of real keys -> bias [B, 1, 1, S] of attention scores [B, H, T, S]."""
  return bias_from_mask(mask)[:, None, None, :]


def segment_bias(query_segments, key_segments):
  """Segments [B, T] and [B, S] -> bias [B, 1, T, S]: attention within equal segments."""
  same = tf.equal(query_segments[:, :, None], key_segments[:, None, :])
  return bias_from_mask(same)[:, None]


def whole(bias):
  """The blocks of attention with this bias: all in one."""
  return [Block(None, None, bias)]


def causal_blocks(length, segments=None):
  """Blocks in which position t attends to those <= t, within segments [B, T] if given.

  Args:
    length: T, int or int32 scalar.
    segments: int32 [B, T], or None.
  """
  count = CAUSAL_BLOCKS
  if isinstance(length, int):
    count = max(1, min(count, length // LEAST_BLOCK))
  ends = [length * number // count for number in range(count + 1)]
  return [Block(start, stop, _causal_bias(start, stop, segments))
          for start, stop in zip(ends, ends[1:])]


def _causal_bias(start, stop, segments):
  """Bias [1, 1, stop - start, stop] or [B, 1, stop - start, stop]."""
  allowed = (tf.range(start, stop)[:, None] >= tf.range(stop))[None]
  if segments is not None:
    allowed &= tf.equal(segments[:, start:stop, None], segments[:, None, :stop])
  return bias_from_mask(allowed)[:, None]


def filled_bias(index, length):
  """Bias [1, 1, 1, T] of a cache of T positions that is filled up to `index`, included."""
  return bias_from_mask(tf.range(length) <= index)[None, None, None, :]
