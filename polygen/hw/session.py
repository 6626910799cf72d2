"""The session configuration of a device."""
from .devices import CPU, NPU, num_cores
from .npu import load_adapter
from .npu_options import NPU_OPTIONS, complete_npu_options, parse_npu_options

NPU_OPTIMIZER = 'NpuOptimizer'  # the graph optimizer by which the adapter takes graphs over


def session_config(device, precision, npu_options=(), side_by_side=1):
  """The `tf.ConfigProto` of a session on this device.

  One for all sessions of a process on an NPU: the first graph it compiles fixes its precision.

  Args:
    device: a `Device`; on 'cpu' the GPUs stay hidden, on 'gpu' memory is taken as it is needed.
    precision: a `Precision`. Unless it asks for it, TensorFlow's mixed-precision rewrite is kept
      out, even where a host program has switched it on for the whole process.
    npu_options: texts 'name=value', checked on every device and used on 'npu' only.
    side_by_side: how many things of one thread each compute at a time in a process that does
      nothing else: on a CPU they share its cores. 1: its threads stay as they are, as the host
      program of a library expects. TensorFlow keeps those of the first session for all later ones.

  Returns:
    A new `tf.ConfigProto`.

  Raises:
    ValueError: an NPU option is wrong, or the adapter is missing or changes the config.
  """
  if device.name == NPU:
    return _through_adapter(npu_session_config(precision, npu_options))
  import tensorflow.compat.v1 as tf
  parse_npu_options(npu_options)
  config = tf.ConfigProto(allow_soft_placement=True)
  if device.name == CPU:
    config.device_count['GPU'] = 0
    # It would double the time to the first step or sample, and gain nothing.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    # Else the session keeps a second copy of the whole graph.
    config.graph_options.place_pruned_graph = True
    if side_by_side > 1:
      # Threads that help an operation with its work wait for each other, and get in the way of
      # what computes beside it.
      config.inter_op_parallelism_threads = side_by_side
      config.intra_op_parallelism_threads = max(1, num_cores() // side_by_side)
  else:
    config.gpu_options.allow_growth = True
  rewrite_options = config.graph_options.rewrite_options
  rewrite_options.auto_mixed_precision = (
      rewrite_options.ON if precision.graph_rewrite else rewrite_options.OFF)
  return config


def npu_session_config(precision, npu_options=()):
  """The `tf.ConfigProto` for an NPU, built without its adapter.

  Args:
    precision: a `Precision` for the device 'npu'.
    npu_options: texts 'name=value'.

  Raises:
    ValueError: an option is wrong, or contradicts another or the precision.
  """
  import tensorflow.compat.v1 as tf
  options = complete_npu_options(parse_npu_options(npu_options), precision)
  config = tf.ConfigProto(allow_soft_placement=True)  # what the NPU lacks runs on the host
  graph_options = config.graph_options
  graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.OFF
  rewrite_options = graph_options.rewrite_options
  rewrite_options.remapping = rewrite_options.OFF  # it makes _FusedMatMul, unknown to the NPU
  # The adapter itself writes OFF here, a number that this field calls MANUAL; it does so only where
  # it adds its optimizer itself.
  rewrite_options.memory_optimization = rewrite_options.OFF
  optimizer = rewrite_options.custom_optimizers.add(name=NPU_OPTIMIZER)
  for name, value in options.items():
    arm = NPU_OPTIONS[name].arm
    setattr(optimizer.parameter_map[name], arm, value.encode('utf-8') if arm == 's' else value)
  return config


def _through_adapter(config):
  """The config as the adapter returns it, which must be unchanged."""
  given = type(config).FromString(config.SerializeToString())
  returned = load_adapter().npu_config_proto(config_proto=given)
  if returned != config:
    raise ValueError('device npu: the adapter {} changes the session configuration; this project '
                     'was written for another version of it'.format(load_adapter().name))
  return returned
