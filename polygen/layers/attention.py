"""Multi-head attention (Vaswani et al., 2017), without biases.

Axes: B batch, T queries, S keys, D hidden size, H heads, d = D / H.
"""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from . import variables
from .compilation import TENSORFLOW_1, is_compiling
from .dense import dense_weights
from .float32 import keep_float32
from .masks import MASKED
from .matmul import matmul
from .shapes import shape_of


class KeyValues(NamedTuple):
  """keys, values: [B, H, S, d]."""
  keys: tf.Tensor
  values: tf.Tensor


def _attend_block(q, key_values, bias):
  """Softmax attention of one block: heads = P V, P = softmax(q K' + bias).

  dV = P' dheads; of the scores dS = P * (dheads V' - mean); dq = dS K, dK = dS' q.

  Args:
    q: [B, H, T, d], already scaled.
    key_values: KeyValues of S positions.
    bias: added to the scores, broadcast to [B, H, T, S]; 0 or masks.MASKED. None: all allowed.
      It has no gradient.

  Returns:
    heads [B, H, T, d]; a function (dheads, mean) -> the gradients of q and of key_values, where
    mean is `_mean_share(dheads, heads)`.
  """
  keys, values = key_values
  scores = matmul(q, keys, transpose_b=True)
  if bias is not None:
    scores += bias
  with keep_float32():
    shares = tf.nn.softmax(scores)
  heads = matmul(shares, values)

  def gradients(dheads, mean):
    dshares = matmul(dheads, values, transpose_b=True)
    with keep_float32():
      dscores = (dshares - mean) * shares
    return matmul(dscores, keys), KeyValues(
        matmul(dscores, q, transpose_a=True), matmul(shares, dheads, transpose_a=True))

  return heads, gradients


def _mean_share(dheads, heads):
  """sum(dheads * heads) over d, which is that of dP * P over the keys (Dao et al., 2022)."""
  with keep_float32():
    return tf.reduce_sum(dheads * heads, axis=-1, keepdims=True)


def attend_blocks_vjp(q, key_values, blocks):
  """Softmax attention of Blocks of queries: heads [B, H, T, d]; vjp from their gradient."""
  parts = zip(blocks.split(q), *map(blocks.seen, key_values), blocks.biases)
  heads, gradients = zip(*[
      _attend_block(block, KeyValues(*seen), bias) for block, *seen, bias in parts])
  heads = blocks.join(heads)

  def vjp(dheads):
    parts = zip(gradients, blocks.split(dheads), blocks.split(_mean_share(dheads, heads)))
    dq, dkey_values = zip(*[gradient(*part) for gradient, *part in parts])
    return blocks.join(dq), KeyValues(*map(blocks.unseen, zip(*dkey_values)))

  return heads, vjp


def attend(q, key_values, bias):
  """Softmax attention of one query to all keys, e.g. of a step of decoding.

  Args:
    q: [B, H, 1, d], already scaled.
    key_values: KeyValues of S positions.
    bias: as in `_attend_block`.

  Returns:
    heads [B, H, 1, d].
  """
  if is_compiling():
    return _attend_in_lanes(q, key_values, bias)
  return _attend_block(q, key_values, bias)[0]


# Keys side by side in a sum over keys, [S] -> [S / LANES, LANES]: XLA adds up a last axis that is
# long number by number. Of 8 to 64 the fastest; TensorFlow 1.15 loses by fewer than 32.
LANES = 32 if TENSORFLOW_1 else 8


def _attend_in_lanes(q, key_values, bias):
  """`attend` as XLA computes it fast; fastest if S is a multiple of LANES."""
  keys, values = key_values
  batch, num_heads, size = shape_of(keys)[:3]
  scores = matmul(q, keys, transpose_b=True)
  with keep_float32():
    if bias is not None:
      scores += bias
    scores = tf.pad(scores, [[0, 0], [0, 0], [0, 0], [0, -size % LANES]], constant_values=MASKED)
    scores = tf.reshape(scores, [batch, num_heads, -1, LANES])
    shares = tf.exp(scores - tf.reduce_max(scores, axis=[2, 3], keepdims=True))
    total = tf.reduce_sum(shares, axis=[2, 3], keepdims=True)
    shares = tf.reshape(shares, [batch, num_heads, 1, -1])[..., :size]
  heads = matmul(shares, values)
  with keep_float32():
    return heads / total


def self_attention_kernels(config):
  """The variables of self-attention: the kernels before it, to be joined, and the one behind.

  Returns:
    (q, k, v) [D, D] for `join_separate_vjp`; or (wqkv,) [H, 1, D, 3d] for `join_wqkv_vjp`, if
    memory_efficient; out [D, D].
  """
  hidden, heads = config.hidden_size, config.num_heads
  if not config.memory_efficient:
    q, k, v, out = separate_kernels(config)
    return (q, k, v), out
  fans = (hidden, hidden)
  wqkv = variables.glorot('wqkv', [heads, 1, hidden, 3 * hidden // heads], fans)
  wo = variables.glorot('wo', [heads, 1, hidden // heads, hidden], fans)
  return (wqkv,), tf.reshape(wo, [hidden, hidden])


def separate_kernels(config):
  """The variables q, k, v and out [D, D] in separate scopes."""
  return [dense_weights(name, config.hidden_size, config.hidden_size, bias=False).kernel
          for name in ('q', 'k', 'v', 'output_transform')]


def query_scale(config):
  """d^-0.5, by which queries are scaled."""
  return (config.hidden_size // config.num_heads) ** -0.5


def join_separate_vjp(kernels, config):
  """q, k, v or q alone -> one kernel with the columns q | k | v, each by head, q scaled."""
  q, *others = kernels
  scale = query_scale(config)

  def vjp(dkernel):
    dq, *dothers = tf.split(dkernel, len(kernels), axis=1) if others else [dkernel]
    return (dq * scale, *dothers)

  return (tf.concat([q * scale] + others, axis=1) if others else q * scale), vjp


def join_wqkv_vjp(kernels, config):
  """The same from (wqkv,) [H, 1, D, 3d], which has the columns q | k | v of each head."""
  hidden, num_heads = config.hidden_size, config.num_heads
  size = hidden // num_heads
  scales = tf.constant([[[query_scale(config)]], [[1.]], [[1.]]])  # [3, 1, 1]
  by_head = tf.reshape(kernels[0], [num_heads, hidden, 3, size])
  joined = tf.transpose(by_head, [1, 2, 0, 3]) * scales

  def vjp(dkernel):
    dkernel = tf.reshape(dkernel, [hidden, 3, num_heads, size]) * scales
    return (tf.reshape(tf.transpose(dkernel, [2, 0, 1, 3]), [num_heads, 1, hidden, 3 * size]),)

  return tf.reshape(joined, [hidden, 3 * hidden]), vjp
