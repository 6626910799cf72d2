"""Small models with random weights, in graphs with placeholders of unknown sizes."""
import dataclasses
import functools

import numpy as np
import tensorflow.compat.v1 as tf

import naive_sampling
import randomise
from polygen.config import TransformerConfig
from polygen.models import FaceModel, VertexModel

TINY = TransformerConfig(hidden_size=16, fc_size=24, num_heads=2, num_layers=2, dropout_rate=0.3)
SHALLOW = dataclasses.replace(TINY, num_layers=1)
BITS = 4
NUM_CLASSES = 3
MAX_VERTICES = 6
MAX_FACE_TOKENS = 14
DRAWINGS = ({}, {'temperature': 1.5, 'top_k': 6, 'top_p': 0.8})
CLOSE = {'atol': 1e-5, 'rtol': 0}
NUM_SAMPLES = 20
NUM_VERTICES = 5


def variable_names():
  return [variable.op.name for variable in tf.global_variables()]


def philox(*key):
  return np.random.Generator(np.random.Philox(key=np.array(key, np.uint64)))


def vertex_model(**arguments):
  return VertexModel(**dict({
      'decoder_config': TINY, 'quantization_bits': BITS, 'num_classes': NUM_CLASSES,
      'max_num_input_verts': MAX_VERTICES}, **arguments))


def face_model(**arguments):
  return FaceModel(**dict({
      'encoder_config': SHALLOW, 'decoder_config': TINY, 'quantization_bits': BITS,
      'num_classes': NUM_CLASSES, 'max_seq_length': MAX_FACE_TOKENS}, **arguments))


def vertex_batch(batch, num_vertices, seed=0):
  """Random tokens, the first row ended by STOP earlier than the others, then padded with 0."""
  generator = philox(seed, 0)
  tokens = generator.integers(1, 2 ** BITS + 1, [batch, 3 * num_vertices + 1]).astype(np.int32)
  mask = np.ones(tokens.shape, np.float32)
  tokens[:, -1] = tokens[0, 4:] = mask[0, 5:] = 0
  return {'vertices_flat': tokens, 'vertices_flat_mask': mask,
          'class_label': np.arange(batch, dtype=np.int32) % NUM_CLASSES}


def face_batch(batch, num_vertices, length, seed=0):
  """Random vertices, the last of the first row padded, and random tokens of real vertices."""
  generator = philox(seed, 1)
  bins = generator.integers(0, 2 ** BITS, [batch, num_vertices, 3])
  faces = generator.integers(1, num_vertices + 2, [batch, length]).astype(np.int32)
  vertices_mask = np.ones([batch, num_vertices], np.float32)
  faces_mask = np.ones([batch, length], np.float32)
  faces[faces == num_vertices + 1] = 1
  faces[:, -1] = faces[0, 6:] = faces_mask[0, 7:] = vertices_mask[0, -1] = 0
  vertices = (bins / (2 ** BITS - 1) - 0.5) * vertices_mask[..., None]
  return {'vertices': vertices.astype(np.float32), 'vertices_mask': vertices_mask, 'faces': faces,
          'faces_mask': faces_mask, 'class_label': np.arange(batch, dtype=np.int32) % NUM_CLASSES}


def placeholders_of(batch):
  """Placeholders whose sizes are all unknown, but for the three coordinates."""
  def sizes(value):
    return [3 if axis == 2 else None for axis in range(value.ndim)]

  return {key: tf.placeholder(value.dtype, sizes(value), name=key)
          for key, value in batch.items()}


class Case:
  """One model in its graph: the call, its gradients, and a sample for every drawing."""

  def __init__(self, model, tokens_key, example, sample):
    """sample: function (model, batch of placeholders, noise, drawing) -> outputs."""
    self.model, self.tokens_key = model, tokens_key
    with tf.Graph().as_default() as self.graph:
      self.batch = placeholders_of(example)
      distribution = model(self.batch)
      self.logits = distribution.logits
      self.log_prob = distribution.log_prob(self.batch[tokens_key])
      self.after_call = variable_names()
      loss = tf.reduce_sum(self.log_prob * self.batch[tokens_key + '_mask'])
      self.gradients = {variable.op.name: tf.convert_to_tensor(gradient) for variable, gradient
                        in zip(model.variables, tf.gradients(loss, model.variables))}
      self.noise = tf.placeholder(tf.float32, [None, self.steps()])
      self.samples = [sample(model, self.batch, self.noise, drawing) for drawing in DRAWINGS]
      self.after_sample = variable_names()
      self.session = randomise.randomised_session(model.variables)

  def steps(self):
    if self.tokens_key == 'faces':
      return MAX_FACE_TOKENS
    return 3 * MAX_VERTICES + 1

  def run(self, tensors, batch, **more):
    feed = {self.batch[key]: value for key, value in batch.items()}
    feed.update({getattr(self, key): value for key, value in more.items()})
    return self.session.run(tensors, feed)

  def generate(self, batch, noise, drawing):
    """`naive_sampling.generate` with the logits of the whole call."""
    def next_logits(rows):
      not_yet_drawn = [[0]] * len(rows)
      tokens = np.concatenate([np.int32(rows).reshape(len(rows), -1), not_yet_drawn], axis=1)
      return self.run(self.logits, dict(batch, **{self.tokens_key: tokens}))[:, -1]

    return naive_sampling.generate(next_logits, noise, drawing)


def batch_of(case):
  """Three examples for a Case."""
  if case.tokens_key == 'faces':
    return face_batch(3, NUM_VERTICES, 10)
  return vertex_batch(3, 4)


def _sample_vertices(model, batch, noise, drawing):
  return model.sample(
      NUM_SAMPLES, {'class_label': batch['class_label']}, recenter_verts=False,
      only_return_complete=False, noise=noise, **drawing)


def _sample_faces(model, batch, noise, drawing):
  context = {key: batch[key] for key in ('vertices', 'vertices_mask', 'class_label')}
  return model.sample(context, only_return_complete=False, noise=noise, **drawing)


_MEMORY_EFFICIENT = dict(dataclasses.asdict(SHALLOW), memory_efficient=True)
_VERTEX_CASES = {
    'vertex_discrete_with_class': {'class_conditional': True},
    'vertex_continuous_memory_efficient': {
        'use_discrete_embeddings': False, 'decoder_config': _MEMORY_EFFICIENT},
}
_FACE_CASES = {
    'face_discrete_cross_with_class': {'class_conditional': True},
    'face_continuous_memory_efficient': {
        'class_conditional': False, 'decoder_cross_attention': False,
        'use_discrete_vertex_embeddings': False, 'encoder_config': _MEMORY_EFFICIENT,
        'decoder_config': _MEMORY_EFFICIENT},
}
VERTEX_CASES, FACE_CASES = sorted(_VERTEX_CASES), sorted(_FACE_CASES)


@functools.lru_cache(maxsize=None)
def case(name):
  """The Case of a name in VERTEX_CASES or FACE_CASES, built once for all test modules."""
  if name in _VERTEX_CASES:
    return Case(vertex_model(**_VERTEX_CASES[name]), 'vertices_flat', vertex_batch(1, 1),
                _sample_vertices)
  return Case(face_model(**_FACE_CASES[name]), 'faces', face_batch(1, 3, 8), _sample_faces)
