"""Transformer encoder and decoder stacks with pre-norm residual blocks and ReZero.

One block, on x [B, T, D] (PolyGen, appendix C; Bachlechner et al., 2020):

    x += a1 * SelfAttention(LN(x))
    x += a2 * CrossAttention(LN(x), memory)       decoders with a memory only
    x += a3 * W2(relu(W1(LN(x))))

and one more LN after the last block. Weights are read from their variables once per graph by
`transformer_weights`; everything else is a function of tensors.
"""
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from . import caches, variables
from .attention import (CrossAttentionWeights, KeyValues, SelfAttentionWeights, attend,
                        cross_attention_weights, project_heads, self_attention_weights)
from .dense import DenseWeights, dense, dense_weights
from .dropout import Dropout
from .masks import filled_bias
from .norm import NormWeights, layer_norm, norm_weights
from .shapes import shape_of


class Branch(NamedTuple):
  """What a residual branch adds to its function: LN before it, the ReZero scalar after it."""
  norm: Optional[NormWeights]
  alpha: Optional[tf.Tensor]


class LayerWeights(NamedTuple):
  """One block; the cross-attention is None in a stack without memory."""
  self_branch: Branch
  self_attention: SelfAttentionWeights
  cross_branch: Optional[Branch]
  cross_attention: Optional[CrossAttentionWeights]
  fc_branch: Branch
  fc_1: DenseWeights
  fc_2: DenseWeights


class TransformerWeights(NamedTuple):
  """A stack: its config, its blocks, the LN after the last."""
  config: tuple
  layers: Tuple[LayerWeights, ...]
  output_norm: Optional[NormWeights]


def transformer_weights(name, config, cross_attention=False):
  """The variables of a stack under the scope `name`, read as tensors.

  Args:
    name: scope, e.g. 'transformer_decoder'.
    config: TransformerConfig.
    cross_attention: whether the blocks attend to a memory.
  """
  with variables.scope(name):
    layers = []
    for number in range(config.num_layers):
      with variables.scope('layer_{}'.format(number)):
        layers.append(_layer_weights(config, cross_attention))
    with variables.scope('output'):
      output_norm = norm_weights(config.hidden_size) if config.layer_norm else None
  return TransformerWeights(config, tuple(layers), output_norm)


def memory_key_values(memory, weights):
  """Keys and values of a memory [B, S, D] for every layer: a tuple of KeyValues [B, H, S, d]."""
  num_heads = weights.config.num_heads
  return tuple(KeyValues(*project_heads(memory, layer.cross_attention.kv, num_heads))
               for layer in weights.layers)


def transformer(x, weights, bias, memory=None, memory_bias=None, dropout=Dropout(0.)):
  """All positions at once.

  Args:
    x: [B, T, D].
    weights: TransformerWeights.
    bias: of the self-attention scores [B, H, T, T]: causal or of padding.
    memory: the result of `memory_key_values`, or None.
    memory_bias: of the cross-attention scores [B, H, T, S].
    dropout: applied to each residual branch.

  Returns:
    [B, T, D].
  """
  def attend_self(unused_number, q, key_values):
    return attend(q, key_values, bias)

  return _blocks(x, weights, attend_self, memory, memory_bias, dropout)


def empty_caches(batch, weights, length):
  """One empty cache of `length` positions per layer: the state of `transformer_step`."""
  return tuple(caches.empty_cache(batch, weights.config, length) for _ in weights.layers)


def transformer_step(x, weights, state, index, memory=None, memory_bias=None):
  """One position of a causal stack: equals `transformer` at position `index`.

  Args:
    x: [B, 1, D], the input at `index`.
    weights: TransformerWeights.
    state: a cache per layer, filled before `index`.
    index: int32 scalar.
    memory, memory_bias: as in `transformer`.

  Returns:
    output [B, 1, D], and the state with `index` filled.
  """
  bias = filled_bias(index, shape_of(state[0].keys)[2])
  new_state = []

  def attend_self(number, q, key_values):
    new_state.append(caches.write(state[number], key_values, index))
    return attend(q, new_state[-1], bias)

  output = _blocks(x, weights, attend_self, memory, memory_bias, Dropout(0.))
  return output, tuple(new_state)


def _blocks(x, weights, attend_self, memory, memory_bias, dropout):
  """The stack, with `attend_self(layer number, q, KeyValues)` [B, H, T, d] -> [B, T, D]."""
  num_heads = weights.config.num_heads
  for number, layer in enumerate(weights.layers):
    def self_attention(y):
      q, keys, values = project_heads(y, layer.self_attention.qkv, num_heads)
      return dense(attend_self(number, q, KeyValues(keys, values)), layer.self_attention.out)

    def cross_attention(y):
      q, = project_heads(y, layer.cross_attention.q, num_heads)
      return dense(attend(q, memory[number], memory_bias), layer.cross_attention.out)

    def fully_connected(y):
      return dense(tf.nn.relu(dense(y, layer.fc_1)), layer.fc_2)

    x = _residual(x, layer.self_branch, self_attention, dropout)
    if memory is not None:
      x = _residual(x, layer.cross_branch, cross_attention, dropout)
    x = _residual(x, layer.fc_branch, fully_connected, dropout)
  return layer_norm(x, weights.output_norm)


def _residual(x, branch, function, dropout):
  """x + dropout(alpha * function(LN(x)))."""
  y = function(layer_norm(x, branch.norm))
  if branch.alpha is not None:
    y *= branch.alpha
  return x + dropout(y)


def _layer_weights(config, cross_attention):
  with variables.scope('self_attention'):
    self_branch, self_attention = _branch(config), self_attention_weights(config)
  cross_branch = cross = None
  if cross_attention:
    with variables.scope('cross_attention'):
      cross_branch, cross = _branch(config), cross_attention_weights(config)
  with variables.scope('fc'):
    fc_branch = _branch(config)
  return LayerWeights(
      self_branch, self_attention, cross_branch, cross, fc_branch,
      fc_1=dense_weights('fc_1', config.hidden_size, config.fc_size),
      fc_2=dense_weights('fc_2', config.fc_size, config.hidden_size))


def _branch(config):
  return Branch(norm_weights(config.hidden_size) if config.layer_norm else None,
                variables.zeros('alpha', []) if config.re_zero else None)
