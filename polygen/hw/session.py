"""The session configuration of a device."""
from .devices import CPU
from .precision import FLOAT32


def session_config(device, precision, inter_op_threads=None, intra_op_threads=None):
  """The `tf.ConfigProto` for every session on this device.

  Args:
    device: a `Device`; on 'cpu' the GPUs stay hidden, on 'gpu' memory is taken as it is needed.
    precision: a `Precision`; float32 keeps out the mixed-precision rewrite that a host program
      may have switched on for the whole process.
    inter_op_threads: how many operations run side by side; None leaves it to TensorFlow.
    intra_op_threads: how many threads one operation may use; None leaves it to TensorFlow.

  Returns:
    A new `tf.ConfigProto`.
  """
  import tensorflow.compat.v1 as tf
  config = tf.ConfigProto(
      allow_soft_placement=True,
      inter_op_parallelism_threads=inter_op_threads or 0,
      intra_op_parallelism_threads=intra_op_threads or 0)
  if device.name == CPU:
    config.device_count['GPU'] = 0
  else:
    config.gpu_options.allow_growth = True
  if precision.name == FLOAT32:
    rewrite_options = config.graph_options.rewrite_options
    rewrite_options.auto_mixed_precision = rewrite_options.OFF
  return config
