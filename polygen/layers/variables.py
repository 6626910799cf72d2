"""Where variables come from: resource variables, found again by their absolute names."""
import math
import zlib

import tensorflow.compat.v1 as tf


def model_scope(name):
  """The variable scope `name`, the same from wherever it is opened; every variable is reused."""
  return tf.variable_scope(tf.VariableScope(reuse=tf.AUTO_REUSE, name=name, use_resource=True))


def scope(name):
  """A scope below the present one."""
  return tf.variable_scope(name, reuse=tf.AUTO_REUSE)


def model_variables(name):
  """The variables under `model_scope(name)` in the default graph, in the order of creation."""
  return tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope=name + '/')


def zeros(name, shape):
  """A float32 variable that starts at 0, read as a tensor."""
  return _read(name, shape, tf.zeros_initializer())


def ones(name, shape):
  """A float32 variable that starts at 1, read as a tensor."""
  return _read(name, shape, tf.ones_initializer())


def glorot(name, shape, fans=None):
  """A float32 variable, uniform in +-sqrt(6 / (fan_in + fan_out)), read as a tensor.

  Args:
    shape: its shape.
    fans: (fan_in, fan_out); the last two sizes of the shape by default.
  """
  limit = math.sqrt(6 / sum(fans or shape[-2:]))
  full_name = '{}/{}'.format(tf.get_variable_scope().name, name)
  return _read(name, shape, tf.random_uniform_initializer(-limit, limit, seed=_seed(full_name)))


def _seed(full_name):
  """With a graph seed, initial values depend on that seed and the name alone."""
  if tf.get_default_graph().seed is None:
    return None
  return zlib.crc32(full_name.encode()) & 0x7fffffff


def _read(name, shape, initializer):
  """Its value here: behind the present control dependencies, in the present function or loop."""
  return tf.convert_to_tensor(tf.get_variable(name, shape, tf.float32, initializer))
