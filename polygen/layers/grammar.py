"""Grammars: which tokens may follow those drawn so far, as pure functions of a state.

    state = grammar.start
    for index, token in enumerate(tokens):     # decoding draws each token from the legal ones
      legal = grammar.legal(state, index)
      state = grammar.advance(state, token, index)
"""
from typing import Callable, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from .float32 import keep_float32
from .masks import kept
from .shapes import shape_of


class Grammar(NamedTuple):
  """The sequences that are legal.

  Attributes:
    start: nested tensors [B, ...], the state before the first token.
    legal: function (state, index int32 scalar) -> bool [B, N], the tokens that may be number
      `index`; at least one in every row that has not stopped. None: all.
    advance: function (state, tokens int32 [B], index) -> the state after them; any state will do
      for rows that have stopped.
  """
  start: tuple
  legal: Optional[Callable]
  advance: Callable


EVERY_SEQUENCE = Grammar((), None, lambda state, unused_tokens, unused_index: state)


def legal_tokens(grammar, state, index, stopped, stop):
  """`grammar.legal`, and nothing but `stop` in the rows that have stopped (bool [B])."""
  legal = grammar.legal(state, index)
  is_stop = tf.equal(tf.range(shape_of(legal)[1]), stop)[None]
  return tf.where_v2(stopped[:, None], is_stop, legal)


def legal_along(grammar, tokens, stop):
  """The tokens that may stand at every place of given sequences.

  Args:
    grammar: Grammar.
    tokens: int32 [B, T]; what follows an illegal token means nothing.
    stop: the token that ends a row.

  Returns:
    bool [B, T, N].
  """
  def step(carried, place):
    state, stopped, _ = carried
    index, token = place
    legal = legal_tokens(grammar, state, index, stopped, stop)
    return grammar.advance(state, token, index), stopped | tf.equal(token, stop), legal

  length = shape_of(tokens)[1]
  nothing_stopped = tf.zeros_like(tokens[:, 0], tf.bool)
  first = legal_tokens(grammar, grammar.start, 0, nothing_stopped, stop)
  _, _, legal = tf.scan(step, (tf.range(length), tf.transpose(tokens)),
                        (grammar.start, nothing_stopped, first), back_prop=False)
  return tf.transpose(legal, [1, 0, 2])


def masked(logits, legal):
  """Logits of which only the legal ones have a probability.

  Args:
    logits: float32 [..., N] of any size.
    legal: bool [..., N].

  Returns:
    float32 [..., N]: the best legal one 0, the others relative to it; MASKED where illegal.
  """
  with keep_float32():  # logits of any size, and a lowest number that float16 does not have
    best = tf.reduce_max(kept(logits, legal, logits.dtype.min), axis=-1, keepdims=True)
    return kept(logits - best, legal)
