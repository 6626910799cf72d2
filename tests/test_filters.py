"""Temperature, top-k, top-p and drawing, against slow twins."""
import itertools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import naive_sampling
import sessions
from polygen.layers.compilation import common_operations, compiled
from polygen.layers.filters import (
    CUMULATIVE_BLOCK, THRESHOLDS, draw, filter_logits, highest, nucleus)
from polygen.layers.masks import MASKED

NUM_TOKENS = 6
ROWS = 3
TOP_K = (0, 1, 2, 4, 9)
TOP_P = (1., 0.9, 0.4, 1e-6)
ALMOST_ONE = np.nextafter(np.float32(1), np.float32(0))
LAWS = settings(max_examples=20, deadline=None)


@st.composite
def logit_rows(draw_value, rows=ROWS):
  """float32 [rows, NUM_TOKENS]: multiples of 1/4 with ties; some tokens forbidden, never all."""
  shape = (rows, NUM_TOKENS)
  steps = draw_value(hnp.arrays(np.int32, shape, elements=st.one_of(
      st.integers(-2, 2), st.integers(-40, 40))))
  forbidden = draw_value(hnp.arrays(np.bool_, shape))
  forbidden[np.arange(rows), draw_value(hnp.arrays(
      np.int32, rows, elements=st.integers(0, NUM_TOKENS - 1)))] = False
  return (steps / 4 + forbidden * MASKED).astype(np.float32)


TEMPERATURES = st.sampled_from([0.1, 0.5, 0.7, 1., 3.])


class Filters:
  """The filters of every (top_k, top_p), and drawing, in one graph."""

  def __init__(self):
    with tf.Graph().as_default() as graph:
      self.logits = tf.placeholder(tf.float32, [None, NUM_TOKENS])
      self.any_size = tf.placeholder(tf.float32, [None, None])
      self.temperature = tf.placeholder(tf.float32, [])
      self.uniform = tf.placeholder(tf.float32, [None])
      settings_ = list(itertools.product(TOP_K, TOP_P))
      self.filtered = {
          (top_k, top_p): filter_logits(self.logits, self.temperature, top_k, top_p)
          for top_k, top_p in settings_}
      self.filtered_any_size = filter_logits(self.any_size, self.temperature, 4, 0.9)
      self.drawn = draw(filter_logits(self.logits), self.uniform)
      self.drawn_filtered = {
          key: draw(logits, self.uniform) for key, logits in self.filtered.items()}
      self.highest = [highest(self.logits, count) for count in range(1, NUM_TOKENS + 1)]
    self.session = tf.Session(graph=graph)

  def filter(self, logits, temperature):
    return self.session.run(
        self.filtered, {self.logits: logits, self.temperature: temperature})

  def draw(self, logits, uniform):
    return self.session.run(self.drawn, {self.logits: logits, self.uniform: uniform})


@pytest.fixture(scope='module')
def filters():
  return Filters()


def allowed(logits):
  return logits > MASKED / 2


@LAWS
@given(logit_rows(), TEMPERATURES)
def test_filters_agree_with_their_twin(filters, logits, temperature):
  for (top_k, top_p), filtered in filters.filter(logits, temperature).items():
    for row, result in zip(logits, filtered):
      tokens, probabilities, margin = naive_sampling.kept_tokens(
          row, temperature, top_k, top_p)
      if margin < 1e-5:
        continue
      assert set(np.flatnonzero(allowed(result))) == set(tokens), (top_k, top_p)
      weights = np.exp(np.float64(result))
      np.testing.assert_allclose(weights[tokens] / weights.sum(), probabilities, atol=1e-6)


@LAWS
@given(logit_rows(), TEMPERATURES)
def test_top_k_keeps_exactly_k_and_never_none(filters, logits, temperature):
  legal = allowed(logits)
  for (top_k, top_p), filtered in filters.filter(logits, temperature).items():
    kept = allowed(filtered)
    assert not (kept & ~legal).any()
    assert kept.any(-1).all()
    if top_p == 1:
      expected = np.minimum(top_k or NUM_TOKENS, legal.sum(-1))
      np.testing.assert_array_equal(kept.sum(-1), expected)
    if top_k == 1 or top_p == 1e-6:
      best = np.where(legal, logits, -np.inf)
      np.testing.assert_array_equal(kept.argmax(-1), best.argmax(-1))
      if top_k == 1:
        np.testing.assert_array_equal(kept.sum(-1), 1)
      elif not top_k:
        np.testing.assert_array_equal(kept, best == best.max(-1, keepdims=True))


@LAWS
@given(logit_rows(), TEMPERATURES)
def test_filters_act_on_each_row_alone(filters, logits, temperature):
  together = filters.filter(logits, temperature)
  for number in range(ROWS):
    alone = filters.filter(logits[number:number + 1], temperature)
    for key, filtered in alone.items():
      np.testing.assert_array_equal(filtered[0], together[key][number])


@LAWS
@given(logit_rows(), TEMPERATURES)
def test_filters_need_no_static_number_of_tokens(filters, logits, temperature):
  filtered = filters.session.run(
      filters.filtered_any_size, {filters.any_size: logits, filters.temperature: temperature})
  np.testing.assert_array_equal(filtered, filters.filter(logits, temperature)[4, 0.9])


@LAWS
@given(logit_rows())
def test_highest_are_the_first_of_a_stable_sort(filters, logits):
  order = np.argsort(-logits, axis=-1, kind='stable')
  for count, result in enumerate(filters.session.run(filters.highest, {filters.logits: logits}), 1):
    for row, tokens in zip(result, order):
      assert set(np.flatnonzero(row)) == set(tokens[:count])


@LAWS
@given(logit_rows(), st.one_of(st.sampled_from([0., float(ALMOST_ONE)]),
                               st.floats(0, float(ALMOST_ONE), width=32)))
def test_draw_is_the_inverse_of_the_cumulative_distribution(filters, logits, uniform):
  tokens = filters.draw(logits, np.full(ROWS, uniform, np.float32))
  for row, token in zip(logits, tokens):
    assert allowed(row)[token]
    choice = naive_sampling.choose(row, uniform)
    if choice.margin > 1e-6:
      assert token == choice.token


@LAWS
@given(logit_rows(), TEMPERATURES, st.sampled_from([0., 0.5, float(ALMOST_ONE)]))
def test_draw_gives_only_kept_tokens(filters, logits, temperature, uniform):
  feed = {filters.logits: logits, filters.temperature: temperature,
          filters.uniform: np.full(ROWS, uniform, np.float32)}
  kept, drawn = filters.session.run([filters.filtered, filters.drawn_filtered], feed)
  for key, tokens in drawn.items():
    assert allowed(kept[key])[np.arange(ROWS), tokens].all()
    if key[0] == 1:
      best = np.where(allowed(logits), logits, -np.inf).argmax(-1)
      np.testing.assert_array_equal(tokens, best)


def test_draw_never_gives_a_token_of_underflowing_probability(filters):
  logits = np.array([[-200, 0, -200, 0, -200, -200]], np.float32)
  uniforms = np.array([0, 0.4999, 0.5001, ALMOST_ONE], np.float32)
  tokens = filters.draw(np.repeat(logits, 4, axis=0), uniforms)
  np.testing.assert_array_equal(tokens, [1, 1, 3, 3])


@settings(max_examples=10, deadline=None)
@given(logit_rows(rows=1))
def test_frequencies_follow_probabilities(filters, logits):
  count = 2000
  uniforms = (np.arange(count) + 0.5).astype(np.float32) / count
  tokens = filters.draw(np.repeat(logits, count, axis=0), uniforms)
  weights = np.exp(np.float64(logits[0]) - logits.max())
  frequencies = np.bincount(tokens, minlength=NUM_TOKENS) / count
  np.testing.assert_allclose(frequencies, weights / weights.sum(), atol=2 / count)


@pytest.mark.parametrize('top_p', [0.95, 0.9999])
def test_every_way_to_the_nucleus_is_as_exact_as_floats_allow(top_p):
  rows, num_tokens = 300, 2803
  logits = 3 * np.random.Generator(np.random.Philox(0)).standard_normal([rows, num_tokens])
  logits = (logits - logits.max(axis=1, keepdims=True)).astype(np.float32)
  weights = np.sort(np.exp(np.float64(logits)), axis=1)[:, ::-1]
  sizes = 1 + (weights.cumsum(axis=1) < top_p * weights.sum(axis=1, keepdims=True)).sum(axis=1)
  # Tokens within a millionth of the best one's weight count as equal.
  last = np.floor(weights[np.arange(rows), sizes - 1] * THRESHOLDS) / THRESHOLDS
  expected = (weights >= last[:, None]).sum(axis=1)
  assert 100 < expected.mean() < num_tokens - 100
  with tf.Graph().as_default(), sessions.session() as session:
    def kept():
      return tf.reduce_sum(tf.cast(nucleus(tf.constant(logits), top_p), tf.int32), axis=1)

    with common_operations():
      common = kept()
    for found in session.run([kept(), common, compiled(kept)]):
      assert (found != expected).mean() < 0.02


@pytest.mark.parametrize('num_tokens', [1, CUMULATIVE_BLOCK, 5 * CUMULATIVE_BLOCK + 1])
def test_compiled_drawing_is_drawing(num_tokens):
  rows = 200
  noise = np.random.Generator(np.random.Philox(num_tokens))
  # Multiples of 1/4 have ties; one token in three is forbidden, in some rows the first.
  logits = (noise.integers(-12, 12, [rows, num_tokens]) / 4).astype(np.float32)
  logits[:, 2::3] += np.float32(MASKED)
  logits[::2, 0] += np.float32(MASKED) * (num_tokens > 1)
  uniform = noise.random(rows, np.float32)
  uniform[:20] = 0
  with tf.Graph().as_default(), sessions.session() as session:
    def drawn():
      kept = filter_logits(tf.constant(logits), top_p=0.9)
      return kept > MASKED / 2, draw(kept, tf.constant(uniform))

    (kept, tokens), (compiled_kept, compiled_tokens) = session.run([drawn(), compiled(drawn)])
  # A choice that hangs on rounding may differ, and which tokens it hangs on.
  decided = np.array([min(naive_sampling.kept_tokens(row, top_p=0.9)[2],
                          naive_sampling.choose(row, u, top_p=0.9).margin)
                      for row, u in zip(logits, uniform)]) > 1e-5
  assert decided.mean() > 0.95 and (num_tokens == 1 or len(np.unique(tokens)) > 5)
  assert (logits[np.arange(rows), compiled_tokens] > MASKED / 2).all()
  np.testing.assert_array_equal(compiled_kept[decided], kept[decided])
  np.testing.assert_array_equal(compiled_tokens[decided], tokens[decided])
