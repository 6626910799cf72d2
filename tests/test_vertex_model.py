"""Laws of the vertex model on random variables: its call, and cached sampling against the call."""
import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import model_cases
import naive_sampling
from model_cases import (
    BITS, CLOSE, DRAWINGS, MAX_VERTICES, NUM_CLASSES, NUM_SAMPLES, SHALLOW, TINY)


@pytest.fixture(params=model_cases.VERTEX_CASES)
def case(request):
  return model_cases.case(request.param)


@pytest.fixture(scope='module')
def batch():
  return model_cases.vertex_batch(3, 4)


def test_logits_are_varied_and_probabilities_sum_to_one(case, batch):
  logits, log_prob = case.run([case.logits, case.log_prob], batch)
  assert logits.dtype == np.float32 and logits.shape == (3, 13, 2 ** BITS + 1)
  assert logits.std() > 0.5 and logits.std(axis=(0, 1)).min() > 0.1
  log_sums = np.log(np.exp(np.float64(logits)).sum(-1))
  chosen = np.take_along_axis(logits, batch['vertices_flat'][..., None], axis=-1)[..., 0]
  np.testing.assert_allclose(log_prob, chosen - log_sums, atol=1e-5)


def test_later_tokens_and_padding_change_no_logit(case, batch):
  logits = case.run(case.logits, batch)
  tokens = np.pad(batch['vertices_flat'], [[0, 0], [0, 6]], 'constant', constant_values=9)
  padded = case.run(case.logits, dict(batch, vertices_flat=tokens))
  np.testing.assert_allclose(padded[:, :logits.shape[1]], logits, **CLOSE)


def test_rows_are_independent(case, batch):
  logits = case.run(case.logits, batch)
  order = [2, 0]
  others = case.run(case.logits, {key: value[order] for key, value in batch.items()})
  np.testing.assert_allclose(others, logits[order], **CLOSE)


def test_cached_sampling_equals_uncached(case):
  noise = model_cases.philox(5, 0).random((NUM_SAMPLES, case.steps()), np.float32)
  noise[:5] = 0.8 + 0.2 * noise[:5]  # seldom STOP, the first token
  noise[5:8, 4] = 0.  # STOP inside a vertex, if it may be drawn
  batch = {'class_label': np.arange(NUM_SAMPLES) % NUM_CLASSES}
  decided, completions = [], []
  for drawing, sample in zip(DRAWINGS, case.samples):
    outputs = case.run(sample, batch, noise=noise)
    rows, margins = case.generate(batch, noise, drawing)
    for number, (tokens, margin) in enumerate(zip(rows, margins)):
      decided.append(margin > 1e-4)
      if not decided[-1]:
        continue
      vertices, completed = naive_sampling.vertices_of(tokens, BITS)
      completions.append(completed)
      count = len(vertices)
      assert outputs['completed'][number] == completed
      assert outputs['num_vertices'][number] == count
      expected = np.zeros([MAX_VERTICES, 3])
      expected[:count] = np.reshape(vertices, [count, 3])
      np.testing.assert_allclose(outputs['vertices'][number], expected, atol=1e-6)
  assert np.mean(decided) >= 0.95
  assert 0.05 < np.mean(completions) < 0.95


def test_dict_and_dataclass_configs_are_one_model():
  models = [model_cases.vertex_model(decoder_config=config)
            for config in (TINY, dataclasses.asdict(TINY))]
  assert models[0].config == models[1].config


@pytest.mark.parametrize('arguments, message', [
    ({'decoder_config': {'hiden_size': 16}}, "unknown key 'hiden_size'"),
    ({'decoder_config': {'hidden_size': 16, 'num_heads': 3}}, 'num_heads'),
])
def test_bad_configs_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    model_cases.vertex_model(**arguments)


def test_a_class_conditional_model_asks_for_labels(batch):
  model = model_cases.vertex_model(class_conditional=True, decoder_config=SHALLOW)
  with tf.Graph().as_default():
    with pytest.raises(ValueError, match='class_label'):
      model({'vertices_flat': batch['vertices_flat']})
    for context in (None, {}):
      with pytest.raises(ValueError, match='class_label'):
        model.sample(2, context)


def test_too_long_sequences_are_refused():
  model = model_cases.vertex_model(decoder_config=SHALLOW)
  with tf.Graph().as_default():
    model(model_cases.vertex_batch(1, MAX_VERTICES))
    with pytest.raises(ValueError, match='max_num_input_verts'):
      model(model_cases.vertex_batch(1, MAX_VERTICES + 1))
    with pytest.raises(ValueError, match='vertices_flat'):
      model({'vertices_flat': np.zeros([4], np.int32)})
