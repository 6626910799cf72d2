"""Matrix products, their operands rounded to 16 bits where a scope asks for it.

    with matmul_operands('float16'):
      y = matmul(a, b)     # float32; a, b and the gradient of y are rounded wherever they multiply

This is what a matrix unit does that reads float16 and adds up in float32. The scope belongs to the
thread that builds the graph, as TensorFlow's own scopes do.
"""
import contextlib
import threading

import tensorflow.compat.v1 as tf


class _Scope(threading.local):
  operands = ('', False)


_scope = _Scope()


@contextlib.contextmanager
def matmul_operands(operand_type='', native=False):
  """The products built in this scope have operands of a type.

  Args:
    operand_type: 'float16' or 'bfloat16'; '' for float32 as it is.
    native: whether the product is taken in this type, else in float32.
  """
  before, _scope.operands = _scope.operands, (operand_type, native)
  try:
    yield
  finally:
    _scope.operands = before


def present_operands():
  """The arguments of the `matmul_operands` around this call."""
  return _scope.operands


def matmul(a, b, transpose_a=False, transpose_b=False):
  """a [..., n, k] times b [..., k, m], each with its last axes swapped if so said: [..., n, m]."""
  operand_type, native = _scope.operands
  if not operand_type:
    return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
  return _rounded_product(tf.as_dtype(operand_type), native, transpose_a, transpose_b)(a, b)


def _rounded_product(dtype, native, transpose_a, transpose_b):
  def operand(x):
    x = tf.cast(x, dtype)
    return x if native else tf.cast(x, tf.float32)

  def product(a, b, swap_a, swap_b):
    return tf.cast(tf.matmul(a, b, transpose_a=swap_a, transpose_b=swap_b), tf.float32)

  @tf.custom_gradient
  def rounded(a, b):
    a, b = operand(a), operand(b)

    def gradient(dy):
      dy = operand(dy)
      da = (product(b, dy, transpose_b, True) if transpose_a
            else product(dy, b, False, not transpose_b))
      db = (product(dy, a, True, transpose_a) if transpose_b
            else product(a, dy, not transpose_a, False))
      return da, db

    return product(a, b, transpose_a, transpose_b), gradient

  return rounded
