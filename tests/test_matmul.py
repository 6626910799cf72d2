"""Laws of layers/matmul.py: operands rounded wherever they multiply, products in float32."""
import threading

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from polygen.layers.matmul import matmul, matmul_operands

TYPES = ('float16', 'bfloat16')
SHAPES = [((5, 7), (7, 3), False), ((2, 3, 5, 7), (2, 3, 4, 7), True)]


def rounded(x, operand_type):
  """The nearest number of the type, ties to even, computed on the bits of float32."""
  if operand_type == 'float16':
    return x.astype(np.float16).astype(np.float32)
  bits = x.astype(np.float32).view(np.uint32)
  even = (bits >> 16) & 1
  return ((bits + 0x7fff + even) & np.uint32(0xffff0000)).view(np.float32)


def product(a, b, transpose_b):
  return np.matmul(a.astype(np.float64), np.swapaxes(b, -1, -2) if transpose_b else b)


def operands(shapes, seed=0):
  rng = np.random.default_rng(seed)
  return [rng.normal(0, 1, shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize('shape_a, shape_b, transpose_b', SHAPES)
@pytest.mark.parametrize('operand_type', TYPES)
def test_forward_and_backward_products_round_their_operands(
    operand_type, shape_a, shape_b, transpose_b):
  a, b = operands([shape_a, shape_b])
  with tf.Graph().as_default(), tf.Session() as session:
    tensors = [tf.constant(a), tf.constant(b)]
    with matmul_operands(operand_type):
      y = matmul(*tensors, transpose_b=transpose_b)
    dy, = operands([y.shape.as_list()], seed=1)
    gradients = tf.gradients(y, tensors, tf.constant(dy))
    y, da, db = session.run([y] + gradients)
  assert y.dtype == np.float32
  ra, rb, rdy = (rounded(x, operand_type) for x in (a, b, dy))
  assert (ra != a).any() and (rb != b).any() and (rdy != dy).any()
  np.testing.assert_allclose(y, product(ra, rb, transpose_b), atol=1e-5)
  assert np.abs(y - product(a, b, transpose_b)).max() > 1e-4
  b_rows = rb if transpose_b else np.swapaxes(rb, -1, -2)
  np.testing.assert_allclose(da, product(rdy, b_rows, False), atol=1e-5)
  wanted = product(np.swapaxes(ra, -1, -2), rdy, False)
  np.testing.assert_allclose(
      db, np.swapaxes(wanted, -1, -2) if transpose_b else wanted, atol=1e-5)


@pytest.mark.parametrize('operand_type', TYPES)
def test_a_product_may_exceed_the_range_of_its_operands(operand_type):
  """300 * 300 is too much for float16, and needs more digits than bfloat16 has."""
  with tf.Graph().as_default(), tf.Session() as session:
    with matmul_operands(operand_type):
      y = matmul(tf.constant([[300., 1.]]), tf.constant([[300.], [1.]]))
    assert session.run(y)[0, 0] == 90001


def test_float16_overflows_to_infinity_and_bfloat16_does_not():
  with tf.Graph().as_default(), tf.Session() as session:
    results = {}
    for operand_type in TYPES:
      with matmul_operands(operand_type):
        results[operand_type] = session.run(matmul(tf.constant([[1e5]]), tf.constant([[1.]])))
  assert np.isinf(results['float16']).all() and np.isfinite(results['bfloat16']).all()


def test_a_native_product_is_taken_in_the_type():
  with tf.Graph().as_default() as graph:
    with matmul_operands('float16', native=True):
      y = matmul(tf.ones([2, 2]), tf.ones([2, 2]))
    assert y.dtype == tf.float32
    types = {op.outputs[0].dtype for op in graph.get_operations() if 'MatMul' in op.type}
  assert types == {tf.float16}


def test_outside_the_scope_nothing_is_rounded():
  with tf.Graph().as_default() as graph:
    with matmul_operands('float16'):
      with matmul_operands():
        matmul(tf.ones([2, 2]), tf.ones([2, 2]))
    with pytest.raises(KeyError):
      with matmul_operands('float16'):
        raise KeyError
    matmul(tf.ones([2, 2]), tf.ones([2, 2]))
    operations = [op.type for op in graph.get_operations()]
  assert operations.count('MatMul') == 2 and 'Cast' not in operations


def test_a_scope_belongs_to_its_thread():
  found = []

  def build():
    with tf.Graph().as_default() as graph:
      matmul(tf.ones([2, 2]), tf.ones([2, 2]))
      found.extend(op.type for op in graph.get_operations())

  with matmul_operands('float16'):
    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
  assert 'MatMul' in found and 'Cast' not in found
