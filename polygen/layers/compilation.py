"""Compilation by XLA, and what is written differently for it or for a device.

    tokens, stopped = compiled(lambda: decode(...))

What the function reads from outside is handed to it by TensorFlow. Every shape inside is static.
The program is compiled at the first `session.run` that needs it and kept as long as the session.
"""
import contextlib
import threading

import tensorflow.compat.v1 as tf

from .shapes import shape_of


# Whether this is TensorFlow 1, whose compiler is another one, with other strengths.
TENSORFLOW_1 = tf.version.VERSION.startswith('1.')


class _Scope(threading.local):
  compiling = False
  common = False


_scope = _Scope()


def compiled(function):
  """The (nested) tensors that `function()` returns, computed by one compiled program."""
  structure = []

  def flat():
    with _compiling():
      structure.append(function())
    return tf.nest.flatten(structure[0])

  tensors = _compile(flat)
  return tf.nest.pack_sequence_as(structure[0], tensors)


def is_compiling():
  """Whether what is built now will be compiled, where other ways of writing it are fast."""
  return _scope.compiling


@contextlib.contextmanager
def common_operations(wanted=True):
  """What is built in this scope, if so wanted, has only operations that are common in graphs for
  accelerators, even where others are faster on a CPU."""
  before, _scope.common = _scope.common, wanted
  try:
    yield
  finally:
    _scope.common = before


def has_common_operations():
  """Whether what is built now is in the scope of `common_operations`."""
  return _scope.common


def write_at(x, update, index, axis):
  """`x` with position `index` (int32 scalar) of an axis replaced by `update`, of size 1 there.

  The index must be in range: not every device says so if it is not. Nothing is copied where
  nothing else reads `x`.
  """
  if _scope.compiling:
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops
    start = [index if number == axis else 0 for number in range(x.shape.ndims)]
    return gen_xla_ops.xla_dynamic_update_slice(x, update, tf.stack(start))
  *leading, length = shape_of(x)[:axis + 1]
  blocks = 1
  for size in leading:
    blocks *= size
  update = tf.reshape(update, [blocks, -1])
  if TENSORFLOW_1 or _scope.common:
    written = _write_columns(x, update, index, length)
  else:
    written = _write_slice(x, update, index)
  return tf.reshape(written, shape_of(x))


def _write_columns(x, update, index, length):
  """Column `index` of x, read as [blocks, length, size], replaced by `update` [blocks, size]."""
  blocks, size = shape_of(update)
  places = tf.range(blocks) * length + index
  return tf.tensor_scatter_nd_update(tf.reshape(x, [-1, size]), places[:, None], update)


def _write_slice(x, update, index):
  """The same for TensorFlow 2, whose scatter copies all of x; 1.15 has no kernel for this."""
  blocks, size = shape_of(update)
  start = tf.stack([0, index * size])
  return tf.raw_ops.TensorStridedSliceUpdate(
      input=tf.reshape(x, [blocks, -1]), begin=start, end=start + [blocks, size], strides=[1, 1],
      value=update)


@contextlib.contextmanager
def _compiling():
  _scope.compiling = True
  try:
    yield
  finally:
    _scope.compiling = False


def _compile(flat):
  """The list of tensors that `flat()` returns, through the compiler of this TensorFlow."""
  if TENSORFLOW_1:
    # TensorFlow 1.15 has no other way into the compiler that works in a graph.
    from tensorflow.python.compiler.xla import xla
    return xla.compile(flat)
  return tf.function(flat, jit_compile=True, autograph=False)()
