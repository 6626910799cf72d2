"""Between coordinate bins and floats, on tensors."""
import tensorflow.compat.v1 as tf

from ..tokens import QUANTIZATION_TIE_MARGIN, max_bin


def dequantize(bins, quantization_bits):
  """Bins int32 -> float32 in [-0.5, 0.5]."""
  return tf.cast(bins, tf.float32) / max_bin(quantization_bits) - 0.5


def quantize(vertices, quantization_bits, truncate=False):
  """Floats in [-0.5, 0.5] -> the nearest bins int32, ties down; truncate: the bin below."""
  highest = max_bin(quantization_bits)
  scaled = (vertices + 0.5) * highest
  if truncate:
    bins = tf.floor(scaled)
  else:
    bins = tf.ceil(scaled - 0.5 - QUANTIZATION_TIE_MARGIN)
  return tf.cast(tf.clip_by_value(bins, 0., float(highest)), tf.int32)
