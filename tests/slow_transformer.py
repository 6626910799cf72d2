"""The Transformer as its equations say, with TensorFlow's own gradients: nothing folded or split.

    with formulation(monkeypatch) as stacks:
      ...    # models built here are slow ones, on the same variables; stacks: the weights of each
"""
import contextlib

import tensorflow.compat.v1 as tf

from polygen.layers import blocks as block_layers
from polygen.layers.masks import MASKED
from polygen.models import face, vertex


@contextlib.contextmanager
def formulation(monkeypatch):
  """Both models are built on this module within the scope."""
  stacks = []

  def recorded(x, weights, *arguments, **options):
    stacks.append(weights)
    return transformer(x, weights, *arguments, **options)

  with monkeypatch.context() as patch:
    patch.setattr(block_layers, 'causal', causal)
    patch.setattr(block_layers, 'within_segments', within_segments)
    for model in (vertex, face):
      patch.setattr(model, 'transformer', recorded)
    patch.setattr(face, 'memory_key_values',
                  lambda memory, weights: [memory] * weights.config.num_layers)
    yield stacks


def causal(length, segments=None, windows=None):
  """One block under one triangle, whatever the windows."""
  allowed = tf.matrix_band_part(tf.ones([1, length, length]), -1, 0)
  if segments is not None:
    allowed *= tf.cast(tf.equal(segments[:, :, None], segments[:, None]), tf.float32)
  return block_layers.whole((1. - allowed[:, None]) * MASKED)


def within_segments(query_segments, key_segments, ends, windows):
  """One block, whatever the windows."""
  allowed = tf.cast(tf.equal(query_segments[:, :, None], key_segments[:, None]), tf.float32)
  return block_layers.whole((1. - allowed[:, None]) * MASKED)


def transformer(x, weights, blocks, memory=None, memory_blocks=None, dropout=None):
  """As layers.transformer.transformer, without dropout; memory: [B, S, D] for each layer."""
  bias, = blocks.biases
  for number, layer in enumerate(weights.layers):
    normal = norm(x, layer.self_attention.norm)
    x += branch_scale(layer.self_attention) * attention(
        normal, normal, attention_kernels(layer.self_attention, weights.config), bias,
        weights.config.num_heads)
    if memory is not None:
      memory_bias, = memory_blocks.biases
      normal = norm(x, layer.cross.norm)
      kernels = (layer.cross.first[0],) + layer.memory_kv + (layer.cross.last.kernel,)
      x += branch_scale(layer.cross) * attention(
          normal, memory[number], kernels, memory_bias, weights.config.num_heads)
    hidden = tf.einsum('btd,df->btf', norm(x, layer.mlp.norm), layer.mlp.first[0])
    hidden = tf.nn.relu(hidden + layer.mlp.first_bias)
    x += branch_scale(layer.mlp) * (
        tf.einsum('btf,fd->btd', hidden, layer.mlp.last.kernel) + layer.mlp.last.bias)
  return norm(x, weights.output_norm)


def branch_scale(branch):
  return 1. if branch.alpha is None else branch.alpha


def norm(x, weights):
  if weights is None:
    return x
  mean, variance = tf.nn.moments(x, axes=[-1], keep_dims=True)
  return (x - mean) / tf.sqrt(variance + 1e-6) * weights.scale + weights.bias


def attention_kernels(branch, config):
  """q, k, v and out [D, D] of either layout."""
  if not config.memory_efficient:
    return branch.first + (branch.last.kernel,)
  by_head = tf.split(branch.first[0][:, 0], 3, axis=2)  # [H, D, d]
  joined = [tf.concat(tf.unstack(kernel), axis=1) for kernel in by_head]
  return tuple(joined) + (branch.last.kernel,)


def attention(x, memory, kernels, bias, num_heads):
  q, k, v = [tf.einsum('btd,df->btf', values, kernel)
             for values, kernel in zip((x, memory, memory), kernels)]
  heads = []
  for q, k, v in zip(*[tf.split(projected, num_heads, axis=2) for projected in (q, k, v)]):
    scores = tf.einsum('btd,bsd->bts', q, k) / float(q.shape.as_list()[-1]) ** 0.5
    heads.append(tf.einsum('bts,bsd->btd', tf.nn.softmax(scores + bias[:, 0]), v))
  return tf.einsum('btd,df->btf', tf.concat(heads, axis=2), kernels[3])
