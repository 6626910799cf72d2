"""The learning rate as a function of the step."""
import math

import tensorflow.compat.v1 as tf

COSINE = 'cosine'


def learning_rate(config, step):
  """Learning rate of the update after `step` others (PolyGen, appendix E).

  Args:
    config: TrainingConfig. The rate rises linearly over the first warmup_steps to learning_rate.
      With decay 'cosine' it then falls to 0 at training_steps (Loshchilov and Hutter, 2017), with
      'none' it stays.
    step: int scalar tensor.

  Returns:
    float32 scalar tensor.
  """
  rate, step = tf.constant(config.learning_rate, tf.float32), tf.cast(step, tf.float32)
  if config.learning_rate_decay == COSINE:
    falling = max(1, config.training_steps - config.warmup_steps)
    share = tf.clip_by_value((step - config.warmup_steps) / falling, 0., 1.)
    rate *= 0.5 * (1. + tf.cos(math.pi * share))
  if config.warmup_steps:
    rate *= tf.minimum((step + 1.) / config.warmup_steps, 1.)
  return rate
