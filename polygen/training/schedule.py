"""The learning rate as a function of the step."""
import math

import tensorflow.compat.v1 as tf

COSINE = 'cosine'


def learning_rate(config, step):
  """Learning rate of the update after `step` others.

  Args:
    config: TrainingConfig. With decay 'cosine' the rate falls from learning_rate to 0 over
      training_steps (Loshchilov and Hutter, 2017; PolyGen, appendix E), with 'none' it stays.
    step: int scalar tensor.

  Returns:
    float32 scalar tensor.
  """
  rate = tf.constant(config.learning_rate, tf.float32)
  if config.learning_rate_decay != COSINE:
    return rate
  share = tf.minimum(tf.cast(step, tf.float32) / config.training_steps, 1.)
  return rate * 0.5 * (1. + tf.cos(math.pi * share))
