"""What `FaceModel.sample` returns, its noise, and its chain with `VertexModel.sample`.

As in test_vertex_sampling.py a uniform of 0 draws STOP and one near 1 another token.
"""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import model_cases
import naive_sampling
import randomise
import sessions
from model_cases import MAX_FACE_TOKENS, NUM_CLASSES, SHALLOW
from polygen.layers.decoding import Decoded
from polygen.models.face import faces_from_tokens

NUM_VERTICES = 4
VERTEX_STEPS = 3 * NUM_VERTICES + 1
STEPS = 6
# Vertex rows 1 and 4 are incomplete, of the faces of the others the rows 0 and 2.
VERTEX_STOPS = (9, None, 12, 9, None, 6, 12)
FACE_STOPS = (None, 3, None, STEPS - 1, 0, 0, 4)
NUM_SAMPLES = len(VERTEX_STOPS)
LABELS = np.arange(NUM_SAMPLES) % NUM_CLASSES
KEYS = {'completed': np.bool_, 'faces': np.int32, 'num_face_indices': np.int32}
ALMOST_ONE = np.nextafter(np.float32(1), np.float32(0))


def noise_of(stops, steps):
  noise = 0.98 + 0.02 * model_cases.philox(8, 8).random((len(stops), steps), np.float32)
  for row, stop in zip(noise, stops):
    if stop is not None:
      row[stop] = 0
  return np.minimum(noise, ALMOST_ONE)


class Chain:
  """Complete vertex samples, and several calls of `FaceModel.sample` on them, in one graph."""

  def __init__(self):
    self.vertex_model = model_cases.vertex_model(decoder_config=SHALLOW, class_conditional=True)
    self.face_model = model_cases.face_model(decoder_config=SHALLOW)
    self.labels = tf.placeholder(tf.int32, [None])
    self.vertex_noise = tf.placeholder(tf.float32, [NUM_SAMPLES, VERTEX_STEPS])
    self.noise = tf.placeholder(tf.float32, [None, None])
    self.vertices = self.vertex_model.sample(
        NUM_SAMPLES, {'class_label': self.labels}, NUM_VERTICES, noise=self.vertex_noise)
    self.raw = self.sample(noise=self.noise, only_return_complete=False)
    self.complete = self.sample(noise=self.noise)
    self.seeded = self.sample(seed=7, only_return_complete=False)
    self.fresh = self.sample(only_return_complete=False)
    self.after_sample = model_cases.variable_names()
    self.face_model(model_cases.face_batch(1, 3, 6))
    self.after_call = model_cases.variable_names()
    self.session = randomise.randomised_session(
        self.vertex_model.variables + self.face_model.variables)

  def sample(self, **options):
    return self.face_model.sample(self.vertices, max_sample_length=STEPS, **options)

  def run(self, outputs, vertices=None, noise=None):
    """vertices: to be fed instead of drawn."""
    feed = {self.labels: LABELS, self.vertex_noise: noise_of(VERTEX_STOPS, VERTEX_STEPS)}
    if vertices is not None:
      feed.update({self.vertices[key]: value for key, value in vertices.items()})
    if noise is not None:
      feed[self.noise] = noise
    return self.session.run(outputs, feed)


@pytest.fixture(scope='module')
def chain():
  with tf.Graph().as_default():
    return Chain()


@pytest.fixture(scope='module')
def complete_vertices(chain):
  vertices = chain.run(chain.vertices)
  assert len(vertices['completed']) == 5 and vertices['completed'].all()
  assert len(np.unique(vertices['vertices'].reshape(-1, 3), axis=0)) > 5
  return vertices


def complete_face_stops():
  return [face for vertex, face in zip(VERTEX_STOPS, FACE_STOPS) if vertex is not None]


def test_vertex_samples_are_read_in_the_same_graph(chain, complete_vertices):
  noise = noise_of(complete_face_stops(), STEPS)
  outputs = chain.run(chain.raw, noise=noise)
  for key, value in complete_vertices.items():
    np.testing.assert_array_equal(outputs['context'][key], value)
  for key, dtype in KEYS.items():
    assert outputs[key].dtype == dtype
    assert outputs[key].shape == ((5, STEPS) if key == 'faces' else (5,))
  assert set(outputs) == set(KEYS) | {'context'}
  for row, stop in enumerate(complete_face_stops()):
    faces, count = outputs['faces'][row], outputs['num_face_indices'][row]
    assert outputs['completed'][row] == (stop is not None)
    assert count == stop + 1 if stop is not None else 1 <= count <= STEPS
    assert (faces[:count - 1] != 0).all() and (faces[count - 1:] == 0).all()
    assert faces.max() < 2 + complete_vertices['num_vertices'][row]


@pytest.mark.parametrize('stops', [complete_face_stops(), [None] * 5])
def test_only_complete_rows_may_be_asked_for(chain, complete_vertices, stops):
  everything, complete = chain.run(
      [chain.raw, chain.complete], noise=noise_of(stops, STEPS))
  kept = everything['completed']
  assert kept.sum() == sum(stop is not None for stop in stops)
  for key in KEYS:
    np.testing.assert_array_equal(complete[key], everything[key][kept])
  for key, value in complete_vertices.items():
    np.testing.assert_array_equal(complete['context'][key], value[kept])


@pytest.mark.parametrize('count', [0, 1, 3])
def test_fewer_rows_may_be_fed_than_were_sampled(chain, complete_vertices, count):
  few = {key: value[-count or len(value):] for key, value in complete_vertices.items()}
  noise = noise_of(complete_face_stops(), STEPS)
  everything = chain.run(chain.raw, noise=noise)
  for outputs in (chain.raw, chain.complete):
    result = chain.run(outputs, few, noise[-count or len(noise):])
    kept = np.arange(5) >= 5 - count
    if outputs is chain.complete:
      kept &= everything['completed']
    assert len(result['context']['vertices']) == kept.sum()
    for key in KEYS:
      np.testing.assert_array_equal(result[key], everything[key][kept])


def test_a_seed_and_an_index_decide_a_sample_at_any_batch_size(chain, complete_vertices):
  noise = [np.random.Generator(np.random.Philox(key=np.array([7, index], np.uint64),
                                                counter=np.array([0, 0, 0, 1], np.uint64)))
           .random(STEPS, dtype=np.float32) for index in range(5)]
  from_numpy, many = chain.run([chain.raw, chain.seeded], noise=noise)
  few = chain.run(chain.seeded, {key: value[:2] for key, value in complete_vertices.items()})
  assert len(np.unique(many['faces'], axis=0)) > 1
  for key in KEYS:
    np.testing.assert_array_equal(many[key], from_numpy[key])
    np.testing.assert_array_equal(few[key], many[key][:2])


def test_without_a_seed_every_run_differs(chain, complete_vertices):
  repeated = {key: np.repeat(value, 10, axis=0) for key, value in complete_vertices.items()}
  first, second = [chain.run(chain.fresh, repeated)['faces'] for _ in range(2)]
  assert (first != second).any()
  again = [chain.run(chain.seeded, repeated)['faces'] for _ in range(2)]
  np.testing.assert_array_equal(*again)


def test_a_call_adds_no_variable(chain):
  assert chain.after_sample and chain.after_sample == chain.after_call


@pytest.fixture(scope='module')
def cut():
  with tf.Graph().as_default() as graph:
    tokens = tf.placeholder(tf.int32, [None, STEPS])
    completed = tf.placeholder(tf.bool, [None])
    outputs = faces_from_tokens(Decoded(tokens, completed))
  session = sessions.session(graph)
  return lambda *values: session.run(outputs, dict(zip((tokens, completed), values)))


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.int32, (8, STEPS), elements=st.integers(0, 3)))
def test_incomplete_rows_end_at_their_last_new_face(cut, tokens):
  tokens[0, tokens[0] == 0] = 1
  tokens[1, tokens[1] < 2] = 3
  tokens = np.where(np.cumsum(tokens == 0, axis=1) > 0, 0, tokens)
  outputs = cut(tokens, (tokens == 0).any(1))
  for row, result, count in zip(tokens, outputs['faces'], outputs['num_face_indices']):
    drawn = row.tolist()
    faces, _ = naive_sampling.faces_of(drawn[:drawn.index(0) + 1] if 0 in drawn else drawn)
    np.testing.assert_array_equal(result, faces + [0] * (STEPS - len(faces)))
    assert count == len(faces)


@pytest.mark.parametrize('arguments, message', [
    ({'max_sample_length': 0}, 'max_sample_length'),
    ({'max_sample_length': MAX_FACE_TOKENS + 1}, 'max_seq_length'),
    ({'seed': -1}, 'seed'),
    ({'temperature': 0.}, 'temperature'),
    ({'noise': np.zeros([2, 3], np.float32)}, 'noise'),
])
def test_bad_arguments_are_refused(arguments, message):
  model = model_cases.face_model(class_conditional=False)
  with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
    model.sample(model_cases.face_batch(2, 3, 6), **arguments)
