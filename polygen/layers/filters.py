"""Which tokens may be drawn, and drawing one: temperature, top-k, top-p, inverse CDF; per row."""
import tensorflow.compat.v1 as tf

from .compilation import TENSORFLOW_1, has_common_operations, is_compiling
from .float32 import keep_float32
from .masks import MASKED, kept
from .shapes import shape_of


def filter_logits(logits, temperature=1., top_k=0, top_p=1.):
  """Logits of the tokens that may be drawn; MASKED elsewhere.

  Args:
    logits: float32 [B, N]; forbidden tokens carry MASKED.
    temperature: > 0, divides the logits.
    top_k: the k most probable tokens stay, exactly k of them (of equal ones the first); 0 = all.
    top_p: of these the `nucleus` stays; 1 = all.

  Returns:
    float32 [B, N]; the best logit is 0.
  """
  legal = logits > MASKED / 2
  best = tf.reduce_max(logits, axis=-1, keepdims=True)
  logits = kept((logits - best) / temperature, legal)
  if top_k:
    logits = kept(logits, highest(logits, top_k))
  if top_p < 1:
    logits = kept(logits, nucleus(logits, top_p))
  return logits


def highest(logits, count):
  """True at the `count` highest logits [B, N] of each row; of equal ones at the first."""
  size = logits.shape.as_list()[-1] or tf.shape(logits)[-1]
  last = tf.nn.top_k(logits, k=tf.minimum(count, size)).values[:, -1:]
  above, equal = logits > last, tf.equal(logits, last)
  places = count - tf.reduce_sum(tf.cast(above, tf.int32), axis=-1, keepdims=True)
  return above | (equal & (tf.cumsum(tf.cast(equal, tf.int32), axis=-1) <= places))


# The threshold of the nucleus is a multiple of 1 / THRESHOLDS, which floats hold exactly.
THRESHOLDS = 2 ** 20
# A round of the search divides the range in which the threshold lies by this power of 2. A compiled
# round costs its arithmetic, least if halved (TensorFlow 2 spends 50 MB more on compiling twice the
# rounds, for 2 % of a step); else a round costs its operations, of which larger divisors need fewer.
COMPILED_SEARCH_BASE, SEARCH_BASE = 2 if TENSORFLOW_1 else 4, 32
# Cumulative sums are compiled in blocks of this many: TensorFlow 1.15 adds up every prefix anew.
CUMULATIVE_BLOCK = 16


def nucleus(logits, top_p):
  """The smallest set of most probable tokens whose probability reaches top_p, at least one.

  Tokens as probable as the last one stay as well, to a millionth of the best token's probability;
  else rounding would decide which of them do.

  Args:
    logits: float32 [B, N], the best of each row 0, forbidden ones MASKED.
    top_p: in (0, 1) (Holtzman et al., 2020).

  Returns:
    bool [B, N].
  """
  with keep_float32():
    weights = tf.exp(logits)
    search = is_compiling() or has_common_operations()
    threshold = (_searched_threshold if search else _sorted_threshold)(weights, top_p)
    return (weights >= threshold) & (logits > MASKED / 2)


def _sorted_threshold(weights, top_p):
  """The greatest multiple of 1 / THRESHOLDS below 1 at which the weights above reach top_p.

  Args:
    weights: [B, N], the best of each row 1.
    top_p: share of their sum.

  Returns:
    [B, 1].
  """
  size = weights.shape.as_list()[-1] or tf.shape(weights)[-1]
  descending = tf.nn.top_k(weights, size).values
  # Summed up from the small end, where it is decided: sums from the large one have lost its digits.
  below = tf.cumsum(descending, axis=1, exclusive=True, reverse=True)
  reached = below <= (1 - top_p) * (below[:, :1] + descending[:, :1])
  last = tf.reduce_max(kept(descending, reached, 0.), axis=1, keepdims=True)
  return tf.minimum(tf.floor(last * THRESHOLDS), THRESHOLDS - 1.) / THRESHOLDS


def _searched_threshold(weights, top_p):
  """The same without sorting, on which a compiled loop would spend a third of its time."""
  base = COMPILED_SEARCH_BASE if is_compiling() else SEARCH_BASE
  weights = weights[:, None]  # [B, 1, N]
  enough = top_p * tf.reduce_sum(weights, axis=2, keepdims=True)
  threshold, width = tf.zeros_like(enough), 1.
  while width > 1 / THRESHOLDS:
    width /= base
    candidates = threshold + width * tf.range(1., base)[:, None]  # [B, C, 1]
    above = tf.cast(weights >= candidates, tf.float32)
    mass = tf.reduce_sum(above * weights, axis=2, keepdims=True)
    steps = tf.reduce_sum(tf.cast(mass >= enough, tf.float32), axis=1, keepdims=True)
    threshold += width * steps
  return threshold[:, 0]


def draw(logits, uniform):
  """The token at which the cumulative probability first exceeds `uniform`.

  Args:
    logits: float32 [B, N], the best of each row 0, as `filter_logits` gives them.
    uniform: float32 [B] in [0, 1).

  Returns:
    int32 [B]; never a token of probability 0.
  """
  with keep_float32():
    weights = tf.exp(logits)
    cumulative = _cumulative_in_blocks(weights) if is_compiling() else tf.cumsum(weights, axis=1)
  possible = weights > 0
  total = tf.reduce_max(kept(cumulative, possible, 0.), axis=-1)
  reached = possible & (cumulative > (uniform * total)[:, None])
  # Not argmax: of equal values it may find any once compiled.
  size = logits.shape.as_list()[-1] or tf.shape(logits)[-1]
  return tf.reduce_min(tf.where_v2(reached, tf.range(size)[None], size - 1), axis=-1)


def _cumulative_in_blocks(x):
  """tf.cumsum(x, axis=1) of x [B, N], N static."""
  batch, size = shape_of(x)
  blocks = -(-size // CUMULATIVE_BLOCK)
  x = tf.pad(x, [[0, 0], [0, blocks * CUMULATIVE_BLOCK - size]])
  within = tf.cumsum(tf.reshape(x, [batch, blocks, CUMULATIVE_BLOCK]), axis=2)
  before = tf.cumsum(within[:, :, -1], axis=1, exclusive=True)
  return tf.reshape(within + before[:, :, None], [batch, -1])[:, :size]
