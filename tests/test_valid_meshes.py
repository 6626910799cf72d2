"""Meshes of random, large weights under masks: all complete, all legal."""
import collections
import glob
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import model_cases
import naive_obj
import randomise
import sessions
from model_cases import SHALLOW
from polygen import sample_files, sampling
from polygen.config import SamplingConfig

# The published settings of a mesh but for its size.
MOST_VERTICES, FACE_TOKENS = 10, 40


class Models:
  """Both models, to be filled with random weights and drawn from."""

  def __init__(self, bits, most_vertices=MOST_VERTICES, face_tokens=FACE_TOKENS, mask_invalid=True,
               batch=50):
    with tf.Graph().as_default():
      models = (
          model_cases.vertex_model(
              decoder_config=SHALLOW, quantization_bits=bits, max_num_input_verts=most_vertices),
          model_cases.face_model(
              decoder_config=SHALLOW, quantization_bits=bits, max_seq_length=face_tokens,
              class_conditional=False))
      self.sampler = sampling.Sampler(
          models, batch, SamplingConfig(top_p=1., mask_invalid=mask_invalid))
      self.variables = [variable for model in models for variable in model.variables]
      self.session = sessions.session()

  def randomise(self, seed, scale):
    """Weights whose logits are near +-2 * scale."""
    values = randomise.random_values(self.variables, seed)
    for name in values:
      if 'project_to' in name:
        values[name] *= np.float32(scale)
    randomise.assign(self.session, self.variables, values)

  def samples(self, count, seed=0):
    return list(self.sampler.sample(self.session, count, seed))


def counts_of_files(samples, folder, bits):
  """Writes samples, reads their files and counts what is wrong with those of completed ones."""
  with sample_files.SampleFiles(str(folder), 0) as files:
    for drawn in samples:
      files.write(drawn)
  broken, names = collections.Counter(), sorted(glob.glob(os.path.join(str(folder), '*.obj')))
  assert len(names) == len(samples)
  by_index = sorted(samples, key=lambda drawn: drawn.index)
  for name, drawn in zip(names, by_index):
    if drawn.completed:
      broken.update(naive_obj.broken_rules(*naive_obj.read(name), bits=bits))
  return broken


@pytest.mark.parametrize('bits', [1, pytest.param(4, marks=pytest.mark.slow), 8])
def test_a_thousand_random_meshes_are_complete_and_legal(tmp_path, bits):
  models, samples = Models(bits), []
  for number in range(20):
    models.randomise(number, scale=(1, 30, 1e3, 1e5)[number % 4])
    samples += [drawn._replace(index=drawn.index + len(samples))
                for drawn in models.samples(50, seed=number)]
  assert len(samples) == 1000 and all(drawn.completed for drawn in samples)
  assert not counts_of_files(samples, tmp_path / 'files', bits)
  num_vertices = collections.Counter(len(drawn.vertices) for drawn in samples)
  num_faces = collections.Counter(len(drawn.faces) for drawn in samples)
  print('{} bits: 1000 of 1000 meshes completed, all legal; vertices {}, faces {}'.format(
      bits, sorted(num_vertices.items()), sorted(num_faces.items())))
  assert len(num_vertices) > 3 and len(num_faces) > 3
  assert len({drawn.vertices.tobytes() + drawn.face_tokens.tobytes() for drawn in samples}) > 100


def test_without_masks_hardly_any_is_legal(tmp_path):
  """So the check can fail."""
  models = Models(4, mask_invalid=False)
  models.randomise(0, 1)
  samples = models.samples(50)
  completed = sum(drawn.completed for drawn in samples)
  assert completed > 5
  assert len(counts_of_files(samples, tmp_path / 'files', 4)) > 3


@pytest.mark.parametrize('most_vertices, face_tokens', [(3, 4), (6, 7), (9, 10)])
def test_the_least_room_is_enough(tmp_path, most_vertices, face_tokens):
  models = Models(4, most_vertices, face_tokens)
  models.randomise(1, 1)
  samples = models.samples(50)
  assert all(drawn.completed for drawn in samples)
  assert not counts_of_files(samples, tmp_path / 'files', 4)


@pytest.mark.parametrize('most_vertices, face_tokens', [(2, 40), (10, 3)])
def test_without_room_nothing_completes_and_nothing_breaks(most_vertices, face_tokens):
  models = Models(4, most_vertices, face_tokens)
  models.randomise(1, 1)
  samples = models.samples(50)
  assert not any(drawn.completed for drawn in samples)
  assert {len(drawn.vertices) for drawn in samples} - {0}
  assert all(np.isfinite(drawn.vertices).all() for drawn in samples)


def probabilities(model, batch):
  """(probabilities, log-probabilities of the tokens) under masks, of random weights."""
  tokens = batch['vertices_flat' if 'vertices_flat' in batch else 'faces']
  with tf.Graph().as_default():
    distribution = model({key: tf.constant(value) for key, value in batch.items()},
                         mask_invalid=True)
    outputs = [tf.nn.softmax(distribution.logits), distribution.log_prob(tokens)]
    with randomise.randomised_session(model.variables) as session:
      return session.run(outputs)


def four_meshes():
  from polygen import data
  mesh_set = data.load_mesh_set()
  shape = data.padded_shape(mesh_set.meshes, 4)
  batch, = data.batches.evaluation_batches(mesh_set.meshes, mesh_set.labels, shape)
  return batch


@pytest.mark.parametrize('kind', ['vertex', 'face'])
def test_evaluation_under_masks(kind):
  """On the four meshes, padded: every token is possible, and nothing follows STOP but 0."""
  batch = four_meshes()[kind]
  model = (model_cases.vertex_model(quantization_bits=8, max_num_input_verts=64)
           if kind == 'vertex' else model_cases.face_model(
               quantization_bits=8, num_classes=4, max_seq_length=320))
  found, log_prob = probabilities(model, batch)
  tokens, mask = (batch[key] for key in (
      ('vertices_flat', 'vertices_flat_mask') if kind == 'vertex' else ('faces', 'faces_mask')))
  np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
  assert np.isfinite(log_prob).all() and (log_prob[mask > 0] > -100).all()
  assert (mask == 0).sum() > 100 and (tokens[mask == 0] == 0).all()
  assert (log_prob[mask == 0] == 0).all()
  np.testing.assert_allclose(np.take_along_axis(found, tokens[..., None], -1)[..., 0],
                             np.exp(log_prob), atol=1e-5)
  assert (found[mask > 0] == 0).any(axis=-1).mean() > 0.5


def test_compiled_loops_draw_the_same_faces_under_masks():
  """Of meshes of different sizes; STOP of the small ones does not disturb the others."""
  batch = four_meshes()['face']
  context = {key: batch[key][:, :12] for key in ('vertices', 'vertices_mask')}
  context['vertices_mask'] = np.float32(np.arange(12) < [[3], [2], [12], [8]])
  with tf.Graph().as_default():
    model = model_cases.face_model(class_conditional=False, quantization_bits=8, max_seq_length=20)
    outputs = [model.sample(context, seed=1, only_return_complete=False, mask_invalid=True,
                            compile_loop=compile_it) for compile_it in (False, True)]
    with randomise.randomised_session(model.variables) as session:
      plain, compiled = session.run(outputs)
  assert plain['completed'].tolist() == [True, False, True, True]
  np.testing.assert_array_equal(compiled['completed'], plain['completed'])
  np.testing.assert_array_equal(compiled['faces'], plain['faces'])
  assert plain['num_face_indices'].max() > 12 and plain['faces'][1].max() == 0


def test_packed_batches_are_not_masked():
  with tf.Graph().as_default():
    batch = dict(model_cases.vertex_batch(2, 3), packed_segments=np.ones([2, 10], np.int32),
                 packed_positions=np.zeros([2, 10], np.int32),
                 packed_windows=np.array([[0, 10]], np.int32))
    with pytest.raises(ValueError, match='packed'):
      model_cases.vertex_model()(batch, mask_invalid=True)
