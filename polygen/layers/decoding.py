"""The one loop that decodes tokens, for every model."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from .filters import draw, filter_logits


class Drawing(NamedTuple):
  """How a token is drawn from its logits; see layers/filters.py."""
  temperature: float = 1.
  top_k: int = 0
  top_p: float = 1.


class Decoded(NamedTuple):
  """tokens int32 [B, S], `stop` from the stop on; stopped bool [B]."""
  tokens: tf.Tensor
  stopped: tf.Tensor


def decode(next_logits, embed, first_input, state, uniforms, stop, drawing, fixed_length=False):
  """Draws tokens one by one until every row has stopped or `uniforms` is used up.

  Args:
    next_logits: function (input [B, 1, D], state, index) -> (logits [B, N], state).
    embed: function (token int32 [B], index of the token) -> the next input [B, 1, D].
    first_input: float32 [B, 1, D], the context.
    state: nested structure of tensors of fixed shapes, e.g. caches.
    uniforms: float32 [B, S] in [0, 1): the noise of every row and step; S is static.
    stop: the token that ends a row.
    drawing: Drawing.
    fixed_length: run all S steps even if every row has stopped, as graphs whose loops must not
      depend on data need it; the result is the same.
  """
  steps = uniforms.shape.as_list()[1]
  batch = tf.shape(uniforms)[0]
  start = (tf.constant(0), first_input, state, tf.fill([batch, steps], stop),
           tf.zeros([batch], tf.bool))

  def unfinished(index, unused_input, unused_state, unused_tokens, stopped):
    return index < steps if fixed_length else (index < steps) & ~tf.reduce_all(stopped)

  def step(index, x, state, tokens, stopped):
    logits, new_state = next_logits(x, state, index)
    token = draw(filter_logits(logits, *drawing), uniforms[:, index])
    token = tf.where_v2(stopped, stop, token)
    tokens = tf.where_v2(tf.equal(tf.range(steps), index)[None], token[:, None], tokens)
    return index + 1, embed(token, index), new_state, tokens, stopped | tf.equal(token, stop)

  _, _, _, tokens, stopped = tf.while_loop(
      unfinished, step, start, parallel_iterations=1, back_prop=False)
  return Decoded(tokens, stopped)
