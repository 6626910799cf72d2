"""The one loop that decodes tokens, for every model."""
from typing import Callable, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from .compilation import common_operations, compiled, write_at
from .filters import draw, filter_logits
from .grammar import EVERY_SEQUENCE, Grammar, legal_tokens, masked
from .shapes import shape_of


class Drawing(NamedTuple):
  """How a token is drawn from its logits; see layers/filters.py."""
  temperature: float = 1.
  top_k: int = 0
  top_p: float = 1.


class Loop(NamedTuple):
  """How tokens are drawn one after the other.

  Attributes:
    drawing: Drawing.
    fixed_length: run all steps even if every row has stopped, and use common operations alone, as
      graphs for an NPU need it; the result is the same.
    compiled: compile the loop with XLA, which needs static shapes.
  """
  drawing: Drawing = Drawing()
  fixed_length: bool = False
  compiled: bool = False


class Constraints(NamedTuple):
  """What the drawn tokens must be.

  Attributes:
    grammar: of the tokens that may be drawn.
    prefix: int32 [B, P], the first P tokens of every row, in place of drawn ones; None: nothing.
  """
  grammar: Grammar = EVERY_SEQUENCE
  prefix: Optional[tf.Tensor] = None


class Decoded(NamedTuple):
  """tokens int32 [B, S], `stop` from the stop on; stopped bool [B]."""
  tokens: tf.Tensor
  stopped: tf.Tensor


class State(NamedTuple):
  """What a model carries from token to token, e.g. caches, as functions of its length.

  Attributes:
    empty: function length -> state that holds nothing and has room for `length` tokens.
    lengthened: function (state, length) -> the same with room for more.
  """
  empty: Callable
  lengthened: Callable


# A state has room for at most about this many tokens at first, and for as many more whenever it is
# full: work follows what was drawn, and every length is static. n parts read (n + 1) / n of what is
# filled, each is a loop of its own that takes time and memory to compile: never more than these.
STATE_STEPS = 256
STATE_PARTS = 12


def decode(next_logits, embed, first_input, state, uniforms, stop, loop=Loop(),
           constraints=Constraints()):
  """Draws tokens one by one until every row has stopped or `uniforms` is used up.

  Args:
    next_logits: function (input [B, 1, D], state, index) -> (logits [B, N], state).
    embed: function (token int32 [B], index of the token) -> the next input [B, 1, D].
    first_input: float32 [B, 1, D], the context.
    state: State.
    uniforms: float32 [B, S] in [0, 1): the noise of every row and step; S is static.
    stop: the token that ends a row.
    loop: Loop.
    constraints: Constraints.

  Raises:
    ValueError: a compiled loop of unknown batch size.
  """
  batch, steps = uniforms.shape.as_list()
  if loop.compiled and batch is None:
    raise ValueError('a compiled loop needs a static batch size: give num_samples as an int, and '
                     'to the face model vertices of a static shape (static_batch=True)')
  noise = tf.transpose(uniforms)  # by step, as the tokens are
  grammar, prefix = constraints
  prefix = None if prefix is None else tf.transpose(prefix)

  def step(index, x, states, tokens, stopped):
    logits, model_state = next_logits(x, states.model, index)
    if grammar.legal:
      logits = masked(logits, legal_tokens(grammar, states.grammar, index, stopped, stop))
    token = draw(filter_logits(logits, *loop.drawing), tf.gather(noise, index))
    token = tf.where_v2(stopped, stop, _given(token, prefix, index))
    states = _States(model_state, grammar.advance(states.grammar, token, index))
    tokens = write_at(tokens, token[None], index, axis=0)
    return index + 1, embed(token, index), states, tokens, stopped | tf.equal(token, stop)

  def every_step():
    index, x = tf.constant(0), first_input
    states = _States(None, grammar.start)
    tokens = tf.fill(tf.shape(noise), stop)
    stopped = tf.zeros(tf.shape(noise)[1:], tf.bool)
    for end in room(steps):
      states = states._replace(model=state.empty(end) if states.model is None
                               else state.lengthened(states.model, end))

      def unfinished(index, unused_x, unused_states, unused_tokens, stopped, end=end):
        return index < end if loop.fixed_length else (index < end) & ~tf.reduce_all(stopped)

      index, x, states, tokens, stopped = tf.while_loop(
          unfinished, step, (index, x, states, tokens, stopped), parallel_iterations=1,
          back_prop=False)
    return tf.transpose(tokens), stopped

  with common_operations(loop.fixed_length):
    return Decoded(*(compiled(every_step) if loop.compiled else every_step()))


class _States(NamedTuple):
  """What is carried from token to token beside the tokens: of the model and of the grammar."""
  model: tuple
  grammar: tuple


def _given(token, prefix, index):
  """The token of the prefix [P, B] at `index`; behind it the drawn one."""
  if prefix is None:
    return token
  length = shape_of(prefix)[0]
  return tf.where_v2(index < length, tf.gather(prefix, tf.minimum(index, length - 1)), token)


def room(steps):
  """The lengths of the state during `steps` steps, e.g. 1000 -> [334, 667, 1000]."""
  parts = min(-(-steps // STATE_STEPS), STATE_PARTS)
  return [-(-steps * (part + 1) // parts) for part in range(parts)]
