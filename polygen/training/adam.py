"""Adam (Kingma and Ba, 2015) with TensorFlow's kernel, variable names and place of epsilon.

Beside tf.train.AdamOptimizer it makes a third of the operations, which is what a start waits for.
"""
import tensorflow.compat.v1 as tf


class Adam:
  """The means of gradients and of their squares, and the update.

  Args:
    variables: resource variables; their slots, `<variable>/Adam` and `<variable>/Adam_1`, exist
      from the start.
    rate: float32 scalar tensor, the learning rate.
    config: TrainingConfig, for its adam_ fields.
    scope: where `beta1_power` and `beta2_power` are.
  """

  def __init__(self, variables, rate, config, scope):
    self._rate, self._config = rate, config
    zeros = {shape: tf.zeros(shape) for shape in {tuple(v.shape.as_list()) for v in variables}}
    with tf.name_scope(None):
      self._slots = {variable.name: [
          _slot(variable, zeros[tuple(variable.shape.as_list())], slot)
          for slot in ('Adam', 'Adam_1')] for variable in variables}
      self._powers = [
          tf.Variable(beta, trainable=False, use_resource=True,
                      name='{}/beta{}_power'.format(scope, number))
          for number, beta in enumerate((config.adam_beta1, config.adam_beta2), 1)]

  def apply_gradients(self, grads_and_vars):
    """The operation that updates the variables of these pairs."""
    config = self._config
    powers = [power.read_value() for power in self._powers]
    betas = [tf.constant(beta) for beta in (config.adam_beta1, config.adam_beta2)]
    epsilon = tf.constant(config.adam_epsilon)
    updates = []
    for gradient, variable in grads_and_vars:
      mean, square = self._slots[variable.name]
      updates.append(tf.raw_ops.ResourceApplyAdam(
          var=variable.handle, m=mean.handle, v=square.handle, beta1_power=powers[0],
          beta2_power=powers[1], lr=self._rate, beta1=betas[0], beta2=betas[1], epsilon=epsilon,
          grad=gradient))
    with tf.control_dependencies(updates):
      return tf.group(*[power.assign(value * beta, read_value=False) for power, value, beta
                        in zip(self._powers, powers, betas)])


def _slot(variable, initial_value, name):
  """A variable beside another one, in three operations; tf.Variable takes twice the time."""
  name = '{}/{}'.format(variable.op.name, name)
  handle = tf.raw_ops.VarHandleOp(
      dtype=tf.float32, shape=variable.shape, shared_name=name, name=name)
  parts = variable.to_proto()
  parts.variable_name, parts.initial_value_name = handle.name, initial_value.name
  parts.initializer_name = tf.raw_ops.AssignVariableOp(
      resource=handle, value=initial_value, name=name + '/Assign').name
  parts.snapshot_name = tf.raw_ops.ReadVariableOp(
      resource=handle, dtype=tf.float32, name=name + '/Read').name
  parts.trainable = False
  slot = variable.from_proto(parts)
  tf.add_to_collection(tf.GraphKeys.GLOBAL_VARIABLES, slot)
  return slot
