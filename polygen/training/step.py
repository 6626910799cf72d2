"""One training step: a batch, the losses of both models, one Adam for each."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from .losses import Losses, batch_losses
from .schedule import learning_rate


class TrainingStep(NamedTuple):
  """Tensors and operations of a step.

  Running `train` updates both models and counts `global_step`; `losses` are those before the
  update.
  """
  losses: Losses
  train: tf.Operation
  global_step: tf.Variable


def training_step(models, batch, config):
  """Builds the step in the default graph.

  Args:
    models: (VertexModel, FaceModel).
    batch: dict of dicts of tensors, as drawn in data/batches.py.
    config: TrainingConfig.
  """
  global_step = tf.train.get_or_create_global_step()
  seed = tf.stack([config.seed, tf.cast(global_step, tf.int32)])
  losses = batch_losses(models, batch, is_training=True, seed=seed)
  rate = learning_rate(config, global_step)
  updates = [_update(model, loss, rate, config) for model, loss in zip(models, losses)]
  with tf.control_dependencies(updates):
    train = tf.assign_add(global_step, 1).op
  return TrainingStep(losses, train, global_step)


def _update(model, loss, rate, config):
  with tf.name_scope(model.name + '_optimizer'):
    optimizer = tf.train.AdamOptimizer(
        rate, config.adam_beta1, config.adam_beta2, config.adam_epsilon)
    gradients = optimizer.compute_gradients(loss, model.variables)
    return optimizer.apply_gradients(gradients)
