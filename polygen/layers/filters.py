"""Which tokens may be drawn, and drawing one: temperature, top-k, top-p, inverse CDF; per row."""
import tensorflow.compat.v1 as tf

from .float32 import keep_float32
from .masks import MASKED


def filter_logits(logits, temperature=1., top_k=0, top_p=1.):
  """Logits of the tokens that may be drawn; MASKED elsewhere.

  Args:
    logits: float32 [B, N]; forbidden tokens carry MASKED.
    temperature: > 0, divides the logits.
    top_k: the k most probable tokens stay, exactly k of them (of equal ones the first); 0 = all.
    top_p: of these the smallest set of most probable tokens whose probability reaches top_p
      (Holtzman et al., 2020), at least one; 1 = all. Where it ends among tokens that are equally
      probable up to rounding, rounding decides.

  Returns:
    float32 [B, N].
  """
  legal = logits > MASKED / 2
  best = tf.reduce_max(logits, axis=-1, keepdims=True)
  logits = tf.where_v2(legal, (logits - best) / temperature, MASKED)
  if top_k or top_p < 1:
    size = logits.shape.as_list()[-1] or tf.shape(logits)[-1]
    descending = tf.nn.top_k(logits, k=size).values
    kept = tf.tile(tf.range(size)[None] < (top_k or size), [tf.shape(logits)[0], 1])
    if top_p < 1:
      with keep_float32():
        probabilities = tf.nn.softmax(tf.where_v2(kept, descending, MASKED))
        mass_before = tf.cumsum(probabilities, axis=-1, exclusive=True)
      kept &= (mass_before < top_p) | tf.equal(tf.range(size), 0)[None]
    legal &= highest(logits, tf.reduce_sum(tf.cast(kept, tf.int32), axis=-1), descending)
  return tf.where_v2(legal, logits, MASKED)


def highest(logits, counts, descending):
  """True at the `counts` [B] highest logits [B, N] of each row; of equal ones at the first."""
  last = tf.gather(descending, counts[:, None] - 1, batch_dims=1)
  above, equal = logits > last, tf.equal(logits, last)
  places = counts[:, None] - tf.reduce_sum(tf.cast(above, tf.int32), axis=-1, keepdims=True)
  return above | (equal & (tf.cumsum(tf.cast(equal, tf.int32), axis=-1) <= places))


def draw(logits, uniform):
  """The token at which the cumulative probability first exceeds `uniform`.

  Args:
    logits: float32 [B, N].
    uniform: float32 [B] in [0, 1).

  Returns:
    int32 [B]; never a token of probability 0.
  """
  with keep_float32():
    probabilities = tf.nn.softmax(logits)
    cumulative = tf.cumsum(probabilities, axis=-1)
  possible = probabilities > 0
  total = tf.reduce_max(tf.where_v2(possible, cumulative, 0.), axis=-1)
  reached = possible & (cumulative > (uniform * total)[:, None])
  return tf.argmax(tf.cast(reached, tf.float32), axis=-1, output_type=tf.int32)
