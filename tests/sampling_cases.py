"""Several calls of each model's `sample` in one graph, and noise that decides where a row stops.

Under a uniform of 0 the first token, STOP, is drawn, under one near 1 another.
"""
import functools

import numpy as np
import tensorflow.compat.v1 as tf

import model_cases
import randomise
from model_cases import NUM_CLASSES, SHALLOW

NUM_SAMPLES = 7
SEED = 7
VERTEX_LENGTH = 4
VERTEX_STEPS = 3 * VERTEX_LENGTH + 1
FACE_STEPS = 6
# In the face case the vertices of rows 1 and 4 are incomplete; the others get faces.
CHAIN_STOPS = (9, None, 12, 9, None, 6, 12)
CHAIN_LABELS = np.arange(NUM_SAMPLES) % NUM_CLASSES
CHAIN_LOW = 0.98
ALMOST_ONE = np.nextafter(np.float32(1), np.float32(0))


def noise_of(stops, steps, low):
  """float32 [len(stops), steps]: 0 at each row's stop (None: nowhere), else between low and 1."""
  noise = low + (1 - low) * model_cases.philox(9, 9).random((len(stops), steps), np.float32)
  for row, stop in zip(noise, stops):
    if stop is not None:
      row[stop] = 0
  return np.minimum(noise, ALMOST_ONE)


class SamplingCase:
  """Outputs of `sample`: raw (all rows, of given noise), complete, seeded and fresh (no noise).

  Subclasses set the model, the placeholder `noise`, `sample`, `call` and `run`, and the name of
  what is `drawn`.
  """

  def build(self, models, **raw):
    """Calls `sample` in every way, then the last of the models in the graph.

    `raw` are options of all calls but `complete`.
    """
    self.raw = self.sample(noise=self.noise, only_return_complete=False, **raw)
    self.complete = self.sample(noise=self.noise)
    self.seeded = self.sample(seed=SEED, only_return_complete=False, **raw)
    self.fresh = self.sample(only_return_complete=False, **raw)
    self.build_more()
    self.after_sample = model_cases.variable_names()
    self.call()
    self.after_call = model_cases.variable_names()
    self.session = randomise.randomised_session(
        [variable for model in models for variable in model.variables])

  def build_more(self):
    """Further outputs."""


class VertexSampling(SamplingCase):
  """A class-conditional vertex model."""

  drawn = 'vertices'

  def __init__(self):
    self.model = model_cases.vertex_model(decoder_config=SHALLOW, class_conditional=True)
    self.labels = tf.placeholder(tf.int32, [None])
    self.noise = tf.placeholder(tf.float32, [NUM_SAMPLES, VERTEX_STEPS])
    self.build([self.model], recenter_verts=False)

  def sample(self, count=NUM_SAMPLES, **options):
    return self.model.sample(
        count, {'class_label': self.labels}, max_sample_length=VERTEX_LENGTH, **options)

  def build_more(self):
    self.recentred = self.sample(noise=self.noise, only_return_complete=False)
    self.few_seeded = self.sample(2, seed=SEED, only_return_complete=False, recenter_verts=False)

  def call(self):
    self.model(model_cases.vertex_batch(1, 2))

  def run(self, outputs, noise=None, labels=(1,)):
    feed = {self.labels: labels}
    if noise is not None:
      feed[self.noise] = noise
    return self.session.run(outputs, feed)


class FaceSampling(SamplingCase):
  """A face model, on the complete samples of a vertex model in the same graph."""

  drawn = 'faces'

  def __init__(self):
    self.vertex_model = model_cases.vertex_model(decoder_config=SHALLOW, class_conditional=True)
    self.model = model_cases.face_model(decoder_config=SHALLOW)
    self.labels = tf.placeholder(tf.int32, [None])
    self.vertex_noise = tf.placeholder(tf.float32, [NUM_SAMPLES, VERTEX_STEPS])
    self.noise = tf.placeholder(tf.float32, [None, None])
    self.vertices = self.vertex_model.sample(
        NUM_SAMPLES, {'class_label': self.labels}, VERTEX_LENGTH, noise=self.vertex_noise)
    self.build([self.vertex_model, self.model])

  def sample(self, **options):
    return self.model.sample(self.vertices, max_sample_length=FACE_STEPS, **options)

  def call(self):
    self.model(model_cases.face_batch(1, 3, 6))

  def run(self, outputs, noise=None, vertices=None):
    """vertices: to be fed instead of drawn."""
    feed = {self.labels: CHAIN_LABELS,
            self.vertex_noise: noise_of(CHAIN_STOPS, VERTEX_STEPS, CHAIN_LOW)}
    if vertices is not None:
      feed.update({self.vertices[key]: value for key, value in vertices.items()})
    if noise is not None:
      feed[self.noise] = noise
    return self.session.run(outputs, feed)


CASES = {'vertex': VertexSampling, 'face': FaceSampling}


@functools.lru_cache(maxsize=None)
def sampling_case(name):
  """The SamplingCase of a name in CASES, built once for all test modules."""
  with tf.Graph().as_default():
    return CASES[name]()
