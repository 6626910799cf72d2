"""The vertex model (PolyGen, section 2.2): p(vertices), a masked Transformer decoder.

Output t predicts token t; the input of output 0 is the context, that of output t + 1 is token t:

    input    context  z0  y0  x0  z1 ...  x_last
    output   z0       y0  x0  z1  y1 ...  STOP
"""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from .. import config
from ..layers import variables
from ..layers.categorical import Categorical
from ..layers.decoding import Constraints, Loop, decode
from ..layers.dense import dense, dense_weights
from ..layers.embedding import embedding_table
from ..layers.grammar import EVERY_SEQUENCE
from ..layers.shapes import check_rank, check_size, shape_of
from ..layers.transformer import (TransformerWeights, decoding_state, decoding_weights,
                                  transformer, transformer_step, transformer_weights)
from ..tokens import (COORDINATES_PER_VERTEX, STOP, VERTEX_NOISE_STREAM, VERTEX_TOKEN_OFFSET,
                      max_bin, vertex_sequence_length, vertex_vocabulary)
from .base import (Model, checked_drawing, class_labels, context_table, decoder_inputs, feedable,
                   keep_complete, legal_rows, mask_illegal, repeat_context, repeat_rows,
                   sample_length, sequence_layout, training_dropout)
from .noise import checked_noise, noise_tensor
from .quantization import dequantize
from .vertex_grammar import vertex_grammar


class VertexWeights(NamedTuple):
  """The variables of a vertex model, read as tensors."""
  context: tf.Tensor
  values: tf.Tensor
  coordinates: tf.Tensor
  positions: tf.Tensor
  decoder: TransformerWeights
  logits: tuple


class VertexModel(Model):
  """Autoregressive model of quantised vertices.

  Args:
    decoder_config: TransformerConfig or a dict of its fields.
    quantization_bits: b; coordinates are 2^b bins.
    class_conditional: the context is an embedding of `class_label` instead of a learned vector.
    num_classes: number of class labels.
    max_num_input_verts: size of the position table, the most vertices a mesh may have.
    use_discrete_embeddings: embed tokens by a table, else by a dense layer of their value.
    name: scope of the variables.
  """

  def __init__(self, decoder_config, quantization_bits, class_conditional=False, num_classes=55,
               max_num_input_verts=2500, use_discrete_embeddings=True, name='vertex_model'):
    super().__init__(name)
    self.config = config.VertexModelConfig(
        config.as_transformer_config(decoder_config), quantization_bits, class_conditional,
        num_classes, max_num_input_verts, use_discrete_embeddings)

  def __call__(self, batch, is_training=False, dropout_seed=None, mask_invalid=False):
    """Distributions of every token given those before it.

    Args:
      batch: dict with vertices_flat int32 [B, 3V + 1] and, if class_conditional, class_label
        int32 [B]. Other keys are ignored. A packed batch (data/packing.py) also has
        packed_segments, packed_positions and class_label int32 [B, T] of each token, and
        packed_windows int32 [n, 2] of n blocks (data/windows.py).
      is_training: whether dropout acts, bool or bool scalar tensor.
      dropout_seed: int32 [2], makes dropout a function of it; None draws afresh.
      mask_invalid: give tokens that cannot continue a mesh the probability 0, for evaluation
        (PolyGen, section 2.2); not for packed batches. The vertices must be sorted.

    Returns:
      Categorical of batch shape [B, 3V + 1] over 2^b + 1 tokens.
    """
    tokens = tf.cast(tf.convert_to_tensor(batch['vertices_flat']), tf.int32)
    check_rank(tokens, 2, 'vertices_flat')
    positions, seen = sequence_layout(
        batch, tokens, vertex_sequence_length(self.config.max_num_input_verts),
        'vertices_flat', 'max_num_input_verts')
    with variables.model_scope(self.name):
      weights = self._weights()
      inputs = decoder_inputs(
          legal_rows(tokens, shape_of(weights.values)[0]), positions, weights.values,
          weights.context, self._context_rows(batch), self._places(weights))
      outputs = transformer(
          inputs, weights.decoder, seen,
          dropout=training_dropout(self.config.decoder_config, is_training, dropout_seed))
      logits = dense(outputs, weights.logits)
    if mask_invalid:
      logits = mask_illegal(
          logits, vertex_grammar(shape_of(tokens)[0], self.config.quantization_bits), tokens, batch)
    return Categorical(logits)

  def sample(self, num_samples, context=None, max_sample_length=None, temperature=1., top_k=0,
             top_p=1., recenter_verts=True, only_return_complete=True, seed=None, noise=None,
             static_batch=False, fixed_length=False, compile_loop=False, mask_invalid=False,
             prefix=None):
    """Draws vertex sets.

    Args:
      num_samples: n.
      context: dict with class_label int32 [n] or [1] if class_conditional.
      max_sample_length: most vertices per sample, max_num_input_verts by default; one token more
        is drawn, so that a sample of full length can stop.
      temperature, top_k, top_p: see layers/filters.py; top_k=1 is greedy.
      recenter_verts: move the centre of each bounding box to 0, for models trained with shifts.
      only_return_complete: return the rows that drew a STOP alone, perhaps none.
      seed: int: the samples are a function of the weights, seed and row. None: always new ones.
      noise: float32 [n, 3 * max_sample_length + 1] in [0, 1), instead of a seed.
      static_batch: keep the batch size n of the outputs static, as compiled graphs need it; else
        fewer rows may be fed in their place, e.g. to a face model built on them.
      fixed_length: draw all steps even if every row has stopped, as graphs without loops of
        unknown length need it; the samples are the same.
      compile_loop: compile the decoding loop with XLA; batch and lengths must be static, and
        compilation takes seconds at the first run. The samples are the same up to rounding.
      mask_invalid: draw only tokens that lead to a legal set (vertex_grammar.py): at least three
        sorted, different vertices, within max_sample_length, so that every sample completes.
      prefix: int32 [n, P, 3] or [1, P, 3], (x, y, z) bins, the lowest P vertices of every sample,
        sorted by z, then y, then x; the others are drawn.

    Returns:
      dict with completed bool [n], vertices float32 [n, max_sample_length, 3] as (x, y, z) in
      [-0.5, 0.5], zero-padded, num_vertices int32 [n], vertices_mask float32
      [n, max_sample_length]; and class_label int32 [n] if class_conditional. A sample without STOP
      is incomplete and keeps its whole vertices.
    """
    limit = sample_length(max_sample_length, self.config.max_num_input_verts,
                          'max_num_input_verts')
    steps = vertex_sequence_length(limit)
    drawing = checked_drawing(temperature, top_k, top_p)
    if noise is None:
      noise = noise_tensor(seed, num_samples, steps, VERTEX_NOISE_STREAM)
    else:
      noise = checked_noise(noise, num_samples, steps)
    context = repeat_context(
        {'class_label': class_labels(context)} if self.config.class_conditional else None,
        num_samples)
    constraints = Constraints(
        vertex_grammar(num_samples, self.config.quantization_bits, steps) if mask_invalid
        else EVERY_SEQUENCE,
        None if prefix is None else prefix_tokens(prefix, num_samples, limit))
    with variables.model_scope(self.name):
      decoded = self._decode(context, num_samples, noise,
                             Loop(drawing, fixed_length, compile_loop), constraints)
      outputs = vertices_from_tokens(decoded, self.config.quantization_bits)
    if recenter_verts:
      outputs['vertices'] = recentre(outputs['vertices'], outputs['vertices_mask'])
    outputs.update(context)
    if only_return_complete:
      return keep_complete(outputs, outputs['completed'])
    return outputs if static_batch else feedable(outputs)

  def _weights(self):
    size, bits = self.config.decoder_config.hidden_size, self.config.quantization_bits
    values = self._value_table(size, vertex_vocabulary(bits))
    return VertexWeights(
        context=context_table(self.config.class_conditional, self.config.num_classes, size),
        values=values,
        coordinates=embedding_table('coord_embeddings', COORDINATES_PER_VERTEX, size),
        positions=embedding_table('coord_embeddings_1', self.config.max_num_input_verts, size),
        decoder=transformer_weights('transformer_decoder', self.config.decoder_config),
        logits=dense_weights('project_to_logits', size, vertex_vocabulary(bits),
                             zero_kernel=True))

  def _value_table(self, size, vocabulary):
    """The embedding of every token [vocabulary, D]."""
    if self.config.use_discrete_embeddings:
      return embedding_table('value_embeddings', vocabulary, size)
    # DeepMind's release scales the token, not the bin; kept for its weights.
    values = tf.range(vocabulary, dtype=tf.float32) / max_bin(self.config.quantization_bits) - 0.5
    return dense(values[:, None], dense_weights('value_embeddings', 1, size))

  def _places(self, weights):
    """Coordinate + position embedding of the tokens of all vertices [3 max_num_input_verts, D]."""
    table = weights.positions[:, None, :] + weights.coordinates[None]
    return tf.reshape(table, [-1, table.shape.as_list()[-1]])

  def _decode(self, context, num_samples, noise, loop, constraints):
    weights = self._weights()
    decoder = decoding_weights(weights.decoder, loop.compiled)
    steps = noise.shape.as_list()[1]
    places = self._places(weights)

    def next_logits(x, state, index):
      output, state = transformer_step(x, decoder, state, index)
      return dense(output, weights.logits)[:, 0], state

    def embed(token, index):
      # Nothing follows the last token, which has no place.
      place = tf.gather(places, tf.minimum(index, steps - 2))
      return tf.gather(weights.values, token[:, None]) + place

    return decode(
        next_logits, embed, repeat_rows(self._context(weights, context), num_samples),
        decoding_state(num_samples, decoder), noise, STOP, loop, constraints)


def prefix_tokens(prefix, num_samples, most):
  """The tokens int32 [n, 3P] of given vertices (x, y, z) bins int32 [n or 1, P, 3].

  Raises:
    ValueError: another rank or static size, or more than `most` vertices.
  """
  prefix = tf.convert_to_tensor(prefix, tf.int32)
  check_rank(prefix, 3, 'prefix')
  check_size(prefix, 2, COORDINATES_PER_VERTEX, 'prefix')
  length = shape_of(prefix)[1]
  if isinstance(length, int) and not 1 <= length <= most:
    raise ValueError('prefix has {} vertices; it must have between 1 and {}, the most of a sample'
                     .format(length, most))
  repeated, = repeat_context({'prefix': prefix}, num_samples).values()
  zyx = tf.reverse(repeated, axis=[2]) + VERTEX_TOKEN_OFFSET
  return tf.reshape(zyx, [num_samples, COORDINATES_PER_VERTEX * length])


def vertices_from_tokens(decoded, quantization_bits):
  """The outputs of `VertexModel.sample` from tokens [n, 3 * most + 1], 0 from STOP on."""
  tokens, completed = decoded
  steps = tokens.shape.as_list()[1]
  drawn = tf.reduce_sum(tf.cast(tf.not_equal(tokens, STOP), tf.int32), axis=1)
  num_vertices = drawn // COORDINATES_PER_VERTEX
  most = steps // COORDINATES_PER_VERTEX
  mask = tf.cast(tf.range(most)[None] < num_vertices[:, None], tf.float32)
  zyx = tf.reshape(tokens[:, :-1], [-1, most, COORDINATES_PER_VERTEX]) - VERTEX_TOKEN_OFFSET
  vertices = dequantize(tf.reverse(zyx, axis=[2]), quantization_bits) * mask[..., None]
  return {'completed': completed, 'vertices': vertices, 'num_vertices': num_vertices,
          'vertices_mask': mask}


def recentre(vertices, mask):
  """Moves the centre of the bounding box of the real vertices to 0; padding stays 0.

  Args:
    vertices: float32 [n, V, 3] in [-0.5, 0.5].
    mask: float32 [n, V].
  """
  real = tf.cast(mask, tf.bool)[..., None]
  outside = 1.  # beyond every coordinate
  lowest = tf.reduce_min(tf.where_v2(real, vertices, outside), axis=1, keepdims=True)
  highest = tf.reduce_max(tf.where_v2(real, vertices, -outside), axis=1, keepdims=True)
  return (vertices - (lowest + highest) / 2) * mask[..., None]
