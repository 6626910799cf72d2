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
