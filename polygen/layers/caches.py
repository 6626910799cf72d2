"""Key-value caches of decoding: written at an index, lengthened, returned, never mutated."""
import tensorflow.compat.v1 as tf

from .attention import LANES, KeyValues
from .compilation import write_at

# Of the cached positions [B, H, T, d].
TIME_AXIS = 2


def empty_cache(batch, config, length):
  """The cache of one self-attention layer with room for `length` positions.

  Keys and values of zeros [B, H, T, d], T the next multiple of LANES.
  """
  shape = [batch, config.num_heads, _rounded(length), config.hidden_size // config.num_heads]
  return KeyValues(tf.zeros(shape), tf.zeros(shape))


def write(cache, new, index):
  """`cache` with position `index` (int32 scalar) replaced by the one position of `new`."""
  return KeyValues(*(write_at(old, row, index, TIME_AXIS) for old, row in zip(cache, new)))


def lengthened(cache, length):
  """`cache` with zeros behind, as one with room for `length` positions."""
  missing = _rounded(length) - cache.keys.shape.as_list()[TIME_AXIS]
  return KeyValues(*(tf.pad(x, [[0, 0], [0, 0], [0, missing], [0, 0]]) for x in cache))


def _rounded(length):
  return -(-length // LANES) * LANES
