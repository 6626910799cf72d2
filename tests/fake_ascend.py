"""A FAKE of Ascend's TensorFlow adapter, for tests without a device.

Written by hand from the contract: names, argument names and order, defaults. It was never compared
with the real adapter by running either beside the other, and no line of it is Huawei's. Everything
the contract does not name is a TypeError, an AttributeError or a ValueError here. It computes on
the CPU; what a device would report is injected:

    with float_status(lambda gradients: tf.constant(False)):  # an overflow at every step
      train = NPULossScaleOptimizer(adam, manager).apply_gradients(...)

The packages in fake_npu/ (TensorFlow 1.15.0) and fake_npu_tf2/ (2.6.5) only hand out these names.
"""
import contextlib
import os
import types

import tensorflow.compat.v1 as tf

OFF = 2  # RewriterConfig.Toggle, written by the adapter into every field


def all_finite(gradients):
  """The default status: no gradient is Inf or NaN. (A 910 saturates, so it would report by flags.)
  """
  return tf.reduce_all(tf.stack(
      [tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients]))


_status = all_finite


@contextlib.contextmanager
def float_status(function):
  """Optimizers whose updates are built inside take `function` (gradients -> bool scalar tensor,
  true without overflow) as the status of the device."""
  global _status
  previous, _status = _status, function
  try:
    yield
  finally:
    _status = previous


def rank_size():
  """The number of devices."""
  return int(os.environ.get('RANK_SIZE', '1'))


def require_one_device(name):
  """Exchange between devices is not faked."""
  if rank_size() != 1:
    raise NotImplementedError('the fake {} runs at RANK_SIZE 1 only'.format(name))


def npu_config_proto(config_proto=None):
  """Adds the adapter's optimizer to a config that has none, with what belongs to it."""
  config = tf.ConfigProto() if config_proto is None else config_proto
  if not isinstance(config, tf.ConfigProto):
    raise TypeError('not a ConfigProto: {!r}'.format(config))
  rewrite_options = config.graph_options.rewrite_options
  if not any(custom.name == 'NpuOptimizer' for custom in rewrite_options.custom_optimizers):
    rewrite_options.custom_optimizers.add(name='NpuOptimizer')
    rewrite_options.remapping = OFF
    rewrite_options.memory_optimization = OFF
  return config


class FixedLossScaleManager:
  """A loss scale that never changes."""

  def __init__(self, loss_scale, enable_overflow_check=True):
    self._loss_scale = loss_scale
    self.enable_overflow_check = enable_overflow_check

  def get_loss_scale(self):
    return tf.constant(self._loss_scale, tf.float32)

  def update_loss_scale(self, finite):
    del finite
    return tf.no_op()


class ExponentialUpdateLossScaleManager:
  """A loss scale that grows after good steps and shrinks after bad ones."""

  def __init__(self, init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, incr_ratio=2,
               decr_ratio=0.8):
    with tf.variable_scope('fake_loss_scale'):
      self._scale = _state('scale', float(init_loss_scale), tf.float32)
      self._good = _state('good_steps', 0, tf.int32)
      self._bad = _state('bad_steps', 0, tf.int32)
    self._every = incr_every_n_steps, decr_every_n_nan_or_inf
    self._ratios = incr_ratio, decr_ratio

  def get_loss_scale(self):
    return tf.identity(self._scale)

  def update_loss_scale(self, finite):
    good = tf.where(finite, self._good + 1, 0)
    bad = tf.where(finite, 0, self._bad + 1)
    grow, shrink = good >= self._every[0], bad >= self._every[1]
    ratio = tf.where(grow, float(self._ratios[0]), tf.where(shrink, float(self._ratios[1]), 1.))
    with tf.control_dependencies([good, bad, ratio]):
      return tf.group(
          self._scale.assign(self._scale * ratio), self._good.assign(tf.where(grow, 0, good)),
          self._bad.assign(tf.where(shrink, 0, bad)))


def _state(name, value, dtype):
  return tf.get_variable(name, initializer=tf.constant(value, dtype), trainable=False,
                         use_resource=True)


class NPULossScaleOptimizer(tf.train.Optimizer):
  """Scales the loss; applies the inner optimizer inside a cond on the status of the device."""

  def __init__(self, opt, loss_scale_manager, is_distributed=False):
    if not isinstance(opt, tf.train.Optimizer):
      raise ValueError('opt must be an optimizer, not {!r}'.format(opt))
    for method in ('get_loss_scale', 'update_loss_scale'):
      if not callable(getattr(loss_scale_manager, method, None)):
        raise ValueError('loss_scale_manager lacks {}'.format(method))
    if is_distributed:
      require_one_device('NPULossScaleOptimizer')
    super().__init__(use_locking=False, name='NPULossScaleOptimizer')
    self._opt = opt
    self._manager = loss_scale_manager

  def compute_gradients(self, loss, var_list=None, gate_gradients=tf.train.Optimizer.GATE_OP,
                        aggregation_method=None, colocate_gradients_with_ops=False,
                        grad_loss=None):
    scale = self._manager.get_loss_scale()
    if scale.dtype.base_dtype != tf.float32 or scale.shape.as_list() != []:
      raise ValueError('the loss scale must be a float32 scalar, not {}'.format(scale))
    gradients = self._opt.compute_gradients(
        loss * scale, var_list, gate_gradients, aggregation_method, colocate_gradients_with_ops,
        grad_loss)
    return [(None if gradient is None else gradient / scale, variable)
            for gradient, variable in gradients]

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    grads_and_vars = list(grads_and_vars)
    if any(gradient is None for gradient, _ in grads_and_vars):
      raise ValueError('gradients that are None must be filtered')
    finite = _status([gradient for gradient, _ in grads_and_vars])
    if not getattr(self._manager, 'enable_overflow_check', True):
      finite = tf.constant(True)
    update = tf.cond(
        finite, lambda: self._opt.apply_gradients(grads_and_vars, global_step, name), tf.no_op)
    return tf.group(update, self._manager.update_loss_scale(finite))


class NPUOptimizer(NPULossScaleOptimizer):
  """Loss scaling where `is_loss_scale`, else the inner optimizer as it is."""

  def __init__(self, opt, loss_scale_manager=None, is_distributed=False, is_loss_scale=False,
               is_tailing_optimization=False, name=None):
    if is_tailing_optimization:
      raise NotImplementedError('not faked: is_tailing_optimization')
    if is_loss_scale:
      super().__init__(opt, loss_scale_manager, is_distributed)
    else:
      tf.train.Optimizer.__init__(self, use_locking=False, name=name or 'NPUOptimizer')
      self._opt = opt
      if is_distributed:
        require_one_device('NPUOptimizer')
    self._is_loss_scale = is_loss_scale

  def compute_gradients(self, *args, **kwargs):
    owner = super() if self._is_loss_scale else self._opt
    return owner.compute_gradients(*args, **kwargs)

  def apply_gradients(self, *args, **kwargs):
    owner = super() if self._is_loss_scale else self._opt
    return owner.apply_gradients(*args, **kwargs)


class NPUDistributedOptimizer(tf.train.Optimizer):
  """Averages gradients over devices: of one device only, so does nothing."""

  def __init__(self, optimizer, is_weight_update_sharding=False, name=None):
    require_one_device('NPUDistributedOptimizer')
    super().__init__(use_locking=False, name=name or 'NPUDistributedOptimizer')
    self._optimizer = optimizer

  def compute_gradients(self, *args, **kwargs):
    return self._optimizer.compute_gradients(*args, **kwargs)

  def apply_gradients(self, *args, **kwargs):
    return self._optimizer.apply_gradients(*args, **kwargs)

  def _create_slots(self, var_list):
    self._optimizer._create_slots(var_list)  # pylint: disable=protected-access


class NPUBroadcastGlobalVariablesHook(tf.train.SessionRunHook):
  """Sends trainable variables to the other devices: of one device only, so does nothing."""

  def __init__(self, root_rank=None, index=None):
    super().__init__()
    require_one_device('NPUBroadcastGlobalVariablesHook')
    self.root_rank, self.index = root_rank, index


def set_iteration_per_loop(sess, train_op, iterations_per_loop=1):
  """Off-device one call is one step, whatever the number."""
  if not isinstance(sess, tf.Session) or not isinstance(train_op, tf.Operation):
    raise TypeError('expected a session and an operation, not {!r} and {!r}'.format(sess, train_op))
  if not isinstance(iterations_per_loop, int) or iterations_per_loop < 1:
    raise ValueError('iterations_per_loop must be at least 1, not {}'.format(iterations_per_loop))
  return tf.group(train_op, name='IterationOp')


@contextlib.contextmanager
def keep_dtype_scope():
  """Operations built inside carry the attribute _keep_dtype, i = 1."""
  keep = {'_keep_dtype': tf.AttrValue(i=1)}
  with tf.get_default_graph()._attr_scope(keep):  # pylint: disable=protected-access
    yield


def broadcast(tensor, root_rank, fusion=2, fusion_id=0, group='hccl_world_group'):
  """From the device `root_rank` to all: of one device only, so returns what it gets."""
  require_one_device('hccl_ops.broadcast')
  if root_rank != 0 or group != 'hccl_world_group' or (fusion, fusion_id) != (2, 0):
    raise NotImplementedError('not faked: other than rank 0, the world and the default fusion')
  return tensor


def get_rank_size():
  """The number of devices."""
  return rank_size()


def get_rank_id():
  """Which of them this process runs."""
  return int(os.environ.get('RANK_ID', '0'))


util = types.SimpleNamespace(set_iteration_per_loop=set_iteration_per_loop)
npu_scope = types.SimpleNamespace(keep_dtype_scope=keep_dtype_scope)
hccl_ops = types.SimpleNamespace(broadcast=broadcast)
