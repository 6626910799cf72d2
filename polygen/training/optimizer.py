"""One Adam for each model, clipping its gradients, behind the interface of one optimizer.

So both models share one loss scale and one update, which is what an NPU needs: its overflow status
belongs to the device, not to an optimizer.
"""
import tensorflow.compat.v1 as tf

from .adam import Adam


class ModelsAdam(tf.train.Optimizer):
  """Applies to each variable the Adam of its model.

  The slots exist from the start, under the same names wherever the update is built.

  Args:
    models: models whose variables exist.
    rate: float32 scalar tensor, the learning rate.
    config: TrainingConfig.
  """

  def __init__(self, models, rate, config):
    super().__init__(use_locking=False, name='ModelsAdam')
    self._parts, self._clip_norm = [], config.gradient_clip_norm
    for model in models:
      self._parts.append((model, Adam(model.variables, rate, config, model.name + '_optimizer')))

  def compute_gradients(self, loss, var_list=None, gate_gradients=tf.train.Optimizer.GATE_NONE,
                        *arguments, **options):
    """Dense (gradient, variable) pairs, by default of all variables of the models.

    Variables that the loss does not depend on are left out. Unlike other optimizers this one is
    not gated by default: what lies further back does not wait for the gradients of kernels.
    """
    if var_list is None:
      var_list = [variable for model, _ in self._parts for variable in model.variables]
    pairs = super().compute_gradients(loss, var_list, gate_gradients, *arguments, **options)
    return [(tf.convert_to_tensor(gradient), variable)
            for gradient, variable in pairs if gradient is not None]

  def apply_gradients(self, grads_and_vars, global_step=None, name=None):
    """The operation that updates all variables, then counts `global_step` if there is one."""
    updates = []
    for model, adam in self._parts:
      names = {variable.name for variable in model.variables}
      updates.append(adam.apply_gradients(self._clipped(
          [pair for pair in grads_and_vars if pair[1].name in names])))
    if global_step is None:
      return tf.group(*updates, name=name)
    with tf.control_dependencies(updates):
      return tf.assign_add(global_step, 1, name=name).op

  def _clipped(self, grads_and_vars):
    """The gradients of a model, scaled down together where their norm is above the limit."""
    if not self._clip_norm or not grads_and_vars:
      return grads_and_vars
    gradients, variables = zip(*grads_and_vars)
    # Not tf.clip_by_global_norm: it holds an infinite constant, which an NPU may not have.
    norm = tf.global_norm(gradients)
    scale = self._clip_norm / tf.maximum(norm, self._clip_norm)
    scale *= tf.where_v2(tf.is_finite(norm), 1., norm)  # 0 times infinity: no number
    return [(gradient * scale, variable) for gradient, variable in zip(gradients, variables)]
