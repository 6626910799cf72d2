"""Dropout whose noise is an argument."""
import tensorflow.compat.v1 as tf


# More than any stack has.
MAX_SITES = 1000

# Far from all small fractions of 2^32: the sites of run seeds that are near each other, or a
# multiple of 2^16 apart, do not meet.
SITE_STEP = 0x9E3779B1


class Dropout:
  """Dropout of one forward pass; each call is one site and draws other noise.

  Args:
    rate: share of entries set to 0; 0 makes every call the identity.
    acts: bool, or bool scalar tensor: without it every call is the identity, too.
    seed: int32 [2], e.g. (run seed, global step): the noise is a function of it, of the stack
      and of the site. None draws one from TensorFlow's generator of the graph.
    stack: number of the stack, if several share a seed.
  """

  def __init__(self, rate, seed=None, stack=0, acts=True):
    is_switched = tf.is_tensor(acts)
    self._is_identity = not rate or not (is_switched or acts)
    self._rate = rate
    if is_switched and not self._is_identity:
      self._rate = tf.where_v2(acts, rate, 0.)
    if not self._is_identity and seed is None:
      seed = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    self._seed = seed
    self._site = stack * MAX_SITES

  def __call__(self, x):
    return self.site()(x)

  def site(self):
    """The next site: a linear function that is its own transpose, the same noise at each call."""
    if self._is_identity:
      return lambda x: x
    self._site += 1
    # All in int32, as an Ascend NPU wants it: the site moves the run seed around its circle.
    move = (self._site * SITE_STEP + (1 << 31)) % (1 << 32) - (1 << 31)

    def dropped(x):
      # Not tf.random.stateless_uniform: that of TensorFlow 2 makes uint64 numbers on the way.
      noise = tf.raw_ops.StatelessRandomUniform(
          shape=tf.shape(x), seed=tf.cast(self._seed, tf.int32) + [move, 0])
      return tf.where_v2(noise >= self._rate, x / (1. - self._rate), 0.)

    return dropped
