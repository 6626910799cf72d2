"""Layer normalisation (Ba et al., 2016)."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from . import variables
from .float32 import in_float32

EPSILON = 1e-6


class NormWeights(NamedTuple):
  """scale, bias: float32 [size]."""
  scale: tf.Tensor
  bias: tf.Tensor


def norm_weights(size):
  """The variables `layer_norm_scale` and `layer_norm_bias` of the present scope."""
  return NormWeights(variables.ones('layer_norm_scale', [size]),
                     variables.zeros('layer_norm_bias', [size]))


def normalise(x, axis=-1):
  """(x - mean) / sqrt(var + 1e-6) over an axis."""
  @in_float32
  def normalised(x):
    centred = x - tf.reduce_mean(x, axis=axis, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=axis, keepdims=True)
    return centred * tf.rsqrt(variance + EPSILON)

  return normalised(x)


def layer_norm(x, weights):
  """normalise(x) * scale + bias; x itself without weights."""
  return x if weights is None else normalise(x) * weights.scale + weights.bias
