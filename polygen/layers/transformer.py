"""Transformer encoder and decoder stacks with pre-norm residual blocks and ReZero.

One block, on x [B, T, D] (PolyGen, appendix C; Bachlechner et al., 2020):

    x += a1 * SelfAttention(LN(x))
    x += a2 * CrossAttention(LN(x), memory)       decoders with a memory only
    x += a3 * W2(relu(W1(LN(x))))

and one more LN after the last block. `transformer_weights` reads the variables once per graph.
`transformer` computes all positions at once and can be trained (branches.py); `transformer_step`
computes one position, from weights into which all that is linear was folded before the loop.
"""
import functools
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from . import caches, variables
from .attention import (KeyValues, attend, join_separate_vjp, join_wqkv_vjp,
                        self_attention_kernels, separate_kernels)
from .blocks import whole
from .branches import (BranchWeights, attention_vjp, folded_vjp, mlp_vjp, residual, single_vjp)
from .compilation import TENSORFLOW_1
from .decoding import State
from .dense import DenseWeights, dense_vjp, dense_weights
from .dropout import Dropout
from .heads import Heads
from .layouts import COLUMNS, ROWS, Layout, transposed
from .masks import filled_bias
from .norm import NormWeights, layer_norm, norm_weights
from .shapes import shape_of
from .vjp import differentiable


# From this size on a compiled step of decoding works on columns. Measured on a CPU, 2 to 16 rows:
# TensorFlow 2.21 takes 0.7 of the time of rows at 256, 0.55 at 512, 1.6 at 128; TensorFlow 1.15
# takes 1.5 at 256. Not compiled, rows are as fast.
COLUMNS_HIDDEN_SIZE = float('inf') if TENSORFLOW_1 else 256


class LayerWeights(NamedTuple):
  """The variables of one block; without a memory `cross` and `memory_kv` are None.

  Attributes:
    self_attention, cross, mlp: BranchWeights.
    memory_kv: kernels (k, v) [D, D] of the memory.
  """
  self_attention: BranchWeights
  cross: Optional[BranchWeights]
  memory_kv: Optional[Tuple[tf.Tensor, tf.Tensor]]
  mlp: BranchWeights


class TransformerWeights(NamedTuple):
  """A stack: its TransformerConfig, its blocks, the LN after the last."""
  config: tuple
  layers: Tuple[LayerWeights, ...]
  output_norm: Optional[NormWeights]


class FoldedLayer(NamedTuple):
  """One block as a step reads it, DenseWeights with LN and ReZero folded in.

  qkv [D, 3D] and out [D, D] of the self-attention; query and memory_out [D, D] of the
  cross-attention, None without memory; fc_1 [D, F], fc_2 [F, D]. In COLUMNS (layouts.py) they are
  transposed.
  """
  qkv: DenseWeights
  out: DenseWeights
  query: Optional[DenseWeights]
  memory_out: Optional[DenseWeights]
  fc_1: DenseWeights
  fc_2: DenseWeights


class DecodingWeights(NamedTuple):
  """A stack as `transformer_step` reads it."""
  config: tuple
  layers: Tuple[FoldedLayer, ...]
  output_norm: Optional[NormWeights]
  layout: Layout


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
  """Keys and values of a memory [B, S, D] for every layer: a tuple of KeyValues [B, H, S, d].

  One product makes them all.
  """
  batch, length, hidden = shape_of(memory)
  num_heads = weights.config.num_heads
  kernels = [kernel for layer in weights.layers for kernel in layer.memory_kv]
  heads = Heads(batch, length, num_heads, hidden // num_heads, [len(kernels)])

  def key_values_vjp(rows, kernels):
    projected, project = dense_vjp(rows, DenseWeights(tf.concat(kernels, axis=1)))

    def vjp(dkey_values):
      drows, dweights = project(heads.join(dkey_values))
      return drows, tf.split(dweights.kernel, len(kernels), axis=1)

    return heads.split(projected, len(kernels)), vjp

  key_values = differentiable(key_values_vjp)(tf.reshape(memory, [-1, hidden]), kernels)
  return tuple(KeyValues(*pair) for pair in zip(key_values[::2], key_values[1::2]))


def transformer(x, weights, blocks, memory=None, memory_blocks=whole(None),
                dropout=Dropout(0.)):
  """All positions at once.

  Args:
    x: [B, T, D].
    weights: TransformerWeights.
    blocks: of the self-attention (blocks.py): causal, or whole under a bias of padding.
    memory: the result of `memory_key_values`, or None.
    memory_blocks: of the cross-attention.
    dropout: applied to each residual branch.

  Returns:
    [B, T, D].
  """
  config = weights.config
  batch, length, hidden = shape_of(x)
  heads = Heads(batch, length, config.num_heads, hidden // config.num_heads, [3, 1])
  add = functools.partial(residual, recompute=config.memory_efficient)
  rows = tf.reshape(x, [-1, hidden])
  for number, layer in enumerate(weights.layers):
    rows = add(rows, layer.self_attention, _joined_vjp(config), attention_vjp(heads, blocks, 3),
               drop=dropout.site())
    if memory is not None:
      rows = add(rows, layer.cross, _query_vjp(config),
                 attention_vjp(heads, memory_blocks, 1), (memory[number],), dropout.site())
    rows = add(rows, layer.mlp, single_vjp, mlp_vjp, drop=dropout.site())
  return tf.reshape(layer_norm(rows, weights.output_norm), [batch, length, hidden])


def decoding_weights(weights, compiled):
  """A (compiled) `transformer_step`'s weights; made once, before the loop.

  Args:
    weights: TransformerWeights.
    compiled: whether XLA compiles the loop.
  """
  config = weights.config
  columns = compiled and config.hidden_size >= COLUMNS_HIDDEN_SIZE
  layers = []
  for layer in weights.layers:
    (qkv, out), _ = folded_vjp(layer.self_attention, _joined_vjp(config))
    query = memory_out = None
    if layer.cross is not None:
      (query, memory_out), _ = folded_vjp(layer.cross, _query_vjp(config))
    (fc_1, fc_2), _ = folded_vjp(layer.mlp, single_vjp)
    folded = FoldedLayer(qkv, out, query, memory_out, fc_1, fc_2)
    layers.append(FoldedLayer(*map(transposed, folded)) if columns else folded)
  return DecodingWeights(config, tuple(layers), weights.output_norm, COLUMNS if columns else ROWS)


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
    memory: as in `transformer`.
    memory_bias: of the cross-attention scores [B, H, 1, S].

  Returns:
    output [B, 1, D], and the state with `index` filled.
  """
  enter, leave, dense_to, normalise, split_heads, join_heads = weights.layout
  num_heads = weights.config.num_heads
  norm = normalise if weights.config.layer_norm else tf.identity
  bias = filled_bias(index, shape_of(state[0].keys)[2])
  new_state = []
  x = enter(x)
  for number, layer in enumerate(weights.layers):
    q, keys, values = split_heads(dense_to(norm(x), layer.qkv), 3, num_heads)
    new_state.append(caches.write(state[number], KeyValues(keys, values), index))
    x += dense_to(join_heads(attend(q, new_state[-1], bias)), layer.out)
    if memory is not None:
      q, = split_heads(dense_to(norm(x), layer.query), 1, num_heads)
      x += dense_to(join_heads(attend(q, memory[number], memory_bias)), layer.memory_out)
    x += dense_to(tf.nn.relu(dense_to(norm(x), layer.fc_1)), layer.fc_2)
  return layer_norm(leave(x), weights.output_norm), tuple(new_state)


def _layer_weights(config, cross_attention):
  with variables.scope('self_attention'):
    kernels, out = self_attention_kernels(config)
    self_attention = _branch_weights(config, kernels, None, DenseWeights(out))
  cross = memory_kv = None
  if cross_attention:
    with variables.scope('cross_attention'):
      q, k, v, out = separate_kernels(config)
      cross, memory_kv = _branch_weights(config, (q,), None, DenseWeights(out)), (k, v)
  fc_1 = dense_weights('fc_1', config.hidden_size, config.fc_size)
  fc_2 = dense_weights('fc_2', config.fc_size, config.hidden_size)
  with variables.scope('fc'):
    mlp = _branch_weights(config, (fc_1.kernel,), fc_1.bias, fc_2)
  return LayerWeights(self_attention, cross, memory_kv, mlp)


def _branch_weights(config, first, first_bias, last):
  """The kernels of a branch with the LN and ReZero variables of the present scope."""
  return BranchWeights(
      norm_weights(config.hidden_size) if config.layer_norm else None, first, first_bias, last,
      variables.zeros('alpha', []) if config.re_zero else None)


def _joined_vjp(config):
  """The join_vjp of self-attention."""
  return functools.partial(join_wqkv_vjp if config.memory_efficient else join_separate_vjp,
                           config=config)


def _query_vjp(config):
  """The join_vjp of cross-attention, whose layout is always the separate one."""
  return functools.partial(join_separate_vjp, config=config)
