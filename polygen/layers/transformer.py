"""Transformer encoder and decoder stacks with pre-norm residual blocks and ReZero.

One block, on x [B, T, D] (PolyGen, appendix C; Bachlechner et al., 2020):

    x += a1 * SelfAttention(LN(x))
    x += a2 * CrossAttention(LN(x), memory)       decoders with a memory only
    x += a3 * W2(relu(W1(LN(x))))

and one more LN after the last block. `transformer_weights` reads the variables once per graph and
folds what is linear into the kernels: the scale and bias of each LN into the kernel that follows,
the scalar a into the kernel that ends the branch. Everything else is a function of tensors.
"""
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from . import caches, variables
from .attention import KeyValues, attend, cross_attention_weights, self_attention_weights
from .decoding import State
from .dense import DenseWeights, dense, dense_weights, scale_inputs, scale_outputs
from .dropout import Dropout
from .layouts import COLUMNS, ROWS, Layout, split_rows, transposed
from .masks import filled_bias
from .norm import NormWeights, layer_norm, norm_weights
from .shapes import shape_of


# From this size on a compiled step of decoding works on columns. Measured on a CPU, 2 to 16 rows:
# TensorFlow 2.21 takes 0.7 of the time of rows at 256, 0.55 at 512, 1.6 at 128; TensorFlow 1.15
# takes 1.5 at 256. Not compiled, rows are as fast.
COLUMNS_HIDDEN_SIZE = float('inf') if tf.version.VERSION.startswith('1.') else 256


class LayerWeights(NamedTuple):
  """One block, LN and ReZero folded in.

  qkv [D, 3D] and out [D, D] of the self-attention; query [D, D], memory_kv [D, 2D] and memory_out
  [D, D] of the cross-attention, None without memory; fc_1 [D, F], fc_2 [F, D].
  In COLUMNS (layouts.py) they are transposed; memory_kv, which no step needs, is None there.
  """
  qkv: DenseWeights
  out: DenseWeights
  query: Optional[DenseWeights]
  memory_kv: Optional[DenseWeights]
  memory_out: Optional[DenseWeights]
  fc_1: DenseWeights
  fc_2: DenseWeights


class TransformerWeights(NamedTuple):
  """A stack: its TransformerConfig, its blocks in a layout, the LN after the last."""
  config: tuple
  layers: Tuple[LayerWeights, ...]
  output_norm: Optional[NormWeights]
  layout: Layout = ROWS


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
  return tuple(KeyValues(*split_rows(dense(memory, layer.memory_kv), 2, num_heads))
               for layer in weights.layers)


def transformer(x, weights, bias, memory=None, memory_bias=None, dropout=Dropout(0.)):
  """All positions at once.

  Args:
    x: [B, T, D].
    weights: TransformerWeights in ROWS.
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


def decoding_weights(weights, compiled):
  """`weights` as a (compiled) `transformer_step` reads them fastest; made once, before the loop."""
  if not compiled or weights.config.hidden_size < COLUMNS_HIDDEN_SIZE:
    return weights
  layers = tuple(LayerWeights(*map(transposed, layer._replace(memory_kv=None)))
                 for layer in weights.layers)
  return weights._replace(layers=layers, layout=COLUMNS)


def decoding_state(batch, weights):
  """The State of `transformer_step`: a cache per layer, empty at first."""
  def empty(length):
    return tuple(caches.empty_cache(batch, weights.config, length) for _ in weights.layers)

  def lengthened(state, length):
    return tuple(caches.lengthened(cache, length) for cache in state)

  return State(empty, lengthened)


def transformer_step(x, weights, state, index, memory=None, memory_bias=None):
  """One position of a causal stack: equals `transformer` at position `index`.

  Args:
    x: [B, 1, D], the input at `index`.
    weights: the result of `decoding_weights`.
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
  """The stack, with `attend_self(layer number, q, KeyValues)` [B, H, T, d] -> [B, H, T, d]."""
  enter, leave, dense_to, normalise, split_heads, join_heads = weights.layout
  num_heads = weights.config.num_heads
  norm = normalise if weights.config.layer_norm else tf.identity
  x = enter(x)
  for number, layer in enumerate(weights.layers):
    q, keys, values = split_heads(dense_to(norm(x), layer.qkv), 3, num_heads)
    heads = attend_self(number, q, KeyValues(keys, values))
    x += dropout(dense_to(join_heads(heads), layer.out))
    if memory is not None:
      q, = split_heads(dense_to(norm(x), layer.query), 1, num_heads)
      heads = attend(q, memory[number], memory_bias)
      x += dropout(dense_to(join_heads(heads), layer.memory_out))
    x += dropout(dense_to(tf.nn.relu(dense_to(norm(x), layer.fc_1)), layer.fc_2))
  return layer_norm(leave(x), weights.output_norm)


def _layer_weights(config, cross_attention):
  with variables.scope('self_attention'):
    qkv, out = _folded(config, *self_attention_weights(config))
  query = memory_kv = memory_out = None
  if cross_attention:
    with variables.scope('cross_attention'):
      query, memory_kv, memory_out = cross_attention_weights(config)
      query, memory_out = _folded(config, query, memory_out)
  fc_1 = dense_weights('fc_1', config.hidden_size, config.fc_size)
  fc_2 = dense_weights('fc_2', config.fc_size, config.hidden_size)
  with variables.scope('fc'):
    fc_1, fc_2 = _folded(config, fc_1, fc_2)
  return LayerWeights(qkv, out, query, memory_kv, memory_out, fc_1, fc_2)


def _folded(config, first, last):
  """The kernels around a branch with the LN and ReZero variables of the present scope."""
  if config.layer_norm:
    first = scale_inputs(first, *norm_weights(config.hidden_size))
  if config.re_zero:
    last = scale_outputs(last, variables.zeros('alpha', []))
  return first, last
