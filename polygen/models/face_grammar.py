"""The face sequences of a mesh (PolyGen, section 2.3, masking invalid predictions).

On V sorted vertices a face starts with its lowest vertex and visits none twice. Its first corner is
at least that of the face before and at most the lowest vertex that no face has yet, so that all
get one; two vertices above it must exist. NEW_FACE and STOP end a face of at least three corners,
STOP only once every vertex is used.

A sequence that must end in time (`steps`) only takes tokens after which it still can: by an open
face that takes all unused vertices (and at least three corners), and STOP.
"""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from ..layers.grammar import Grammar
from ..layers.shapes import shape_of
from ..tokens import FACE_TOKEN_OFFSET, MIN_FACE_CORNERS, NEW_FACE


class FaceState(NamedTuple):
  """What is known of the faces so far; int32.

  Attributes:
    last_face: [B, V], the number of the last face that has each vertex, from 1; 0 for none.
    face: [B], the number of the open face.
    corners: [B], of the open face.
    first: [B], its first corner; before it has one, that of the face before.
  """
  last_face: tf.Tensor
  face: tf.Tensor
  corners: tf.Tensor
  first: tf.Tensor


def face_grammar(vertices_mask, steps=None):
  """The Grammar of face sequences over V + 2 tokens.

  Args:
    vertices_mask: [B, V], 1 at each row's real vertices, which come first. A row without
      `has_faces` may only STOP at once.
    steps: most tokens, see above; without effect in rows that cannot end within them at all. None:
      no limit.
  """
  batch, most_vertices = shape_of(vertices_mask)
  real = vertices_mask > 0
  num_vertices = _count(real)
  may_have_faces = has_faces(vertices_mask)
  vertex = tf.range(most_vertices)[None]

  def legal(state, index):
    unused = real & tf.equal(state.last_face, 0)
    num_unused = _count(unused)
    corner = real & tf.where_v2(tf.equal(state.corners, 0)[:, None],
                                _may_start(state, unused), _may_continue(state))
    closes = state.corners >= MIN_FACE_CORNERS
    new_face, stop = closes, closes & tf.equal(num_unused, 0)
    if steps is not None:
      rest = steps - index
      is_free = _tokens_to_end(state.corners, num_unused) > rest
      corner &= is_free[:, None] | (_tokens_to_end(
          state.corners[:, None] + 1, num_unused[:, None] - tf.cast(unused, tf.int32)) < rest)
      new_face &= is_free | (_tokens_to_end(0, num_unused) < rest)
    return tf.concat([(stop | ~may_have_faces)[:, None], new_face[:, None], corner], axis=1)

  def _may_start(state, unused):
    lowest_unused = tf.reduce_min(tf.where_v2(unused, vertex, most_vertices), axis=1)
    latest = tf.minimum(num_vertices - MIN_FACE_CORNERS, lowest_unused)
    return (vertex >= state.first[:, None]) & (vertex <= latest[:, None])

  def _may_continue(state):
    return (vertex > state.first[:, None]) & tf.not_equal(state.last_face, state.face[:, None])

  def advance(state, tokens, unused_index):
    is_corner, is_new_face = tokens >= FACE_TOKEN_OFFSET, tf.equal(tokens, NEW_FACE)
    drawn = tokens - FACE_TOKEN_OFFSET
    starts = is_corner & tf.equal(state.corners, 0)
    return FaceState(
        tf.where_v2(tf.equal(vertex, drawn[:, None]), state.face[:, None], state.last_face),
        state.face + tf.cast(is_new_face, tf.int32),
        tf.where_v2(is_new_face, 0, state.corners + tf.cast(is_corner, tf.int32)),
        tf.where_v2(starts, drawn, state.first))

  zeros = tf.zeros([batch], tf.int32)
  return Grammar(FaceState(tf.zeros([batch, most_vertices], tf.int32), zeros + 1, zeros, zeros),
                 legal, advance)


def has_faces(vertices_mask):
  """bool [B]: whether the vertices of a row are enough for a face."""
  return _count(vertices_mask > 0) >= MIN_FACE_CORNERS


def _count(flags):
  """int32 [B]: how many of bool [B, V] are True."""
  return tf.reduce_sum(tf.cast(flags, tf.int32), axis=1)


def _tokens_to_end(corners, num_unused):
  """The least number of tokens to STOP, included, with an open face of some corners."""
  return tf.maximum(MIN_FACE_CORNERS - corners, num_unused) + 1
