"""Rows of activations as the heads of attention, and back."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf


class Heads(NamedTuple):
  """Sizes: B batch and T positions, ints or int32 scalars, H heads, d head size, D = H d."""
  batch: tf.Tensor
  length: tf.Tensor
  num_heads: int
  size: int

  def split(self, rows, count):
    """Rows [B T, n D] or [B, T, n D] -> n tensors [B, H, T, d]."""
    rows = tf.reshape(rows, [self.batch, self.length, count, self.num_heads, self.size])
    return tf.unstack(tf.transpose(rows, [2, 0, 3, 1, 4]), num=count)

  def join(self, heads):
    """n tensors [B, H, T, d] -> rows [B T, n D]."""
    rows = tf.transpose(tf.stack(heads), [1, 3, 0, 2, 4])
    return tf.reshape(rows, [-1, len(heads) * self.num_heads * self.size])
