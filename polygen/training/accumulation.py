"""A batch in micro-batches: their gradients are added, so that one at a time takes memory.

    session.run(accumulate)    sums = g0                                    (add)
    session.run(accumulate)    sums = g0 + g1                               (add)
    session.run(train)         update by g0 + g1 + g2, then sums = 0        (apply)

The sums are local variables: no checkpoint has them, and tf.local_variables_initializer sets them.
So is what moves the seed of dropout from one micro-batch to the next.
"""
import tensorflow.compat.v1 as tf

SCOPE = 'micro_batches'

# The golden section of 2^32, as an int32: the seeds of n micro-batches each of steps that are less
# than 2^32 / 3n apart do not meet.
SEED_STEP = 0x9E3779B1 - (1 << 32)


def seed_of_micro_batch(seed):
  """The seed int32 [2] of dropout, from that of the step, which the first micro-batch keeps."""
  return seed + tf.stack([0, _seed_move().read_value()])


def add(gradients):
  """The operation that adds the (gradient, variable) pairs of a micro-batch to the sums."""
  added = [_sum_of(variable).assign_add(gradient) for gradient, variable in gradients]
  with tf.control_dependencies(added):
    return _seed_move().assign_add(SEED_STEP).op


def apply(optimizer, gradients):
  """The operation that adds the pairs of the last micro-batch, updates, and sets the sums to 0.

  A gradient that was not finite leaves a sum that is not, so that loss scaling can tell.
  """
  totals = [(_sum_of(variable).read_value() + gradient, variable)
            for gradient, variable in gradients]
  used = [_seed_move()] + [_sum_of(variable) for _, variable in gradients]
  with tf.control_dependencies([optimizer.apply_gradients(totals)]):
    return tf.group(*[variable.assign(tf.zeros(variable.shape, variable.dtype.base_dtype))
                      for variable in used])


def _seed_move():
  return _local_variable('seed_move', [], tf.int32)


def _sum_of(variable):
  return _local_variable(variable.op.name, variable.shape, tf.float32)


def _local_variable(name, shape, dtype):
  with tf.variable_scope(tf.VariableScope(tf.AUTO_REUSE, SCOPE, use_resource=True)):
    return tf.get_variable(name, shape, dtype, tf.zeros_initializer(), trainable=False,
                           collections=[tf.GraphKeys.LOCAL_VARIABLES])
