"""Masks of invalid predictions: against every legal sequence, every state, and slow twins."""
import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings

import naive_grammar
import strategies
from polygen import data
from polygen.layers.grammar import legal_along
from polygen.models.face_grammar import FaceState, face_grammar
from polygen.models.vertex_grammar import VertexState, vertex_grammar
from polygen.tokens import STOP


def padded(sequences):
  """int32 [B, T], 0 behind each."""
  tokens = np.zeros([len(sequences), max(map(len, sequences))], np.int32)
  for row, sequence in zip(tokens, sequences):
    row[:len(sequence)] = sequence
  return tokens


@functools.lru_cache(maxsize=None)
def evaluator(make_grammar, *arguments):
  """function (tokens, *inputs) -> `legal_along` of a grammar, in a graph built once.

  make_grammar: function (tokens, *arguments) -> (Grammar, placeholders of the inputs).
  """
  with tf.Graph().as_default():
    tokens = tf.placeholder(tf.int32, [None, None])
    grammar, placeholders = make_grammar(tokens, *arguments)
    legal, session = legal_along(grammar, tokens, STOP), tf.Session()
  return lambda *values: session.run(legal, dict(zip([tokens] + placeholders, values)))


def grammar_of_vertices(tokens, bits, steps):
  return vertex_grammar(tf.shape(tokens)[0], bits, steps), []


def grammar_of_faces(unused_tokens, steps):
  mask = tf.placeholder(tf.float32, [None, None])
  return face_grammar(mask, steps), [mask]


def legal_vertices(sequences, bits, steps=None):
  return evaluator(grammar_of_vertices, bits, steps)(padded(sequences))


def legal_faces(sequences, num_vertices, steps=None, room=0):
  """num_vertices: of all sequences, or of each; room: padded vertices."""
  counts = np.broadcast_to(num_vertices, len(sequences))
  mask = np.arange(max(counts) + room)[None] < counts[:, None]
  return evaluator(grammar_of_faces, steps)(padded(sequences), mask)


def check_against_all(sequences, legal, up_to=None):
  """At every place of every sequence exactly those tokens are legal that continue one of them."""
  following = naive_grammar.continuations(sequences)
  assert len(following) > 3
  for sequence, row in zip(sequences, legal):
    for place in range(len(sequence) if up_to is None else min(up_to, len(sequence))):
      assert set(np.flatnonzero(row[place])) == following[tuple(sequence[:place])]
    assert (row[len(sequence):, 0]).all() and not row[len(sequence):, 1:].any()


@pytest.mark.parametrize('bits, most', [(1, 3), (1, 5), (1, 8), (1, 9)])
def test_vertex_masks_allow_all_sequences_and_no_others(bits, most):
  sequences = list(naive_grammar.vertex_sequences(bits, most))
  check_against_all(sequences, legal_vertices(sequences, bits, 3 * most + 1))


def test_without_a_limit_all_vertex_sequences_may_go_on():
  sequences = list(naive_grammar.vertex_sequences(1, 8))
  check_against_all(sequences, legal_vertices(sequences, 1))


@pytest.mark.parametrize('num_vertices, steps', [
    (3, 4), (3, 8), (3, 11), (4, 5), (4, 8), (4, 9), (4, 12), (5, 6), (5, 7), (5, 8)])
def test_face_masks_allow_all_sequences_and_no_others(num_vertices, steps):
  sequences = list(naive_grammar.face_sequences(num_vertices, steps))
  check_against_all(sequences, legal_faces(sequences, num_vertices, steps))


def test_without_a_limit_all_face_sequences_may_go_on():
  sequences = list(naive_grammar.face_sequences(4, 12))
  # Every sequence that is not over by then has a finish among these.
  check_against_all(sequences, legal_faces(sequences, 4), up_to=12 - 5)


def test_a_limit_that_allows_no_finish_forbids_nothing():
  sequences = list(naive_grammar.face_sequences(5, 8))
  np.testing.assert_array_equal(legal_faces(sequences, 5, steps=5), legal_faces(sequences, 5))
  # Two vertices are no mesh, so that the last token cannot be STOP.
  sequences = list(naive_grammar.vertex_sequences(1, 2 + 1))
  np.testing.assert_array_equal(legal_vertices(sequences, 1, steps=7)[:, :7],
                                legal_vertices(sequences, 1)[:, :7])


@pytest.mark.parametrize('num_vertices', [0, 1, 2])
def test_too_few_vertices_have_no_faces(num_vertices):
  legal = legal_faces([[STOP]], num_vertices, steps=9, room=3)
  assert legal[0].tolist() == [[True] + [False] * (num_vertices + 4)]


def walk(legal_tokens, seed, most):
  """A random legal sequence of up to `most` tokens."""
  rng, tokens = np.random.default_rng(seed), []
  while len(tokens) < most and (not tokens or tokens[-1] != STOP):
    legal = sorted(legal_tokens(tokens))
    if len(legal) > 1 and rng.random() < 0.9:
      legal = [token for token in legal if token != STOP]  # else sequences are short
    tokens.append(int(rng.choice(legal)))
  return tokens


def as_sets(legal):
  return [set(np.flatnonzero(place)) for place in legal]


@pytest.mark.parametrize('bits', [2, 3])
@pytest.mark.parametrize('most', [2, 3, 6])
def test_vertex_masks_are_those_of_the_twin(bits, most):
  def legal_tokens(tokens):
    return naive_grammar.legal_vertex_tokens(tokens, bits, 3 * most + 1)

  sequences = [walk(legal_tokens, seed, 3 * most + 1) for seed in range(20)]
  assert len(set(map(tuple, sequences))) > 10
  for sequence, legal in zip(sequences, legal_vertices(sequences, bits, 3 * most + 1)):
    assert as_sets(legal[:len(sequence)]) == [
        legal_tokens(sequence[:place]) for place in range(len(sequence))]


@pytest.mark.parametrize('num_vertices, steps, room', [
    (3, None, 0), (3, 40, 2), (6, None, 1), (6, 9, 0), (8, 9, 0), (9, 9, 3), (12, 15, 1),
    (12, 40, 0)])
def test_face_masks_are_those_of_the_twin(num_vertices, steps, room):
  def legal_tokens(tokens):
    return naive_grammar.legal_face_tokens(tokens, num_vertices, steps)

  sequences = [walk(legal_tokens, seed, steps or 40) for seed in range(20)]
  assert len(set(map(tuple, sequences))) > 10
  masks = legal_faces(sequences, num_vertices, steps, room)
  assert masks.shape[2] == num_vertices + room + 2
  for sequence, legal in zip(sequences, masks):
    assert as_sets(legal[:len(sequence)]) == [
        legal_tokens(sequence[:place]) for place in range(len(sequence))]


@settings(max_examples=25, deadline=None)
@given(strategies.processed_sets())
def test_every_processed_mesh_is_legal(meshes_and_labels):
  meshes, _ = meshes_and_labels
  check_meshes(meshes)


@pytest.mark.parametrize('bits', [4, 6, 8])
def test_the_four_meshes_are_legal(bits):
  meshes = data.load_mesh_set(quantization_bits=bits).meshes
  assert len(meshes) == 4
  check_meshes(meshes, bits)


def check_meshes(meshes, bits=8):
  vertices = [data.flatten_vertices(mesh['vertices']) for mesh in meshes]
  faces = [mesh['faces'] for mesh in meshes]
  for sequences, legal in (
      (vertices, legal_vertices(vertices, bits)),
      (faces, legal_faces(faces, [len(mesh['vertices']) for mesh in meshes]))):
    for sequence, row in zip(sequences, legal):
      assert row[np.arange(len(sequence)), sequence].all()


class Explorer:
  """Runs a grammar on any states, one row each.

  A state is an int32 [N, K] array; `shapes` are those of the grammar's tensors without the rows.
  """

  def __init__(self, make_grammar, kind, shapes):
    with tf.Graph().as_default() as graph:
      parts = kind(*(tf.placeholder(tf.int32, [None] + shape) for shape in shapes))
      self.sizes = [int(np.prod(shape)) for shape in shapes]
      self.shapes, self.parts = shapes, parts
      self.index, self.tokens = tf.placeholder(tf.int32, []), tf.placeholder(tf.int32, [None])
      grammar = make_grammar(tf.shape(parts[0])[0])
      self.legal_mask = grammar.legal(parts, self.index)
      self.advanced = grammar.advance(parts, self.tokens, self.index)
      start = kind(*(np.zeros([1] + shape) for shape in shapes))
      self.session = tf.Session(graph=graph)
      self.start = self.flat(self.session.run(grammar.start, self.feed(self.flat(start))))

  def flat(self, parts):
    columns = [np.reshape(part, [len(part), size]) for part, size in zip(parts, self.sizes)]
    return np.concatenate(columns, axis=1).astype(np.int32)

  def feed(self, states, index=0):
    columns = np.split(states, np.cumsum(self.sizes)[:-1], axis=1)
    feed = {placeholder: column.reshape([len(states)] + shape)
            for placeholder, column, shape in zip(self.parts, columns, self.shapes)}
    feed[self.index] = index
    return feed

  def legal(self, states, index):
    """bool [N, tokens]."""
    return self.session.run(self.legal_mask, self.feed(states, index))

  def after(self, states, tokens, index):
    """The states after a token of each."""
    feed = self.feed(states, index)
    feed[self.tokens] = tokens
    return self.flat(self.session.run(self.advanced, feed))

  def successors(self, states, index):
    """(numbers of states, states after each of their legal tokens but STOP, legal mask)."""
    legal = self.legal(states, index)
    rows, tokens = np.nonzero(legal[:, 1:])
    return rows, self.after(states[rows], tokens + 1, index), legal


def vertex_explorer(bits, steps=None):
  return Explorer(lambda batch: vertex_grammar(batch, bits, steps), VertexState, [[3], [3]])


def without_the_undrawn(states, axis):
  """Vertex states of which the next coordinate is `axis`: what is not drawn yet becomes 0."""
  states = np.array(states)
  states[:, 3 + axis:] = 0
  return states


def check_vertex_states(bits):
  """Walks through all states; triples rise, so whatever may always go on ends."""
  explorer, num_states = vertex_explorer(bits), 0
  waiting = {0: explorer.start}
  seen = [np.zeros([0, 6], np.int32)] * 3
  while waiting:
    index, states = sorted(waiting.items())[0]
    del waiting[index]
    axis = index % 3
    if index >= 9:  # from the fourth vertex on the rules are the same
      index = 9 + axis
      states = new_rows(states, seen[axis])
      seen[axis] = np.concatenate([seen[axis], states])
    if not len(states):
      continue
    num_states += len(states)
    _, after, legal = explorer.successors(states, index)
    assert legal.any(axis=1).all()
    assert (legal[:, STOP] == (index >= 9 and axis == 0)).all()
    after = without_the_undrawn(after, (axis + 1) % 3)
    following = index + 1 if index < 11 else 9
    waiting[following] = different(np.concatenate([after, waiting.get(following, after[:0])]))
  return num_states


def different(rows):
  """The different rows of an array, sorted; of none on numpy 1.18, too."""
  return np.unique(rows, axis=0) if len(rows) else rows


def new_rows(states, seen):
  """The rows of `states` (different from each other) that are not in `seen`."""
  _, first, counts = np.unique(
      np.concatenate([seen, states]), axis=0, return_index=True, return_counts=True)
  return states[first[(counts == 1) & (first >= len(seen))] - len(seen)]


def face_explorer(num_vertices, steps=None):
  return Explorer(lambda batch: face_grammar(tf.ones([batch, num_vertices]), steps), FaceState,
                  [[num_vertices], [], [], []])


def renumbered(states, num_vertices):
  """Face states with 2 for the open face and 1 for all others: what the rules look at."""
  states = np.array(states)
  last_face, face = states[:, :num_vertices], states[:, num_vertices:num_vertices + 1]
  last_face[:] = np.where(last_face == face, 2, np.minimum(last_face, 1))
  face[:] = 2
  return states


def check_face_states(num_vertices):
  """Finds all states, and that a STOP can be reached from each."""
  explorer = face_explorer(num_vertices)
  numbers, states, edges, ends = {}, [], [], []

  def number_of(state):
    if state.tobytes() not in numbers:
      numbers[state.tobytes()] = len(numbers)
      states.append(state)
    return numbers[state.tobytes()]

  number_of(renumbered(explorer.start, num_vertices)[0])
  done = 0
  while done < len(states):
    batch = np.stack(states[done:])
    rows, after, legal = explorer.successors(batch, 0)
    assert legal.any(axis=1).all()
    ends += (np.flatnonzero(legal[:, STOP]) + done).tolist()
    edges += [(row + done, number_of(state))
              for row, state in zip(rows.tolist(), renumbered(after, num_vertices))]
    done += len(batch)
  able = np.zeros(len(states), bool)
  able[ends] = True
  sources, targets = np.array(edges).T
  for _ in states:
    before = able.sum()
    able[sources[able[targets]]] = True
    if able.sum() == before:
      break
  assert ends and able.all()
  return len(states)


def check_budget(num_vertices, steps):
  """Walks through all states under a limit: all that is drawn has ended by then."""
  explorer = face_explorer(num_vertices, steps)
  states, ended = explorer.start, 0
  for index in range(steps):
    _, after, legal = explorer.successors(states, index)
    assert legal.any(axis=1).all()
    ended += legal[:, STOP].sum()
    states = different(renumbered(after, num_vertices))
  assert ended and not len(states)


@pytest.mark.parametrize('bits', [1, 2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_no_vertex_state_is_a_dead_end(bits):
  num_states = check_vertex_states(bits)
  print('{} bits: {} states of the vertex grammar, no dead end'.format(bits, num_states))
  assert num_states > 2 ** (3 * bits)


@pytest.mark.parametrize('num_vertices', range(3, 9))
def test_a_finish_can_be_reached_from_every_face_state(num_vertices):
  num_states = check_face_states(num_vertices)
  print('{} vertices: {} states of the face grammar, STOP within reach of all'.format(
      num_vertices, num_states))
  assert num_states > 2 ** num_vertices


@pytest.mark.parametrize('num_vertices', range(3, 9))
@pytest.mark.parametrize('more', [1, 2, 9])
def test_everything_drawn_under_a_limit_ends_in_time(num_vertices, more):
  check_budget(num_vertices, num_vertices + more)
