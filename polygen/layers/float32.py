"""What must stay in float32 wherever mixed precision is switched on."""
import contextlib

import tensorflow.compat.v1 as tf

KEEP_DTYPE = '_keep_dtype'


@contextlib.contextmanager
def keep_float32():
  """The operations built in this scope carry the attribute by which an Ascend NPU leaves an
  operation in its own type; other devices ignore it."""
  # TensorFlow has no public scope for attributes of operations.
  with tf.get_default_graph()._attr_scope({KEEP_DTYPE: tf.AttrValue(i=1)}):
    yield


def in_float32(function):
  """`function` (tensor -> tensor), its operations and those of its gradient under the attribute.

  TensorFlow hands attributes on to no gradient, so the gradient is built in the scope as well.
  """
  @tf.custom_gradient
  def marked(x):
    with keep_float32():
      y = function(x)

    def gradient(dy):
      with keep_float32():
        dx, = tf.gradients(y, x, dy)
      return dx

    return y, gradient

  return marked
