"""Dropout whose noise is an argument."""
import tensorflow.compat.v1 as tf


# More than any stack has.
MAX_SITES = 1000


class Dropout:
  """Dropout of one forward pass; each call is one site and draws other noise.

  Args:
    rate: share of entries set to 0; 0 makes every call the identity.
    seed: int32 [2], e.g. (run seed, global step): the noise is a function of it, of the stack
      and of the site. None draws from TensorFlow's generator of the graph.
    stack: number of the stack, if several share a seed.
  """

  def __init__(self, rate, seed=None, stack=0):
    self._rate = rate
    self._seed = seed
    self._site = stack * MAX_SITES

  def __call__(self, x):
    if not self._rate:
      return x
    noise = self._noise(tf.shape(x))
    return tf.where_v2(noise >= self._rate, x / (1. - self._rate), 0.)

  def _noise(self, shape):
    self._site += 1
    if self._seed is None:
      return tf.random.uniform(shape)
    per_step = tf.cast(self._seed, tf.int64) * [1 << 32, 1]
    return tf.random.stateless_uniform(shape, per_step + [self._site, 0])
