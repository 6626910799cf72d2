"""Multi-head attention (Vaswani et al., 2017), without biases.

Axes: B batch, T queries, S keys, D hidden size, H heads, d = D / H.
"""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from . import variables
from .dense import DenseWeights, dense_weights
from .float32 import in_float32
from .matmul import matmul


class KeyValues(NamedTuple):
  """keys, values: [B, H, S, d]."""
  keys: tf.Tensor
  values: tf.Tensor


def self_attention_weights(config):
  """The variables of self-attention in either layout, as two joined kernels.

  Returns:
    qkv [D, 3D] (columns q | k | v, each by head, q scaled by d^-0.5), out [D, D].
  """
  hidden = config.hidden_size
  if config.memory_efficient:
    q, k, v, out = _memory_efficient_kernels(hidden, config.num_heads)
  else:
    q, k, v, out = _separate_kernels(hidden)
  return DenseWeights(tf.concat([_scaled(q, config), k, v], axis=1)), DenseWeights(out)


def cross_attention_weights(config):
  """The variables of cross-attention.

  Returns:
    q [D, D], scaled by d^-0.5, kv [D, 2D] (columns k | v, each by head), out [D, D].
  """
  q, k, v, out = _separate_kernels(config.hidden_size)
  return (DenseWeights(_scaled(q, config)), DenseWeights(tf.concat([k, v], axis=1)),
          DenseWeights(out))


def attend(q, key_values, bias):
  """Softmax attention.

  Args:
    q: [B, H, T, d], already scaled.
    key_values: KeyValues of S positions.
    bias: added to the scores, broadcast to [B, H, T, S]; 0 or masks.MASKED. None: all allowed.

  Returns:
    [B, H, T, d].
  """
  scores = matmul(q, key_values.keys, transpose_b=True)
  if bias is not None:
    scores += bias
  return matmul(in_float32(tf.nn.softmax)(scores), key_values.values)


def _scaled(q, config):
  return q * (config.hidden_size // config.num_heads) ** -0.5


def _separate_kernels(hidden):
  return [dense_weights(name, hidden, hidden, bias=False).kernel
          for name in ('q', 'k', 'v', 'output_transform')]


def _memory_efficient_kernels(hidden, num_heads):
  """q, k, v, out [D, D] from `wqkv` [H, 1, D, 3d] (per head q | k | v) and `wo` [H, 1, d, D]."""
  head = hidden // num_heads
  fans = (hidden, hidden)
  wqkv = variables.glorot('wqkv', [num_heads, 1, hidden, 3 * head], fans)
  wo = variables.glorot('wo', [num_heads, 1, head, hidden], fans)
  by_projection = tf.transpose(
      tf.reshape(wqkv, [num_heads, hidden, 3, head]), [2, 1, 0, 3])  # [3, D, H, d]
  q, k, v = tf.unstack(tf.reshape(by_projection, [3, hidden, hidden]))
  return q, k, v, tf.reshape(wo, [hidden, hidden])
