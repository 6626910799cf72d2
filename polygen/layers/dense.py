"""Dense layers."""
from typing import NamedTuple, Optional

import tensorflow.compat.v1 as tf

from . import variables
from .matmul import matmul
from .shapes import shape_of


class DenseWeights(NamedTuple):
  """kernel float32 [inputs, outputs], bias float32 [outputs] or None."""
  kernel: tf.Tensor
  bias: Optional[tf.Tensor] = None


def dense_weights(name, inputs, outputs, bias=True, zero_kernel=False):
  """The variables `name/kernel` and, if wanted, `name/bias`; the kernel is glorot uniform or 0."""
  with variables.scope(name):
    kernel = variables.zeros if zero_kernel else variables.glorot
    return DenseWeights(kernel('kernel', [inputs, outputs]),
                        variables.zeros('bias', [outputs]) if bias else None)


def dense(x, weights):
  """x [..., inputs] -> [..., outputs], as one matrix product over all leading axes."""
  *leading, inputs = shape_of(x)
  y = matmul(tf.reshape(x, [-1, inputs]), weights.kernel)
  if weights.bias is not None:
    y = tf.nn.bias_add(y, weights.bias)
  return tf.reshape(y, leading + weights.kernel.shape.as_list()[1:])


def dense_vjp(x, weights):
  """x [N, inputs] -> y = x W + b [N, outputs]; dx = dy W', dW = x' dy, db = the sum of dy."""
  kernel, bias = weights
  y = matmul(x, kernel)

  def vjp(dy):
    return matmul(dy, kernel, transpose_b=True), DenseWeights(
        matmul(x, dy, transpose_a=True),
        None if bias is None else tf.raw_ops.BiasAddGrad(out_backprop=dy))

  return (y if bias is None else tf.nn.bias_add(y, bias)), vjp


def scale_inputs_vjp(weights, scale, shift):
  """Weights V with dense(x, V) = dense(x * scale + shift, weights); scale, shift: [inputs]."""
  kernel, bias = weights
  column, row = tf.expand_dims(scale, 1), tf.expand_dims(shift, 0)
  moved = tf.squeeze(matmul(row, kernel), axis=0)

  def vjp(gradient):
    dmoved = tf.expand_dims(gradient.bias, 1)
    dkernel = gradient.kernel * column + matmul(row, dmoved, transpose_a=True, transpose_b=True)
    return (DenseWeights(dkernel, None if bias is None else gradient.bias),
            tf.reduce_sum(gradient.kernel * kernel, axis=1),
            tf.squeeze(matmul(kernel, dmoved), axis=1))

  return DenseWeights(kernel * column, moved if bias is None else moved + bias), vjp


def scale_outputs_vjp(weights, scale):
  """Weights V with dense(x, V) = scale * dense(x, weights); scale: scalar."""
  scaled = DenseWeights(*(None if tensor is None else tensor * scale for tensor in weights))

  def vjp(gradient):
    pairs = [(d, tensor) for d, tensor in zip(gradient, weights) if tensor is not None]
    return (DenseWeights(*(None if d is None else d * scale for d in gradient)),
            tf.add_n([tf.reduce_sum(d * tensor) for d, tensor in pairs]))

  return scaled, vjp
