"""A categorical distribution over tokens."""
import tensorflow.compat.v1 as tf

from .float32 import in_float32, keep_float32


class Categorical:
  """Independent distributions over N tokens at [B, T] positions.

  Attributes:
    logits: float32 [B, T, N].
  """

  def __init__(self, logits):
    self.logits = logits

  @property
  def batch_shape(self):
    """The static shape [B, T]."""
    return self.logits.shape[:-1]

  def log_prob(self, tokens):
    """Natural logarithm of the probability of tokens int32 [B, T]: float32 [B, T]."""
    def log_prob_of(logits):
      return -tf.nn.sparse_softmax_cross_entropy_with_logits(
          labels=tf.cast(tokens, tf.int32), logits=logits)

    return in_float32(log_prob_of)(self.logits)

  def sum_log_prob(self, tokens, mask):
    """The sum of `log_prob` over tokens int32 [B, T] weighted by mask [B, T]: float32 scalar."""
    with keep_float32():
      return tf.reduce_sum(self.log_prob(tokens) * mask)

  def sample(self, seed=None):
    """Tokens int32 [B, T]; seed: of the operation, as in tf.random."""
    shape = tf.shape(self.logits)
    flat = tf.reshape(self.logits, [-1, shape[-1]])
    tokens = tf.random.categorical(flat, 1, dtype=tf.int32, seed=seed)
    return tf.reshape(tokens, shape[:-1])
