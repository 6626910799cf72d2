"""Decoding plainly, with a state that grows, compiled and without a cache: the same greedy tokens.

Where the two best logits differ by less than DECIDED, rounding may decide otherwise; rows in which
that happens are counted, not compared.
"""
import collections
import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import graph_nodes
import model_cases
import naive_sampling
import randomise
import sessions
from model_cases import NUM_CLASSES, SHALLOW
from polygen import sampling
from polygen.layers import caches, compilation, decoding, layouts, transformer
from polygen.layers.attention import LANES, KeyValues, attend
from polygen.layers.masks import bias_from_mask, filled_bias
from polygen.models import face, vertex
from polygen.tokens import STOP, vertex_sequence_length

DECIDED = 1e-4
GREEDY = {'top_k': 1, 'only_return_complete': False}
# (batch, most vertices) and (batch, vertices, most face tokens); the state grows every 5 steps.
VERTEX_SHAPES = [(1, 2), (3, 6)]
FACE_SHAPES = [(3, 5, 14)]
STATE_STEPS = 5


class Modes:
  """A model that draws in every way, in one graph.

  Attributes:
    drawn: {mode: decoding.Decoded}.
    layouts: of the weights of each mode.
    logits: of a whole call on `tokens` [B, S].
  """

  def __init__(self, module, batch, steps):
    """module: of the model, where it finds `decode`."""
    self.batch, self.steps = batch, steps
    with tf.Graph().as_default(), pytest.MonkeyPatch().context() as patch:
      decoded = []
      patch.setattr(module, 'decode',
                    lambda *arguments: decoded.append(decoding.decode(*arguments)) or decoded[-1])
      self.layouts = []
      patch.setattr(module, 'decoding_weights', self._recorded(module.decoding_weights))
      self.model = self.make(batch)
      self.model.build()
      self.variables = self.model.variables
      self.sample(compile_loop=False)
      patch.setattr(transformer, 'COLUMNS_HIDDEN_SIZE', 0)
      patch.setattr(decoding, 'STATE_STEPS', STATE_STEPS)
      patch.setattr(caches, 'LANES', 1)  # else so short a state would not grow
      self.sample(compile_loop=False)
      self.sample(compile_loop=True)
      self.drawn = dict(zip(('plain', 'grown', 'compiled'), decoded))
      self.tokens = tf.placeholder(tf.int32, [batch, steps])
      self.logits = self.call().logits
      self.session = sessions.session()
      self.session.run(tf.global_variables_initializer())

  def _recorded(self, decoding_weights):
    def record(*arguments):
      weights = decoding_weights(*arguments)
      self.layouts.append(weights.layout)
      return weights

    return record

  def randomise(self, seed, stop_shift):
    """Random weights, with STOP the more probable the greater `stop_shift`."""
    values = randomise.random_values(self.variables, seed)
    self.shift_stop(values, stop_shift)
    randomise.assign(self.session, self.variables, values)


class VertexModes(Modes):

  def __init__(self, batch, length):
    self.length = length
    super().__init__(vertex, batch, vertex_sequence_length(length))

  def make(self, batch):
    self.labels = {'class_label': tf.constant(np.arange(batch) % NUM_CLASSES, tf.int32)}
    return model_cases.vertex_model(class_conditional=True, max_num_input_verts=self.length)

  def sample(self, **options):
    self.model.sample(self.batch, self.labels, **GREEDY, **options)

  def call(self):
    return self.model(dict(self.labels, vertices_flat=self.tokens))

  def shift_stop(self, values, shift):
    values['vertex_model/project_to_logits/bias'][STOP] += shift


class FaceModes(Modes):

  def __init__(self, batch, num_vertices, length):
    self.context = model_cases.face_batch(batch, num_vertices, 1)
    super().__init__(face, batch, length)

  def make(self, batch):
    self.context = {key: tf.constant(self.context[key])
                    for key in ('vertices', 'vertices_mask', 'class_label')}
    return model_cases.face_model(decoder_config=SHALLOW, max_seq_length=self.steps)

  def sample(self, **options):
    self.model.sample(self.context, **GREEDY, **options)

  def call(self):
    return self.model(dict(self.context, faces=self.tokens))

  def shift_stop(self, values, shift):
    values['face_model/stopping_embeddings'][0, STOP] *= 1 + shift / 4


@pytest.fixture(scope='module')
def modes():
  """function (kind, shape) -> Modes, built once."""
  @functools.lru_cache(maxsize=None)
  def built(kind, shape):
    return kind(*shape)

  return built


def margins(logits):
  """[B, S]: the best logit less the second best."""
  ordered = np.sort(logits, axis=-1)
  return ordered[..., -1] - ordered[..., -2]


@pytest.mark.parametrize('kind, shape', [
    pytest.param(VertexModes, VERTEX_SHAPES[0], marks=pytest.mark.slow)] + [
        (VertexModes, shape) for shape in VERTEX_SHAPES[1:]] + [
            (FaceModes, shape) for shape in FACE_SHAPES])
def test_every_way_draws_the_same_greedy_tokens(modes, kind, shape):
  case, tally = modes(kind, shape), collections.Counter()
  # Compiled with columns; the golden cases are compiled with rows.
  assert case.layouts == [layouts.ROWS, layouts.ROWS, layouts.COLUMNS]

  @settings(max_examples=25, deadline=None)
  @given(st.integers(0, 10 ** 6), st.sampled_from([-6., 1., 2., 4.]))
  def compare_on_random_weights(seed, stop_shift):
    case.randomise(seed, stop_shift)
    compare(case, tally)

  compare_on_random_weights()
  assert tally['decided'] >= 0.95 * (tally['decided'] + tally['undecided']) > 50
  assert min(tally['stopped'], tally['cut off'], tally['rows']) > 3


def compare(case, tally):
  """Compares all ways on the present weights and counts what there was to compare."""
  drawn = case.session.run(case.drawn)
  plain = drawn.pop('plain')
  logits = case.session.run(case.logits, {case.tokens: plain.tokens})
  for row, tokens in enumerate(plain.tokens):
    count = tokens.tolist().index(STOP) + 1 if plain.stopped[row] else case.steps
    decided = margins(logits[row, :count]) > DECIDED
    tally['decided'] += decided.sum()
    tally['undecided'] += (~decided).sum()
    tally['stopped' if plain.stopped[row] else 'cut off'] += 1
    if not decided.all():
      continue
    tally['rows'] += 1
    # Without a cache: each token is the best of a whole call on those before it.
    np.testing.assert_array_equal(tokens[:count], logits[row, :count].argmax(-1))
    assert (tokens[count:] == STOP).all()
    for found in drawn.values():
      np.testing.assert_array_equal(found.tokens[row], tokens)
      assert found.stopped[row] == plain.stopped[row]


def test_the_twin_draws_the_same_tokens(modes):
  """The slow twin calls the model anew for every token, in Python."""
  case = modes(VertexModes, VERTEX_SHAPES[1])
  case.randomise(3, 0.)

  def next_logits(rows):
    tokens = np.zeros([case.batch, case.steps], np.int32)
    done = len(rows[0])
    tokens[:, :done] = rows
    return case.session.run(case.logits, {case.tokens: tokens})[:, done]

  rows, smallest = naive_sampling.generate(
      next_logits, np.full([case.batch, case.steps], 0.5), {'top_k': 1})
  assert min(smallest) > DECIDED
  tokens = case.session.run(case.drawn['compiled'].tokens)
  for row, drawn in zip(rows, tokens):
    assert drawn.tolist() == row + [STOP] * (case.steps - len(row))


@pytest.mark.parametrize('steps, lengths', [
    (1, [1]), (256, [256]), (257, [129, 257]), (1000, [250, 500, 750, 1000]),
    (4800, [400, 800, 1200, 1600, 2000, 2400, 2800, 3200, 3600, 4000, 4400, 4800])])
def test_room_grows_in_equal_parts(steps, lengths):
  assert decoding.room(steps) == lengths


@pytest.mark.parametrize('axis', [0, 1, 2])
@pytest.mark.parametrize('compile_it', [False, True])
def test_writing_at_an_index(axis, compile_it):
  x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
  update = -np.ones([1 if number == axis else size for number, size in enumerate(x.shape)])
  with tf.Graph().as_default(), sessions.session() as session:
    index = tf.placeholder(tf.int32, [])

    def write():
      return compilation.write_at(tf.constant(x), tf.constant(np.float32(update)), index, axis)

    written = compilation.compiled(write) if compile_it else write()
    assert written.shape.as_list() == [2, 3, 4]
    for place in range(x.shape[axis]):
      expected = np.array(x)
      expected[(slice(None),) * axis + (place,)] = -1
      np.testing.assert_array_equal(session.run(written, {index: place}), expected)


def test_a_plain_loop_writes_in_place():
  steps, shape = 5, [4, 300, 16]
  with tf.Graph().as_default(), sessions.session() as session:
    def step(index, cache):
      return index + 1, compilation.write_at(cache, tf.ones([4, 1, 16]), index, axis=1)

    _, cache = tf.while_loop(lambda index, unused_cache: index < steps, step,
                             (tf.constant(0), tf.random.uniform(shape)), parallel_iterations=1,
                             back_prop=False)
    metadata = tf.RunMetadata()
    written = session.run(cache, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE),
                          run_metadata=metadata)
  assert written.shape == tuple(shape)
  assert (written == 1).sum() == 4 * steps * 16
  writes = [node for device in metadata.step_stats.dev_stats for node in device.node_stats
            if any(name in node.timeline_label for name in ('ScatterUpdate(', 'SliceUpdate('))]
  assert len(writes) == steps
  for node in writes:
    assert sum(used.total_bytes for used in node.memory) < written.nbytes


@pytest.mark.parametrize('size', [1, LANES - 1, LANES, 3 * LANES + 1])
@pytest.mark.parametrize('biased', [False, True])
def test_compiled_attention_is_attention(size, biased):
  noise = model_cases.philox(size, biased)
  q = noise.standard_normal([2, 3, 1, 4]).astype(np.float32)
  keys, values = noise.standard_normal([2, 2, 3, size, 4]).astype(np.float32)
  mask = np.arange(size) % 3 == 0
  with tf.Graph().as_default(), sessions.session() as session:
    bias = bias_from_mask(mask)[None, None, None] if biased else None

    def attended():
      return attend(tf.constant(q), KeyValues(tf.constant(keys), tf.constant(values)), bias)

    plain, compiled = session.run([attended(), compilation.compiled(attended)])
  assert np.abs(plain).max() > 0.1
  np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)


def test_masks_leave_compiled_scores_as_exact_as_they_were():
  """1 - mask times a large number, reordered by the compiler, cost the third decimal."""
  size = 24
  noise = model_cases.philox(size, 0)
  q = noise.standard_normal([2, 3, 1, 4]).astype(np.float32)
  keys, values = noise.standard_normal([2, 2, 3, size, 4]).astype(np.float32)
  with tf.Graph().as_default(), sessions.session() as session:
    filled = tf.placeholder(tf.int32, [])

    def attended():
      return attend(tf.constant(q), KeyValues(tf.constant(keys), tf.constant(values)),
                    filled_bias(filled, size))

    both = [attended(), compilation.compiled(attended)]
    for index in (0, 7, size - 1):
      plain, compiled = session.run(both, {filled: index})
      assert np.abs(plain).max() > 0.1
      np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('compile_loops', [False, True])
def test_a_sampler_compiles_the_loops_of_both_models_if_told(monkeypatch, compile_loops):
  compilations = []
  monkeypatch.setattr(decoding, 'compiled',
                      lambda function: compilations.append(1) or compilation.compiled(function))
  with tf.Graph().as_default():
    models = (model_cases.vertex_model(decoder_config=SHALLOW),
              model_cases.face_model(decoder_config=SHALLOW))
    sampling.Sampler(models, 2, compile_loops=compile_loops)
  assert len(compilations) == 2 * compile_loops


@pytest.mark.parametrize('compile_loops', [False, True])
def test_a_sampler_adds_nothing_to_its_graph(compile_loops):
  with tf.Graph().as_default() as graph, sessions.session() as session:
    models = (model_cases.vertex_model(decoder_config=SHALLOW, max_num_input_verts=2),
              model_cases.face_model(decoder_config=SHALLOW, max_seq_length=4))
    sampler = sampling.Sampler(models, 2, compile_loops=compile_loops)
    session.run(tf.global_variables_initializer())
    operations = len(graph.get_operations())
    for seed in range(100):
      assert len(list(sampler.sample(session, 3, seed))) == 3
    assert len(graph.get_operations()) == operations


def test_a_compiled_loop_needs_a_static_batch():
  with tf.Graph().as_default():
    model = model_cases.vertex_model(decoder_config=SHALLOW)
    with pytest.raises(ValueError, match='static batch size'):
      model.sample(tf.placeholder(tf.int32, []), compile_loop=True)


def test_a_loop_of_fixed_length_has_common_operations_alone():
  found = {}
  for fixed_length in (False, True):
    with tf.Graph().as_default() as graph:
      model_cases.vertex_model().sample(2, top_p=0.9, fixed_length=fixed_length)
    found[fixed_length] = {node.op for node in graph_nodes.all_nodes(graph)}
  assert 'TensorScatterUpdate' in found[True] and 'TopKV2' in found[False]
  assert not {'TensorStridedSliceUpdate', 'TopKV2'} & found[True]
