"""Rows of activations as the heads of attention, and back."""
import tensorflow.compat.v1 as tf


class Heads:
  """How the rows of one stack are cut into heads.

  Args:
    batch, length: B and T, ints or int32 scalars.
    num_heads, size: H and the head size d; D = H d.
    counts: the n that rows may be split by.
  """

  def __init__(self, batch, length, num_heads, size, counts):
    self._hidden_size = num_heads * size
    # Made once for all layers.
    self._shapes = {count: tf.convert_to_tensor([batch, length, count, num_heads, size])
                    for count in counts}
    self._by_head, self._by_row = tf.constant([2, 0, 3, 1, 4]), tf.constant([1, 3, 0, 2, 4])

  def split(self, rows, count):
    """Rows [B T, n D] or [B, T, n D] -> n tensors [B, H, T, d]."""
    rows = tf.reshape(rows, self._shapes[count])
    return tf.unstack(tf.transpose(rows, self._by_head), num=count)

  def join(self, heads):
    """n tensors [B, H, T, d] -> rows [B T, n D]."""
    rows = tf.transpose(tf.stack(heads), self._by_row)
    return tf.reshape(rows, [-1, len(heads) * self._hidden_size])
