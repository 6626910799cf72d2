"""What `FaceModel.sample` returns, its noise, and its chain with `VertexModel.sample`."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import model_cases
import naive_sampling
import sampling_cases
import sessions
from model_cases import MAX_FACE_TOKENS
from polygen.layers.decoding import Decoded
from polygen.models.face import faces_from_tokens
from sampling_cases import CHAIN_LOW, CHAIN_STOPS, SEED
from sampling_cases import FACE_STEPS as STEPS

# Of the rows with complete vertices the rows 0 and 2 are incomplete.
STOPS = tuple(stop for vertex_stop, stop in zip(
    CHAIN_STOPS, (None, 3, None, STEPS - 1, 0, 0, 4)) if vertex_stop is not None)
KEYS = {'completed': np.bool_, 'faces': np.int32, 'num_face_indices': np.int32}


def noise_of(stops):
  return sampling_cases.noise_of(stops, STEPS, CHAIN_LOW)


@pytest.fixture(scope='module')
def chain():
  return sampling_cases.sampling_case('face')


@pytest.fixture(scope='module')
def complete_vertices(chain):
  vertices = chain.run(chain.vertices)
  assert len(vertices['completed']) == 5 and vertices['completed'].all()
  assert len(np.unique(vertices['vertices'].reshape(-1, 3), axis=0)) > 5
  return vertices


def test_vertex_samples_are_read_in_the_same_graph(chain, complete_vertices):
  noise = noise_of(STOPS)
  outputs = chain.run(chain.raw, noise=noise)
  for key, value in complete_vertices.items():
    np.testing.assert_array_equal(outputs['context'][key], value)
  for key, dtype in KEYS.items():
    assert outputs[key].dtype == dtype
    assert outputs[key].shape == ((5, STEPS) if key == 'faces' else (5,))
  assert set(outputs) == set(KEYS) | {'context'}
  for row, stop in enumerate(STOPS):
    faces, count = outputs['faces'][row], outputs['num_face_indices'][row]
    assert outputs['completed'][row] == (stop is not None)
    assert count == stop + 1 if stop is not None else 1 <= count <= STEPS
    assert (faces[:count - 1] != 0).all() and (faces[count - 1:] == 0).all()
    assert faces.max() < 2 + complete_vertices['num_vertices'][row]


@pytest.mark.parametrize('stops', [STOPS, [None] * 5])
def test_only_complete_rows_may_be_asked_for(chain, complete_vertices, stops):
  everything, complete = chain.run(
      [chain.raw, chain.complete], noise=noise_of(stops))
  kept = everything['completed']
  assert kept.sum() == sum(stop is not None for stop in stops)
  for key in KEYS:
    np.testing.assert_array_equal(complete[key], everything[key][kept])
  for key, value in complete_vertices.items():
    np.testing.assert_array_equal(complete['context'][key], value[kept])


@pytest.mark.parametrize('count', [0, 1, 3])
def test_fewer_rows_may_be_fed_than_were_sampled(chain, complete_vertices, count):
  few = {key: value[-count or len(value):] for key, value in complete_vertices.items()}
  noise = noise_of(STOPS)
  everything = chain.run(chain.raw, noise=noise)
  for outputs in (chain.raw, chain.complete):
    result = chain.run(outputs, noise[-count or len(noise):], few)
    kept = np.arange(5) >= 5 - count
    if outputs is chain.complete:
      kept &= everything['completed']
    assert len(result['context']['vertices']) == kept.sum()
    for key in KEYS:
      np.testing.assert_array_equal(result[key], everything[key][kept])


def test_a_seed_and_an_index_decide_a_sample_at_any_batch_size(chain, complete_vertices):
  noise = [np.random.Generator(np.random.Philox(key=np.array([SEED, index], np.uint64),
                                                counter=np.array([0, 0, 0, 1], np.uint64)))
           .random(STEPS, dtype=np.float32) for index in range(5)]
  from_numpy, many = chain.run([chain.raw, chain.seeded], noise=noise)
  few = chain.run(chain.seeded, vertices={
      key: value[:2] for key, value in complete_vertices.items()})
  assert len(np.unique(many['faces'], axis=0)) > 1
  for key in KEYS:
    np.testing.assert_array_equal(many[key], from_numpy[key])
    np.testing.assert_array_equal(few[key], many[key][:2])


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
