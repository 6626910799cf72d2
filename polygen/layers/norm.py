"""Layer normalisation (Ba et al., 2016)."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from . import variables
from .float32 import keep_float32
from .vjp import differentiable

EPSILON = 1e-6


class NormWeights(NamedTuple):
  """scale, bias: float32 [size]."""
  scale: tf.Tensor
  bias: tf.Tensor


def norm_weights(size):
  """The variables `layer_norm_scale` and `layer_norm_bias` of the present scope."""
  return NormWeights(variables.ones('layer_norm_scale', [size]),
                     variables.zeros('layer_norm_bias', [size]))


def normalise_vjp(x, axis=-1):
  """y = (x - mean) / s with s = sqrt(var + 1e-6), over an axis.

  dx = (dy - mean(dy) - y mean(dy y)) / s.
  """
  axis = tf.constant(axis)

  def mean(values):
    return tf.reduce_mean(values, axis=axis, keepdims=True)

  with keep_float32():
    centred = x - mean(x)
    inverse_deviation = tf.rsqrt(mean(tf.square(centred)) + EPSILON)
    y = centred * inverse_deviation

  def vjp(dy):
    with keep_float32():
      return ((dy - mean(dy) - y * mean(dy * y)) * inverse_deviation,)

  return y, vjp


def normalise(x, axis=-1):
  """The value of `normalise_vjp`, differentiable."""
  return differentiable(lambda x: normalise_vjp(x, axis))(x)


def layer_norm(x, weights):
  """normalise(x) * scale + bias; x itself without weights."""
  return x if weights is None else normalise(x) * weights.scale + weights.bias
