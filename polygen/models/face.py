"""The face model (PolyGen, section 2.3): p(faces | vertices), a pointer network.

The encoder turns two learned vectors and the vertices into e [B, V + 2, D]; row 0 stands for STOP,
row 1 for NEW_FACE, row i + 2 for vertex i, so that token t is row t of e:

    input    context  e[f0_0]  e[f0_1]  e[f0_2]   e[NEW_FACE] ...
    output   f0_0     f0_1     f0_2     NEW_FACE  f1_0        ... STOP

Every output is a pointer, compared with all rows of e.
"""
from typing import NamedTuple, Optional

import tensorflow.compat.v1 as tf

from .. import config
from ..layers import blocks, variables
from ..layers.categorical import Categorical
from ..layers.decoding import Constraints, Loop, decode
from ..layers.dense import DenseWeights, dense, dense_weights
from ..layers.dropout import Dropout
from ..layers.embedding import embedding_table, lookup
from ..layers.grammar import EVERY_SEQUENCE
from ..layers.masks import padding_bias, segment_bias
from ..layers.matmul import matmul
from ..layers.shapes import check_rank, check_size, shape_of
from ..layers.transformer import (TransformerWeights, decoding_state, decoding_weights,
                                  memory_key_values, transformer, transformer_step,
                                  transformer_weights)
from ..tokens import (COORDINATES_PER_VERTEX, FACE_NOISE_STREAM, NEW_FACE, NUM_SPECIAL_FACE_TOKENS,
                      STOP, num_bins)
from .base import (Model, checked_drawing, class_labels, context_table, decoder_inputs,
                   keep_complete, legal_rows, mask_illegal, repeat_context, repeat_rows,
                   sample_length, sequence_layout, training_dropout)
from .face_grammar import face_grammar, has_faces
from .noise import checked_noise, noise_tensor
from .quantization import quantize


# Numbers that keep the dropout noise of the two stacks apart.
ENCODER, DECODER = range(2)


class FaceWeights(NamedTuple):
  """The variables of a face model, read as tensors."""
  context: tf.Tensor
  vertices: tuple
  special: tf.Tensor
  encoder: TransformerWeights
  positions: tf.Tensor
  decoder: TransformerWeights
  pointers: tuple


class EncodedVertices(NamedTuple):
  """What the decoder attends and points to.

  Attributes:
    embeddings: e [B, S, D], S = V + 2, or the slots of a packed batch.
    segments: int32 [B, S], 0 at padded vertices, 1 elsewhere; of the examples in a packed batch.
    memory: keys and values of e for each decoder layer, or None without cross-attention.
  """
  embeddings: tf.Tensor
  segments: tf.Tensor
  memory: Optional[tuple]

  def vertices_mask(self):
    """int32 [B, V], 1 at real vertices, of a batch that is not packed."""
    return self.segments[:, NUM_SPECIAL_FACE_TOKENS:]

  def bias(self):
    """Bias [B, 1, 1, S] of what points to them, in a batch that is not packed."""
    return padding_bias(self.segments)


class FaceModel(Model):
  """Autoregressive model of n-gon faces given vertices.

  Args:
    encoder_config, decoder_config: TransformerConfig or dicts of its fields; of one hidden_size.
    class_conditional: the context is an embedding of `class_label` instead of a learned vector.
    num_classes: number of class labels.
    decoder_cross_attention: whether the decoder attends to e.
    use_discrete_vertex_embeddings: embed coordinate bins by tables, else floats by a dense layer.
    quantization_bits: b; coordinates are 2^b bins.
    max_seq_length: size of the position table, the most face tokens a mesh may have.
    truncate_vertices: quantise by truncation, as DeepMind's published weights expect; set by
      `polygen.checkpoint.restore_deepmind` for all later calls.
    name: scope of the variables.
  """

  def __init__(self, encoder_config, decoder_config, class_conditional=True, num_classes=55,
               decoder_cross_attention=True, use_discrete_vertex_embeddings=True,
               quantization_bits=8, max_seq_length=5000, name='face_model',
               truncate_vertices=False):
    super().__init__(name)
    self.config = config.FaceModelConfig(
        config.as_transformer_config(encoder_config), config.as_transformer_config(decoder_config),
        class_conditional, num_classes, decoder_cross_attention, use_discrete_vertex_embeddings,
        quantization_bits, max_seq_length, truncate_vertices)

  def __call__(self, batch, is_training=False, dropout_seed=None, mask_invalid=False):
    """Distributions of every token given those before it.

    Args:
      batch: dict with vertices float32 [B, V, 3] in [-0.5, 0.5], vertices_mask float32 [B, V],
        faces int32 [B, T] and, if class_conditional, class_label int32 [B]. Other keys are
        ignored. A packed batch (data/packing.py) also has packed_segments, packed_positions and
        class_label int32 [B, T] of each token, packed_vertices_segments and
        packed_vertices_special int32 [B, V], packed_windows and packed_vertices_windows
        int32 [n, 2] of n blocks (data/windows.py).
      is_training: whether dropout acts, bool or bool scalar tensor.
      dropout_seed: int32 [2], makes dropout a function of it; None draws afresh.
      mask_invalid: give tokens that cannot continue a mesh the probability 0, for evaluation
        (PolyGen, section 2.3); not for packed batches. Vertices and faces must be sorted.

    Returns:
      Categorical of batch shape [B, T] over V + 2 tokens (V in a packed batch, whose vertices
      have the special ones between them); those of padded vertices have probability 0.
    """
    tokens = tf.cast(tf.convert_to_tensor(batch['faces']), tf.int32)
    check_rank(tokens, 2, 'faces')
    positions, seen = sequence_layout(
        batch, tokens, self.config.max_seq_length + 1, 'faces', 'max_seq_length')
    with variables.model_scope(self.name):
      weights = self._weights()
      encoded = self._encode(
          weights, batch,
          training_dropout(self.config.encoder_config, is_training, dropout_seed, ENCODER))
      batch_size, slots, size = shape_of(encoded.embeddings)
      first_rows = tf.range(batch_size)[:, None] * slots
      inputs = decoder_inputs(
          legal_rows(tokens, slots, first_rows), positions,
          tf.reshape(encoded.embeddings, [-1, size]), weights.context,
          self._context_rows(batch), weights.positions)
      bias, seen_memory = _seen_vertices(encoded, batch)
      outputs = transformer(
          inputs, weights.decoder, seen, encoded.memory, seen_memory,
          training_dropout(self.config.decoder_config, is_training, dropout_seed, DECODER))
      logits = self._logits(weights, outputs, encoded, bias)
    if mask_invalid:
      logits = mask_illegal(logits, face_grammar(encoded.vertices_mask()), tokens, batch)
    return Categorical(logits)

  def sample(self, context, max_sample_length=None, temperature=1., top_k=0, top_p=1.,
             only_return_complete=True, seed=None, noise=None, fixed_length=False,
             compile_loop=False, mask_invalid=False):
    """Draws the faces of given vertices.

    Args:
      context: dict with vertices float32 [n, V, 3], vertices_mask float32 [n, V] and, if
        class_conditional, class_label int32 [n]; e.g. the output of `VertexModel.sample`.
      max_sample_length: most tokens per sample, STOP included; max_seq_length by default.
      temperature, top_k, top_p: see layers/filters.py; top_k=1 is greedy.
      only_return_complete: return the rows that drew a STOP alone, perhaps none.
      seed: int: the samples are a function of weights, vertices, seed and row. None: always new.
      noise: float32 [n, max_sample_length] in [0, 1), instead of a seed.
      fixed_length: draw all steps even if every row has stopped, as graphs without loops of
        unknown length need it; the samples are the same.
      compile_loop: compile the decoding loop with XLA; batch and lengths must be static, and
        compilation takes seconds at the first run. The samples are the same up to rounding.
      mask_invalid: draw only tokens that lead to a legal mesh (face_grammar.py): faces without
        repeated corners that use every vertex, within max_sample_length where that is at least
        V + 1. The vertices must be sorted by z, then y, then x; a row of less than three is
        incomplete and has no faces.

    Returns:
      dict with context (the given one, filtered alike), completed bool [n], faces int32
      [n, max_sample_length] (0 after the end), num_face_indices int32 [n] (tokens, the final 0
      included). An incomplete sample is cut at its last NEW_FACE, which becomes STOP; without one
      nothing is left.
    """
    steps = sample_length(max_sample_length, self.config.max_seq_length, 'max_seq_length')
    context = {key: tf.convert_to_tensor(value) for key, value in context.items()}
    num_samples = shape_of(context['vertices'])[0]
    if self.config.class_conditional:
      context.update(repeat_context({'class_label': class_labels(context)}, num_samples))
    drawing = checked_drawing(temperature, top_k, top_p)
    if noise is None:
      noise = noise_tensor(seed, num_samples, steps, FACE_NOISE_STREAM)
    else:
      noise = checked_noise(noise, num_samples, steps)
    with variables.model_scope(self.name):
      decoded = self._decode(context, num_samples, noise,
                             Loop(drawing, fixed_length, compile_loop), mask_invalid)
    outputs = dict(faces_from_tokens(decoded), context=context)
    return keep_complete(outputs, outputs['completed']) if only_return_complete else outputs

  def _weights(self):
    size = self.config.decoder_config.hidden_size
    return FaceWeights(
        context=context_table(self.config.class_conditional, self.config.num_classes, size),
        vertices=self._vertex_weights(size),
        special=variables.glorot('stopping_embeddings', [1, NUM_SPECIAL_FACE_TOKENS, size]),
        encoder=transformer_weights('transformer_encoder', self.config.encoder_config),
        positions=embedding_table('coord_embeddings', self.config.max_seq_length, size),
        decoder=transformer_weights('transformer_decoder', self.config.decoder_config,
                                    self.config.decoder_cross_attention),
        pointers=dense_weights('project_to_pointers', size, size, zero_kernel=True))

  def _vertex_weights(self, size):
    if not self.config.use_discrete_vertex_embeddings:
      return dense_weights('vertex_embeddings', COORDINATES_PER_VERTEX, size)
    return tuple(
        embedding_table('coord_{}'.format(axis), num_bins(self.config.quantization_bits), size)
        for axis in range(COORDINATES_PER_VERTEX))

  def _embed_vertices(self, weights, vertices):
    """Vertices float32 [B, V, 3] -> [B, V, D]."""
    if not self.config.use_discrete_vertex_embeddings:
      return dense(vertices, weights.vertices)
    bins = quantize(vertices, self.config.quantization_bits, self.config.truncate_vertices)
    return tf.add_n([lookup(table, bins[..., axis])
                     for axis, table in enumerate(weights.vertices)])

  def _encode(self, weights, batch, dropout):
    """EncodedVertices of the vertices in a batch or context."""
    vertices = tf.cast(tf.convert_to_tensor(batch['vertices']), tf.float32)
    if 'vertices_mask' not in batch:
      raise ValueError('the batch or context has no vertices_mask: add float32 [batch, vertices], '
                       '1 at every vertex and 0 at padding')
    mask = tf.cast(tf.convert_to_tensor(batch['vertices_mask']), tf.float32)
    check_rank(vertices, 3, 'vertices')
    check_size(vertices, 2, COORDINATES_PER_VERTEX, 'vertices')
    check_rank(mask, 2, 'vertices_mask')
    embedded = self._embed_vertices(weights, vertices) * mask[..., None]
    if 'packed_segments' in batch:
      embedded += _special_slots(weights.special, batch['packed_vertices_special'])
      segments = tf.convert_to_tensor(batch['packed_vertices_segments'])
      bias = segment_bias(segments, segments)
    else:
      special = repeat_rows(weights.special, shape_of(vertices)[0])
      embedded = tf.concat([special, embedded], axis=1)
      segments = tf.pad(tf.cast(mask, tf.int32), [[0, 0], [NUM_SPECIAL_FACE_TOKENS, 0]],
                        constant_values=1)
      bias = padding_bias(segments)
    embeddings = transformer(embedded, weights.encoder, blocks.whole(bias), dropout=dropout)
    memory = (memory_key_values(embeddings, weights.decoder)
              if self.config.decoder_cross_attention else None)
    return EncodedVertices(embeddings, segments, memory)

  def _logits(self, weights, outputs, encoded, bias):
    """Decoder outputs [B, T, D] -> pointer logits [B, T, S]."""
    pointers = dense(outputs, weights.pointers) * self.config.decoder_config.hidden_size ** -0.5
    return matmul(pointers, encoded.embeddings, transpose_b=True) + bias[:, 0]

  def _decode(self, context, num_samples, noise, loop, mask_invalid):
    weights = self._weights()
    decoder = decoding_weights(weights.decoder, loop.compiled)
    encoded = self._encode(weights, context, Dropout(0.))
    bias = encoded.bias()
    steps = noise.shape.as_list()[1]

    def next_logits(x, state, index):
      output, state = transformer_step(x, decoder, state, index, encoded.memory, bias)
      return self._logits(weights, output, encoded, bias)[:, 0], state

    def embed(token, index):
      return (tf.gather(encoded.embeddings, token[:, None], batch_dims=1)
              + tf.gather(weights.positions, index))

    mask = encoded.vertices_mask()
    decoded = decode(
        next_logits, embed, repeat_rows(self._context(weights, context), num_samples),
        decoding_state(num_samples, decoder), noise, STOP, loop,
        Constraints(face_grammar(mask, steps) if mask_invalid else EVERY_SEQUENCE))
    return decoded._replace(stopped=decoded.stopped & has_faces(mask)) if mask_invalid else decoded


def _seen_vertices(encoded, batch):
  """What the tokens of a batch see of EncodedVertices: bias [B, 1, T or 1, S], and Blocks."""
  if 'packed_segments' not in batch:
    bias = encoded.bias()
    return bias, blocks.whole(bias)
  segments = tf.convert_to_tensor(batch['packed_segments'])
  ends = tf.convert_to_tensor(batch['packed_windows'])[:, 1]
  windows = tf.convert_to_tensor(batch['packed_vertices_windows'])
  return (segment_bias(segments, encoded.segments),
          blocks.within_segments(segments, encoded.segments, ends, windows))


def _special_slots(special, kinds):
  """The special vectors [1, 2, D] in their slots of a packed batch, 0 in those of vertices.

  Args:
    special: of STOP and NEW_FACE.
    kinds: int32 [B, S], 1 STOP, 2 NEW_FACE, 0 else, for which one_hot has no place.
  """
  return dense(tf.one_hot(kinds - 1, NUM_SPECIAL_FACE_TOKENS), DenseWeights(special[0]))


def faces_from_tokens(decoded):
  """The outputs of `FaceModel.sample` from tokens int32 [n, T], 0 from STOP on."""
  tokens, completed = decoded
  places = tf.range(1, tokens.shape.as_list()[1] + 1)[None]
  # Places counted from 1: a complete row ends with the STOP after its last token, any other with
  # its last NEW_FACE, or at once.
  drawn = tf.reduce_sum(tf.cast(tf.not_equal(tokens, STOP), tf.int32), axis=1)
  last_new_face = tf.reduce_max(tf.where_v2(tf.equal(tokens, NEW_FACE), places, 1), axis=1)
  num_indices = tf.where_v2(completed, drawn + 1, last_new_face)
  faces = tf.where_v2(places < num_indices[:, None], tokens, STOP)
  return {'completed': completed, 'faces': faces, 'num_face_indices': num_indices}
