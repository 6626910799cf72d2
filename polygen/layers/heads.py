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
    self._shapes = {count: tf.convert_to_tensor([batch, length, count * num_heads, size])
                    for count in counts}
    self._axis, self._swap = tf.constant(2), tf.constant([0, 2, 1, 3])

  def split(self, rows, count):
    """Rows [B T, n D] -> n tensors [B, H, T, d].

    Split before they are transposed: a transpose of more axes takes TensorFlow 1.15 three times as
    long.
    """
    rows = tf.reshape(rows, self._shapes[count])
    return [tf.transpose(part, self._swap) for part in tf.split(rows, count, self._axis)]

  def join(self, heads):
    """n tensors [B, H, T, d] -> rows [B T, n D]."""
    parts = [tf.transpose(part, self._swap) for part in heads]
    rows = parts[0] if len(parts) == 1 else tf.concat(parts, self._axis)
    return tf.reshape(rows, [-1, len(heads) * self._hidden_size])
