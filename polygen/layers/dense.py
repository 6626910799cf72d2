"""Dense layers and embedding tables."""
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


def scale_inputs(weights, scale, bias):
  """Weights w with dense(x, w) = dense(x * scale + bias, weights); scale, bias: [inputs]."""
  shift = matmul(bias[None], weights.kernel)[0]
  return DenseWeights(weights.kernel * scale[:, None],
                      shift if weights.bias is None else weights.bias + shift)


def scale_outputs(weights, scale):
  """Weights w with dense(x, w) = scale * dense(x, weights)."""
  return DenseWeights(weights.kernel * scale,
                      None if weights.bias is None else weights.bias * scale)


def embedding_table(name, rows, size):
  """The variable `name/embeddings` float32 [rows, size]."""
  with variables.scope(name):
    return variables.glorot('embeddings', [rows, size])
