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


@in_float32
def normalise(x):
  """(x - mean) / sqrt(var + 1e-6) over the last axis."""
  centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
  variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
  return centred * tf.rsqrt(variance + EPSILON)


def layer_norm(x, weights):
  """normalise(x) * scale + bias; x itself without weights."""
  return x if weights is None else normalise(x) * weights.scale + weights.bias
