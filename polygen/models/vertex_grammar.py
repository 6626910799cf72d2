"""The vertex sequences of a mesh (PolyGen, section 2.2, masking invalid predictions).

A vertex is a triple (z, y, x) of bins, and triples rise strictly in lexicographic order. STOP
stands where a z would, after at least three vertices; so the first two leave room for the third:

    least(0) = (0, 0, 0)                      least(n) = the triple after vertex n - 1
    most(n)  = the greatest triple, less the vertices that must still follow vertex n

A triple between two bounds is drawn coordinate by coordinate: as long as those drawn equal a
bound's, the next may not pass that bound's; there always is one that fits.
"""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from ..layers.grammar import Grammar
from ..tokens import COORDINATES_PER_VERTEX, MIN_FACE_CORNERS, VERTEX_TOKEN_OFFSET, max_bin

# A mesh has a face, and a face this many vertices.
MIN_VERTICES = MIN_FACE_CORNERS


class VertexState(NamedTuple):
  """int32 [B, 3], in the order (z, y, x).

  Attributes:
    least: the lowest vertex that may be drawn now; its z is beyond all bins if none may.
    drawn: the coordinates of this vertex so far; at those to come anything.
  """
  least: tf.Tensor
  drawn: tf.Tensor


def vertex_grammar(batch, quantization_bits, steps=None):
  """The Grammar of vertex sequences over 2^b + 1 tokens.

  Args:
    batch: B.
    quantization_bits: b.
    steps: most tokens; the last may only be STOP, if there are enough vertices. None: no limit.
  """
  highest = max_bin(quantization_bits)
  bins = tf.range(highest + 1)[None]
  most_of = tf.constant([_triple_below_top(vertices, quantization_bits)
                         for vertices in reversed(range(MIN_VERTICES))])

  def legal(state, index):
    number, axis = index // COORDINATES_PER_VERTEX, index % COORDINATES_PER_VERTEX
    most = tf.gather(most_of, tf.minimum(number, MIN_VERTICES - 1))
    low = tf.where_v2(_equal_before(state.drawn, state.least), state.least, 0)
    high = tf.where_v2(_equal_before(state.drawn, most), most, highest)
    inside = ((bins >= tf.gather(low, axis, axis=1)[:, None])
              & (bins <= tf.gather(high, axis, axis=1)[:, None]))
    may_stop = tf.equal(axis, 0) & (number >= MIN_VERTICES)
    if steps is not None:
      inside &= ~(may_stop & tf.equal(index, steps - 1))
    return tf.concat([tf.fill([batch, VERTEX_TOKEN_OFFSET], may_stop), inside], axis=1)

  def advance(state, tokens, index):
    axis = index % COORDINATES_PER_VERTEX
    is_drawn = tf.equal(tf.range(COORDINATES_PER_VERTEX), axis)[None]
    drawn = tf.where_v2(is_drawn, (tokens - VERTEX_TOKEN_OFFSET)[:, None], state.drawn)
    is_whole = tf.equal(axis, COORDINATES_PER_VERTEX - 1)
    return VertexState(tf.where_v2(is_whole, _next_triple(drawn, highest), state.least), drawn)

  zeros = tf.zeros([batch, COORDINATES_PER_VERTEX], tf.int32)
  return Grammar(VertexState(zeros, zeros), legal, advance)


def _triple_below_top(places, quantization_bits):
  """The triple that `places` others (0, 1 or 2) exceed."""
  rank = 2 ** (COORDINATES_PER_VERTEX * quantization_bits) - 1 - places
  highest = max_bin(quantization_bits)
  return [rank >> quantization_bits * axis & highest
          for axis in reversed(range(COORDINATES_PER_VERTEX))]


def _next_triple(triple, highest):
  """The triple [B, 3] after each in lexicographic order; z is highest + 1 if there is none."""
  z, y, x = tf.unstack(triple, axis=1)
  carry_y = tf.equal(x, highest)
  carry_z = carry_y & tf.equal(y, highest)
  return tf.stack([z + tf.cast(carry_z, tf.int32),
                   tf.where_v2(carry_z, 0, y + tf.cast(carry_y, tf.int32)),
                   tf.where_v2(carry_y, 0, x + 1)], axis=1)


def _equal_before(drawn, bound):
  """bool [B, 3]: whether all coordinates before each one equal those of the bound."""
  z, y, _ = tf.unstack(tf.equal(drawn, bound), axis=1)
  return tf.stack([tf.ones_like(z), z, z & y], axis=1)
