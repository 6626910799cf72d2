"""What the models share: scope, variables, the context that starts every sequence."""
import tensorflow.compat.v1 as tf

from ..config import SamplingConfig
from ..layers import blocks, variables
from ..layers.decoding import Drawing
from ..layers.dropout import Dropout
from ..layers.embedding import embedding_table, lookup
from ..layers.grammar import legal_along, masked
from ..layers.shapes import check_rank, shape_of
from ..tokens import STOP


class Model:
  """Named variables with absolute names `<name>/...`, shared by every call in one graph."""

  def __init__(self, name):
    self.name = name

  @property
  def variables(self):
    """The model's variables in the default graph; all exist after one call or one `sample`."""
    return variables.model_variables(self.name)

  def build(self):
    """Makes the variables in the default graph, if they are not there yet."""
    with variables.model_scope(self.name):
      self._weights()

  def _weights(self):
    """Every variable of the model, read as a tensor; `context` is the `context_table`."""
    raise NotImplementedError

  def _context(self, weights, batch):
    """The first decoder input: [B, 1, D] with classes, else [1, 1, D]."""
    return lookup(weights.context, self._context_rows(batch))

  def _context_rows(self, batch):
    """Rows of `context_table`: int32 [B, 1] or [B, T] by the labels, [1, 1] without classes."""
    if not self.config.class_conditional:
      return tf.zeros([1, 1], tf.int32)
    labels = class_labels(batch)
    if labels.shape.ndims == 1:
      labels = labels[:, None]
    check_rank(labels, 2, 'class_label')
    return tf.cast(labels, tf.int32)


def training_dropout(config, is_training, seed, stack=0):
  """The dropout of stack number `stack` in one forward pass; the identity when not training."""
  return Dropout(config.dropout_rate, seed, stack, is_training)


def context_table(class_conditional, num_classes, size):
  """The variable behind the first input: class embeddings [num_classes, D], or [1, D]."""
  if class_conditional:
    return embedding_table('class_label', num_classes, size)
  return variables.glorot('embed_zero', [1, 1, size])[0]


def decoder_inputs(tokens, positions, embeddings, context, context_rows, places):
  """The inputs of a decoder: the context, then each token but the last and its place.

  Args:
    tokens: int32 [B, T], rows of `embeddings` of the tokens to be predicted; of `legal_rows`.
    positions: int32 [B, T] or [1, T], in their sequences.
    embeddings: float32 [R, D].
    context: table float32 [N, D] of contexts.
    context_rows: int32 [B, T], [B, 1] or [1, 1] of it.
    places: float32 [P, D], of the tokens at positions 0 to P - 1.

  Returns:
    float32 [B, T, D].
  """
  table = tf.concat([embeddings, context], axis=0)
  first_rows = legal_rows(context_rows, shape_of(context)[0], shape_of(embeddings)[0])
  rows = tf.where_v2(tf.equal(positions, 0), first_rows, previous(tokens))
  return lookup(table, rows) + lookup(tf.pad(places, [[1, 0], [0, 0]]), positions)


def legal_rows(rows, size, start=0):
  """start + rows int32; -1, which every lookup on a CPU refuses, where they are not below size.

  So that, of several tables joined in one, no index reads another than its own.
  """
  return tf.where_v2((rows >= 0) & (rows < size), start + rows, -1)


def sequence_layout(batch, tokens, most, name, limit_name):
  """Where the tokens [B, T] of a batch stand in their sequences.

  Args:
    batch: dict; packed (data/packing.py) with packed_positions and packed_segments int32 [B, T]
      and packed_windows int32 [n, 2] of n blocks (data/windows.py), else one sequence per row.
    tokens: int32 [B, T].
    most: tokens that a sequence may have.
    name, limit_name: of the tokens and of the argument that sets the limit, for the error.

  Returns:
    positions int32 [B, T] or [1, T]; the Blocks of causal self-attention.

  Raises:
    ValueError: the sequences are known to be too long.
  """
  length = shape_of(tokens)[1]
  if 'packed_segments' in batch:
    return (tf.convert_to_tensor(batch['packed_positions']),
            blocks.causal(length, tf.convert_to_tensor(batch['packed_segments']),
                          tf.convert_to_tensor(batch['packed_windows'])))
  if isinstance(length, int) and length > most:
    raise ValueError('{} has {} tokens, but {} allows {}'.format(name, length, limit_name, most))
  return tf.range(length)[None], blocks.causal(length)


def mask_illegal(logits, grammar, tokens, batch):
  """Logits [B, T, N] of which only those tokens have a probability that the grammar allows.

  Args:
    logits: float32 [B, T, N].
    grammar: Grammar.
    tokens: int32 [B, T].
    batch: the dict they come from.

  Raises:
    ValueError: a packed batch, whose rows are several sequences.
  """
  if 'packed_segments' in batch:
    raise ValueError('mask_invalid needs one sequence per row; this batch is packed')
  return masked(logits, legal_along(grammar, tokens, STOP))


def previous(tokens):
  """Tokens [B, T] moved right by one place, 0 at the first."""
  return tf.pad(tokens[:, :-1], [[0, 0], [1, 0]])


def repeat_rows(x, batch):
  """x [B, ...], or [1, ...] repeated for the batch size B."""
  if x.shape.as_list()[0] != 1:
    return x
  return tf.tile(x, [batch] + [1] * (x.shape.ndims - 1))


def class_labels(context):
  """class_label of a batch or a sampling context.

  Raises:
    ValueError: there is none.
  """
  if not context or context.get('class_label') is None:
    raise ValueError(
        'this model is class-conditional but its input has no class_label: add '
        "{'class_label': int32 [batch]} to the batch or context, or build the model with "
        'class_conditional=False')
  return tf.convert_to_tensor(context['class_label'])


def keep_complete(outputs, completed):
  """The rows of (nested) outputs whose sample is complete; the batch size becomes unknown."""
  return tf.nest.map_structure(
      lambda x: tf.boolean_mask(x, completed), outputs)


def checked_drawing(temperature, top_k, top_p):
  """Drawing of numbers that SamplingConfig accepts; it raises the ValueError for others."""
  SamplingConfig(temperature, top_k, top_p)
  return Drawing(temperature, top_k, top_p)


def sample_length(requested, limit, limit_name):
  """The requested length, or the limit for None.

  Raises:
    ValueError: more than the limit.
  """
  if requested is None:
    return limit
  if not 1 <= requested <= limit:
    raise ValueError('max_sample_length must lie between 1 and {} ({} of this model), not {}'
                     .format(limit, limit_name, requested))
  return requested


def repeat_context(context, num_samples):
  """The context for `num_samples` rows: its batch size must be that, or 1, which is repeated.

  Args:
    context: dict of tensors.
    num_samples: int or int32 scalar tensor.

  Raises:
    ValueError: another static batch size. An unknown one is checked when the graph runs.
  """
  def repeated(x):
    x = tf.convert_to_tensor(x)
    batch, *rest = shape_of(x)
    if isinstance(batch, int) and isinstance(num_samples, int):
      if batch not in (1, num_samples):
        raise ValueError('num_samples is {} but the context has a batch size of {}; it must be '
                         'equal, or 1'.format(num_samples, batch))
      return x if batch == num_samples else tf.tile(x, [num_samples] + [1] * len(rest))
    matches = tf.debugging.assert_equal(
        tf.equal(batch, 1) | tf.equal(batch, num_samples), True,
        message='the batch size of the context must be num_samples or 1')
    with tf.control_dependencies([matches]):
      rows = tf.range(num_samples) % batch
    rows_known = num_samples if isinstance(num_samples, int) else None
    return tf.ensure_shape(tf.gather(x, rows), [rows_known] + x.shape.as_list()[1:])

  return {key: repeated(x) for key, x in (context or {}).items()}


def feedable(outputs):
  """The same values under an unknown batch size, so that fewer rows may be fed in their place."""
  return {key: tf.placeholder_with_default(x, [None] + x.shape.as_list()[1:])
          for key, x in outputs.items()}
