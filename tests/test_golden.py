"""The models against numbers of DeepMind's implementation: logits, loss and greedy samples.

The cases are random weights on random tokens, computed in float32 on a CPU with TensorFlow 1.15.
"""
import json
import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import sessions
from polygen import checkpoint, models

CASES = sorted(path.parent for path in pathlib.Path(__file__).parent.glob('golden/*/config.json'))
GREEDY_LENGTH = {'VertexModel': 6, 'FaceModel': 14}


def load_case(path):
  arguments = json.loads((path / 'config.json').read_text())
  model_name = arguments.pop('model')
  arrays = dict(np.load(str(path / 'io.npz')))
  inputs = {key[len('in_'):]: value for key, value in arrays.items() if key.startswith('in_')}
  return model_name, getattr(models, model_name)(**arguments), inputs, arrays


def greedy_sample(model_name, model, inputs, compiled):
  options = {'max_sample_length': GREEDY_LENGTH[model_name], 'top_k': 1,
             'only_return_complete': False, 'compile_loop': compiled}
  if model_name == 'FaceModel':
    outputs = model.sample(inputs, **options)
    return {key: outputs[key] for key in ('completed', 'faces', 'num_face_indices')}
  count = len(inputs['vertices_flat'])
  outputs = model.sample(count, inputs, recenter_verts=False, **options)
  return {key: outputs[key] for key in ('completed', 'vertices', 'num_vertices', 'vertices_mask')}


def real_entries(model_name, inputs, shape):
  """Where logits [B, T, N] belong to a real vertex or a vertex token."""
  if model_name == 'VertexModel':
    return np.ones(shape, bool)
  special = np.ones([shape[0], 2], bool)
  real = np.concatenate([special, inputs['vertices_mask'] > 0], axis=1)
  return np.broadcast_to(real[:, None], shape)


def test_cases_are_there():
  assert len(CASES) == 5


@pytest.mark.parametrize('path', CASES, ids=lambda path: path.name)
def test_agrees_with_deepmind(path):
  model_name, model, inputs, expected = load_case(path)
  tokens = 'faces' if model_name == 'FaceModel' else 'vertices_flat'
  mask = inputs[tokens + '_mask']
  with tf.Graph().as_default(), sessions.session() as session:
    distribution = model(inputs)
    greedy = [greedy_sample(model_name, model, inputs, compiled) for compiled in (False, True)]
    checkpoint.restore_deepmind(session, model, str(path / 'model'))
    logits, log_prob, sampled = session.run(
        [distribution.logits, distribution.log_prob(inputs[tokens]), greedy])
  real = real_entries(model_name, inputs, logits.shape)
  assert real.any() and mask.sum() > 0
  np.testing.assert_allclose(logits[real], expected['out_logits'][real], atol=1e-4, rtol=0)
  np.testing.assert_allclose(log_prob[mask > 0], expected['out_log_prob'][mask > 0], atol=1e-4)
  np.testing.assert_allclose(-(log_prob * mask).sum(), expected['out_loss'], rtol=1e-5)
  probabilities = np.exp(logits - logits.max(-1, keepdims=True))
  assert (probabilities[~real] == 0).all()
  for outputs in sampled:
    for key, value in outputs.items():
      np.testing.assert_allclose(value, expected['out_greedy_' + key], atol=1e-6, err_msg=key)
