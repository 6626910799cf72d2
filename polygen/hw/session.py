"""The session configuration of a device."""
from .devices import CPU
from .precision import FLOAT32


def session_config(device, precision):
  """The `tf.ConfigProto` for every session on this device.

  Args:
    device: a `Device`; on 'cpu' the GPUs stay hidden, on 'gpu' memory is taken as it is needed.
    precision: a `Precision`; float32 keeps out the mixed-precision rewrite that a host program
      may have switched on for the whole process.

  Returns:
    A new `tf.ConfigProto`.
  """
  import tensorflow.compat.v1 as tf
  config = tf.ConfigProto(allow_soft_placement=True)
  if device.name == CPU:
    config.device_count['GPU'] = 0
  else:
    config.gpu_options.allow_growth = True
  if precision.name == FLOAT32:
    rewrite_options = config.graph_options.rewrite_options
    rewrite_options.auto_mixed_precision = rewrite_options.OFF
  return config
