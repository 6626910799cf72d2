"""What the models share: scope, variables, the context that starts every sequence."""
import tensorflow.compat.v1 as tf

from ..layers import variables
from ..layers.dense import embedding_table
from ..layers.dropout import Dropout
from ..layers.shapes import check_rank, shape_of


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
    """Every variable of the model, read as a tensor."""
    raise NotImplementedError


def training_dropout(config, is_training, seed, stack=0):
  """The dropout of stack number `stack` in one forward pass; the identity when not training."""
  return Dropout(config.dropout_rate if is_training else 0., seed, stack)


def context_weights(class_conditional, num_classes, size):
  """The variable behind the first input: class embeddings [num_classes, D] or [1, 1, D]."""
  if class_conditional:
    return embedding_table('class_label', num_classes, size)
  return variables.glorot('embed_zero', [1, 1, size])


def context_embedding(weights, class_conditional, context, batch):
  """The first decoder input [B, 1, D].

  Args:
    weights: of `context_weights`.
    class_conditional: whether they are class embeddings.
    context: dict, with class_label int32 [B] if class_conditional.
    batch: B.

  Raises:
    ValueError: class_conditional without labels.
  """
  if not class_conditional:
    return tf.tile(weights, [batch, 1, 1])
  labels = class_labels(context)
  check_rank(labels, 1, 'class_label')
  return tf.gather(weights, labels)[:, None, :]


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

  Raises:
    ValueError: another static batch size. An unknown one is checked when the graph runs.
  """
  def repeated(x):
    x = tf.convert_to_tensor(x)
    batch, *rest = shape_of(x)
    if isinstance(batch, int):
      if batch not in (1, num_samples):
        raise ValueError('num_samples is {} but the context has a batch size of {}; it must be '
                         'equal, or 1'.format(num_samples, batch))
      return x if batch == num_samples else tf.tile(x, [num_samples] + [1] * len(rest))
    matches = tf.debugging.assert_equal(
        tf.equal(batch, 1) | tf.equal(batch, num_samples), True,
        message='the batch size of the context must be num_samples or 1')
    with tf.control_dependencies([matches]):
      rows = tf.range(num_samples) % batch
    return tf.ensure_shape(tf.gather(x, rows), [num_samples] + x.shape.as_list()[1:])

  return {key: repeated(x) for key, x in (context or {}).items()}
