"""Key-value caches of decoding: fixed length, written at an index, returned, never mutated."""
import tensorflow.compat.v1 as tf

from .attention import KeyValues
from .shapes import shape_of


def empty_cache(batch, config, length):
  """The cache of one self-attention layer: keys and values [B, H, length, d] of zeros."""
  shape = [batch, config.num_heads, length, config.hidden_size // config.num_heads]
  return KeyValues(tf.zeros(shape), tf.zeros(shape))


def write(cache, new, index):
  """`cache` with position `index` (int32 scalar) replaced by the one position of `new`."""
  batch, heads, length, size = shape_of(cache.keys)
  rows = tf.range(batch * heads) * length + index

  def updated(old, row):
    flat = tf.tensor_scatter_nd_update(
        tf.reshape(old, [-1, size]), rows[:, None], tf.reshape(row, [-1, size]))
    return tf.reshape(flat, [batch, heads, length, size])

  return KeyValues(updated(cache.keys, new.keys), updated(cache.values, new.values))
