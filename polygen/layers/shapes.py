"""Static shapes where they are known, dynamic ones elsewhere."""
import tensorflow.compat.v1 as tf


def shape_of(x):
  """The shape of a tensor of known rank: a list of ints, scalar int32 tensors where unknown."""
  dynamic = tf.shape(x)
  return [dynamic[axis] if size is None else size for axis, size in enumerate(x.shape.as_list())]


def check_rank(x, rank, name):
  """Raises a ValueError that names the tensor unless `x` is known to have this rank."""
  if x.shape.ndims != rank:
    raise ValueError('{}: expected a tensor of rank {}, not of shape {}'.format(
        name, rank, x.shape))


def check_size(x, axis, size, name):
  """Raises a ValueError that names the tensor if the size of an axis is known to differ."""
  actual = x.shape.as_list()[axis]
  if actual is not None and actual != size:
    raise ValueError('{}: expected size {} in axis {}, not shape {}'.format(
        name, size, axis, x.shape))
