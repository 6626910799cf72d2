"""Loss scaling (Micikevicius et al., 2018): gradients too small for float16 are kept by a factor.

    optimizer = LossScaleOptimizer(adam, ExponentialUpdateLossScaleManager(2 ** 15, 1000))
    gradients = optimizer.compute_gradients(loss, variables)    # of loss * scale, / scale
    ...                                                         # clip here
    train = optimizer.apply_gradients(gradients)                # left out if any is not finite

A manager has `get_loss_scale()` and `update_loss_scale(finite)`: the interface that the adapter of
the Ascend NPU asks for, so the same managers serve its optimizers.
"""
# Where the variables of the managers live, whichever is used.
SCOPE = 'loss_scale'

# Far beyond use; a float32 that overflows would never come back.
MAX_LOSS_SCALE = 2. ** 64


class LossScaleManager:
  """The state of loss scaling; what is done with it is the subclass's.

  Every manager has all variables, so that checkpoints have the same names with any: scale float32;
  good and bad int32, finite updates and others in a row; skipped int32, the others in all.

  Args:
    loss_scale: float from 1 to MAX_LOSS_SCALE, at first.
  """

  def __init__(self, loss_scale):
    import tensorflow.compat.v1 as tf
    _check(1 <= loss_scale <= MAX_LOSS_SCALE, 'the loss scale must lie between 1 and 2^64, not {}',
           loss_scale)

    def variable(name, value, dtype):
      return tf.get_variable(name, [], dtype, tf.constant_initializer(value), trainable=False)

    with tf.variable_scope(tf.VariableScope(tf.AUTO_REUSE, SCOPE, use_resource=True)):
      self._scale = variable('scale', loss_scale, tf.float32)
      self._good = variable('good_updates', 0, tf.int32)
      self._bad = variable('bad_updates', 0, tf.int32)
      self.skipped_updates = variable('skipped_updates', 0, tf.int32)

  def _count(self, finite):
    """Adds an update to `skipped_updates` unless it was finite."""
    import tensorflow.compat.v1 as tf
    return self.skipped_updates.assign_add(1 - tf.cast(finite, tf.int32)).op


class FixedLossScaleManager(LossScaleManager):
  """A scale that never changes.

  Args:
    loss_scale: float from 1 to MAX_LOSS_SCALE.
    enable_overflow_check: whether updates with gradients that are not finite are left out.
  """

  def __init__(self, loss_scale, enable_overflow_check=True):
    super().__init__(loss_scale)
    self.enable_overflow_check = enable_overflow_check
    self._constant = loss_scale

  def get_loss_scale(self):
    """float32 scalar tensor."""
    import tensorflow.compat.v1 as tf
    return tf.constant(self._constant, tf.float32)

  def update_loss_scale(self, finite):
    """The operation that counts an update whose gradients were finite (bool scalar) or not."""
    return self._count(finite)


class ExponentialUpdateLossScaleManager(LossScaleManager):
  """A scale that falls after gradients that are not finite, and rises after many that are.

  Args:
    init_loss_scale: float from 1 to MAX_LOSS_SCALE.
    incr_every_n_steps: finite updates in a row before the scale rises.
    decr_every_n_nan_or_inf: updates in a row that are not finite before it falls.
    incr_ratio: > 1, the factor of a rise.
    decr_ratio: in (0, 1), the factor of a fall; the scale never falls below 1.
  """

  def __init__(self, init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, incr_ratio=2,
               decr_ratio=0.8):
    super().__init__(init_loss_scale)
    _check(incr_every_n_steps >= 1, 'incr_every_n_steps must be at least 1, not {}',
           incr_every_n_steps)
    _check(decr_every_n_nan_or_inf >= 1, 'decr_every_n_nan_or_inf must be at least 1, not {}',
           decr_every_n_nan_or_inf)
    _check(incr_ratio > 1, 'incr_ratio must be more than 1, not {}', incr_ratio)
    _check(0 < decr_ratio < 1, 'decr_ratio must lie between 0 and 1, not {}', decr_ratio)
    self._rise = (incr_every_n_steps, incr_ratio)
    self._fall = (decr_every_n_nan_or_inf, decr_ratio)

  def get_loss_scale(self):
    """float32 scalar tensor."""
    return self._scale.read_value()

  def update_loss_scale(self, finite):
    """The operation that follows an update whose gradients were finite (bool scalar) or not."""
    import tensorflow.compat.v1 as tf
    good = tf.where_v2(finite, self._good.read_value() + 1, 0)
    bad = tf.where_v2(finite, 0, self._bad.read_value() + 1)
    rises, falls = good >= self._rise[0], bad >= self._fall[0]
    factor = tf.where_v2(rises, float(self._rise[1]), tf.where_v2(falls, self._fall[1], 1.))
    scale = tf.clip_by_value(self._scale.read_value() * factor, 1., MAX_LOSS_SCALE)
    return tf.group(
        self._scale.assign(scale), self._good.assign(tf.where_v2(rises, 0, good)),
        self._bad.assign(tf.where_v2(falls, 0, bad)), self._count(finite))


class LossScaleOptimizer:
  """Minimises a scaled loss, and leaves out updates whose gradients are not finite.

  For CPU and GPU; a NPU saturates instead of giving infinities, and its adapter has its own.

  Args:
    optimizer: tf.train.Optimizer whose slots exist: it is applied inside a condition.
    manager: a loss-scale manager.
  """

  def __init__(self, optimizer, manager):
    self._optimizer = optimizer
    self._manager = manager

  def compute_gradients(self, loss, var_list=None):
    """The (gradient, variable) pairs of the loss itself; variables without one are left out."""
    scale = self._manager.get_loss_scale()
    return [(gradient / scale, variable) for gradient, variable
            in self._optimizer.compute_gradients(loss * scale, var_list) if gradient is not None]

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    """The update; without it neither variables nor slots nor `global_step` change."""
    import tensorflow.compat.v1 as tf
    checked = getattr(self._manager, 'enable_overflow_check', True)
    finite = (all_finite([gradient for gradient, _ in grads_and_vars]) if checked
              else tf.constant(True))

    def update():
      with tf.control_dependencies([self._optimizer.apply_gradients(grads_and_vars, global_step)]):
        return tf.constant(True)

    applied = tf.cond(finite, update, lambda: tf.constant(False))
    with tf.control_dependencies([applied]):
      return tf.group(self._manager.update_loss_scale(finite), name=name)


def all_finite(tensors):
  """bool scalar: no tensor holds an infinity or a NaN."""
  import tensorflow.compat.v1 as tf
  return tf.reduce_all(tf.stack([tf.reduce_all(tf.is_finite(tensor)) for tensor in tensors]))


def _check(legal, text, value):
  if not legal:
    raise ValueError(text.format(value))
