"""One training step: a batch, the losses of the models, one update of all."""
from typing import Dict, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from ..hw import ExponentialUpdateLossScaleManager, FixedLossScaleManager
from . import accumulation
from .evaluation import Evaluated
from .losses import batch_losses
from .optimizer import ModelsAdam
from .schedule import learning_rate


class TrainingStep(NamedTuple):
  """Tensors and operations of a step.

  Attributes:
    losses: {part: float32 scalar} before the update, of the micro-batch.
    train: updates the models and counts `global_step`, which is the number of batches consumed,
      whether or not loss scaling left out their update.
    global_step: int32 variable.
    skipped_updates: int32 scalar variable: updates left out so far.
    num_micro_batches: of a step, one in each session.run; `train` takes the last.
    accumulate: takes one of those before; None if there is no other.
    evaluated: evaluates batches by the graph of the losses, whose dropout it turns off; None where
      shapes are static and graphs may not be fed otherwise.
  """
  losses: Dict[str, tf.Tensor]
  train: tf.Operation
  global_step: tf.Variable
  skipped_updates: tf.Variable
  num_micro_batches: int = 1
  accumulate: Optional[tf.Operation] = None
  evaluated: Optional[Evaluated] = None


def training_step(models, batch, config, machine):
  """Builds the step in the default graph.

  Args:
    models: {part: model} to be trained.
    batch: dict of dicts of tensors, as drawn in data/batches.py: a micro-batch, which is the
      whole batch of a step if config.accumulate is 1.
    config: TrainingConfig.
    machine: hw.Machine; it decides about loss scaling.
  """
  global_step = int32_global_step()
  seed = tf.stack([config.seed, global_step.read_value()])
  if config.accumulate > 1:
    seed = accumulation.seed_of_micro_batch(seed)
  if machine.static_shapes:
    is_training, evaluated = True, None
    losses = batch_losses(models, batch, is_training, seed)
  else:
    is_training = tf.placeholder_with_default(True, [])
    losses = batch_losses(models, batch, is_training, seed)
    evaluated = Evaluated(losses, batch, {is_training: False})
  manager = loss_scale_manager(config)
  optimizer = machine.scaled(
      ModelsAdam(models.values(), learning_rate(config, global_step), config), manager)
  gradients = optimizer.compute_gradients(tf.add_n(list(losses.values())))
  if config.accumulate > 1:
    accumulate = accumulation.add(gradients)
    update = accumulation.apply(optimizer, gradients)
  else:
    accumulate, update = None, optimizer.apply_gradients(gradients)
  with tf.control_dependencies([update]):
    train = tf.assign_add(global_step, 1).op
  return TrainingStep(losses, train, global_step, manager.skipped_updates, config.accumulate,
                      accumulate, evaluated)


def loss_scale_manager(config):
  """The manager of a TrainingConfig; a dynamic scale halves after each update that it skips."""
  if config.loss_scaling == 'fixed':
    return FixedLossScaleManager(config.loss_scale)
  return ExponentialUpdateLossScaleManager(
      config.loss_scale, config.loss_scale_growth_steps, decr_every_n_nan_or_inf=1, incr_ratio=2,
      decr_ratio=0.5)


def int32_global_step():
  """The global step of the default graph: int32, since an NPU computes no int64."""
  step = tf.train.get_global_step()
  if step is not None:
    return step
  with tf.variable_scope(tf.VariableScope(reuse=False, name='', use_resource=True)):
    return tf.get_variable(
        'global_step', [], tf.int32, tf.zeros_initializer(), trainable=False,
        collections=[tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.GLOBAL_STEP])
