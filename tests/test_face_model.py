"""Laws of the face model on random variables: its call, and cached sampling against the call."""
import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import model_cases
import naive_sampling
from model_cases import (
    CLOSE, DRAWINGS, MAX_FACE_TOKENS, NUM_SAMPLES, NUM_VERTICES, SHALLOW, TINY)


@pytest.fixture(params=model_cases.FACE_CASES)
def case(request):
  return model_cases.case(request.param)


@pytest.fixture(scope='module')
def batch():
  return model_cases.face_batch(3, NUM_VERTICES, 10)


def real_tokens(batch):
  """bool [B, V + 2]: the two special tokens and the real vertices."""
  special = np.ones([len(batch['vertices_mask']), 2], bool)
  return np.concatenate([special, batch['vertices_mask'] > 0], axis=1)


def real_logits(logits, batch):
  """Those of real tokens, row by row."""
  return [row[:, real] for row, real in zip(logits, real_tokens(batch))]


def assert_close(rows, expected):
  assert rows and len(rows) == len(expected)
  for row, other in zip(rows, expected):
    np.testing.assert_allclose(row, other, **CLOSE)


def test_logits_are_varied_and_padded_vertices_impossible(case, batch):
  logits, log_prob = case.run([case.logits, case.log_prob], batch)
  assert logits.dtype == np.float32 and logits.shape == (3, 10, NUM_VERTICES + 2)
  for row in real_logits(logits, batch):
    assert row.std() > 0.5 and row.std(axis=0).min() > 0.1
  probabilities = np.exp(logits - logits.max(-1, keepdims=True))
  probabilities /= probabilities.sum(-1, keepdims=True)
  padded = ~real_tokens(batch)
  assert padded.any() and (probabilities.transpose(0, 2, 1)[padded] == 0).all()
  chosen = np.take_along_axis(probabilities, batch['faces'][..., None], axis=-1)[..., 0]
  np.testing.assert_allclose(log_prob, np.log(chosen), atol=1e-4)


def test_padding_changes_no_logit(case, batch):
  logits = case.run(case.logits, batch)
  wide = [[0, 0], [0, 3]]
  padded = dict(
      batch, vertices=np.pad(batch['vertices'], wide + [[0, 0]], 'constant', constant_values=0.3),
      vertices_mask=np.pad(batch['vertices_mask'], wide, 'constant'),
      faces=np.pad(batch['faces'], wide, 'constant', constant_values=1),
      faces_mask=np.pad(batch['faces_mask'], wide, 'constant'))
  padded['vertices'][batch_padding(batch, 3)] = -0.4
  padded_logits = case.run(case.logits, padded)[:, :logits.shape[1]]
  assert_close(real_logits(padded_logits, padded), real_logits(logits, batch))
  unmasked = case.run(case.logits, dict(batch, vertices_mask=np.ones_like(batch['vertices_mask'])))
  assert np.abs(unmasked - logits)[0, :, :NUM_VERTICES].max() > 1e-3


def batch_padding(batch, more):
  """bool [B, V + more]: the padded vertices."""
  return np.pad(batch['vertices_mask'] == 0, [[0, 0], [0, more]], 'constant', constant_values=True)


def test_rows_are_independent(case, batch):
  logits = case.run(case.logits, batch)
  order = [2, 0]
  others = {key: value[order] for key, value in batch.items()}
  assert_close(real_logits(case.run(case.logits, others), others),
               real_logits(logits[order], others))


def test_later_tokens_change_no_earlier_logit(case, batch):
  logits = case.run(case.logits, batch)
  changed = dict(batch, faces=batch['faces'].copy())
  changed['faces'][:, 6:] = 3
  others = case.run(case.logits, changed)
  np.testing.assert_allclose(others[:, :7], logits[:, :7], **CLOSE)
  assert np.abs(others - logits)[:, 7:].max() > 1e-2


def test_permuting_vertices_permutes_pointers(case, batch):
  order = np.array([3, 0, 4, 1, 2])
  token_of = np.concatenate([[0, 1], 2 + np.argsort(order)])
  permuted = dict(
      batch, vertices=batch['vertices'][:, order], vertices_mask=batch['vertices_mask'][:, order],
      faces=token_of[batch['faces']])
  assert (permuted['faces'] != batch['faces']).any()
  logits = case.run(case.logits, batch)[..., np.concatenate([[0, 1], 2 + order])]
  assert_close(real_logits(case.run(case.logits, permuted), permuted),
               real_logits(logits, permuted))


def test_cached_sampling_equals_uncached(case):
  noise = model_cases.philox(6, 0).random((NUM_SAMPLES, case.steps()), np.float32)
  noise[:5] = 0.8 + 0.2 * noise[:5]  # seldom STOP, the first token
  batch = model_cases.face_batch(NUM_SAMPLES, NUM_VERTICES, 8, seed=1)
  context = {key: batch[key] for key in ('vertices', 'vertices_mask', 'class_label')}
  decided, completions = [], []
  for drawing, outputs in zip(DRAWINGS, case.samples):
    outputs = case.run(outputs, context, noise=noise)
    rows, margins = case.generate(context, noise, drawing)
    for number, (tokens, margin) in enumerate(zip(rows, margins)):
      decided.append(margin > 1e-4)
      if not decided[-1]:
        continue
      faces, completed = naive_sampling.faces_of(tokens)
      completions.append(completed)
      assert outputs['completed'][number] == completed
      assert outputs['num_face_indices'][number] == len(faces)
      np.testing.assert_array_equal(
          outputs['faces'][number], faces + [0] * (MAX_FACE_TOKENS - len(faces)))
  assert np.mean(decided) >= 0.95
  assert 0.05 < np.mean(completions) < 0.95


def test_bad_configs_are_refused():
  assert model_cases.face_model(encoder_config=dataclasses.asdict(SHALLOW)).config == (
      model_cases.face_model().config)
  with pytest.raises(ValueError, match="unknown key 'layers'"):
    model_cases.face_model(decoder_config={'layers': 3})
  with pytest.raises(ValueError, match='hidden_size'):
    model_cases.face_model(decoder_config=dataclasses.replace(TINY, hidden_size=8))


def test_a_class_conditional_model_asks_for_labels(batch):
  model = model_cases.face_model(decoder_config=SHALLOW)
  batch = {key: value for key, value in batch.items() if key != 'class_label'}
  with tf.Graph().as_default():
    with pytest.raises(ValueError, match='class_label'):
      model(batch)
    with pytest.raises(ValueError, match='class_label'):
      model.sample(batch)


def test_ill_shaped_batches_are_refused():
  model = model_cases.face_model(class_conditional=False, decoder_config=SHALLOW)
  with tf.Graph().as_default():
    batch = model_cases.face_batch(1, 3, MAX_FACE_TOKENS)
    model(batch)
    with pytest.raises(ValueError, match='max_seq_length'):
      model(model_cases.face_batch(1, 3, MAX_FACE_TOKENS + 2))
    for key in ('vertices', 'vertices_mask', 'faces'):
      with pytest.raises(ValueError, match=key):
        model(dict(batch, **{key: batch[key][0]}))
    with pytest.raises(ValueError, match='vertices'):
      model(dict(batch, vertices=batch['vertices'][..., :2]))


def test_a_missing_vertices_mask_is_named(batch):
  model = model_cases.face_model(class_conditional=False, decoder_config=SHALLOW)
  batch = {key: value for key, value in batch.items() if key != 'vertices_mask'}
  with tf.Graph().as_default():
    for call in (model, model.sample):
      with pytest.raises(ValueError, match='no vertices_mask'):
        call(batch)
