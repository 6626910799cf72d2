"""Masks as additive biases of attention scores and logits: 0 where allowed, MASKED elsewhere."""
import tensorflow.compat.v1 as tf

from .shapes import shape_of

# Finite in float16, and its exponential is exactly 0 in every float type.
MASKED = -3e4


def bias_from_mask(mask):
  """mask [...] (1 or True = allowed) -> float32 bias of the same shape.

  Chosen, not computed: a compiler that may reorder sums (XLA of TensorFlow 1.15) adds MASKED to
  scores before it subtracts it again, and their third decimal is lost.
  """
  return tf.where_v2(tf.cast(mask, tf.bool), 0., MASKED)


def kept(values, mask, otherwise=MASKED):
  """`values` where `mask` of the same shape, else a number.

  Not broadcast: TensorFlow 1.15 takes three times as long for that.
  """
  return tf.where_v2(mask, values, tf.fill(shape_of(values), tf.cast(otherwise, values.dtype)))


def padding_bias(mask):
  """mask [B, S] of real keys -> bias [B, 1, 1, S] of attention scores [B, H, T, S]."""
  return bias_from_mask(mask)[:, None, None, :]


def segment_bias(query_segments, key_segments):
  """Segments [B, T] and [B, S] -> bias [B, 1, T, S]: attention within equal segments."""
  same = tf.equal(query_segments[:, :, None], key_segments[:, None, :])
  return bias_from_mask(same)[:, None]


def filled_bias(index, length):
  """Bias [1, 1, 1, T] of a cache of T positions that is filled up to `index`, included."""
  return bias_from_mask(tf.range(length) <= index)[None, None, None, :]
