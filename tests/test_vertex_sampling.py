"""What `VertexModel.sample` returns, and its noise."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import model_cases
import naive_sampling
import sampling_cases
from model_cases import BITS, MAX_VERTICES, NUM_CLASSES, SHALLOW
from sampling_cases import NUM_SAMPLES, SEED
from sampling_cases import VERTEX_LENGTH as LENGTH
from sampling_cases import VERTEX_STEPS as STEPS

STOPS = (0, 3, 5, 6, 9, 12, None)
KEYS = {'completed': np.bool_, 'vertices': np.float32, 'num_vertices': np.int32,
        'vertices_mask': np.float32}


def noise_of(stops):
  return sampling_cases.noise_of(stops, STEPS, 0.95)


@pytest.fixture(scope='module')
def sampling():
  return sampling_cases.sampling_case('vertex')


def test_shapes_and_types(sampling):
  outputs = sampling.run(sampling.raw, noise_of(STOPS))
  shapes = {'completed': (), 'vertices': (LENGTH, 3), 'num_vertices': (),
            'vertices_mask': (LENGTH,)}
  for key, dtype in KEYS.items():
    assert outputs[key].dtype == dtype
    assert outputs[key].shape == (NUM_SAMPLES,) + shapes[key]
    assert sampling.raw[key].shape.as_list()[0] is None
    assert sampling.complete[key].shape.as_list()[0] is None
  assert set(outputs) == set(KEYS) | {'class_label'}


def test_fewer_rows_may_be_fed_in_place_of_samples(sampling):
  vertices = np.zeros([2, LENGTH, 3], np.float32)
  with sampling.session.graph.as_default():
    moved = sampling.raw['vertices'] + 1
  fed = sampling.session.run(moved, {sampling.raw['vertices']: vertices})
  assert (fed == np.ones([2, LENGTH, 3])).all()


def test_rows_end_at_their_stop(sampling):
  outputs = sampling.run(sampling.raw, noise_of(STOPS))
  vertices = outputs['vertices']
  for row, stop in enumerate(STOPS):
    count = LENGTH if stop is None else stop // 3
    assert outputs['completed'][row] == (stop is not None)
    assert outputs['num_vertices'][row] == count
    np.testing.assert_array_equal(outputs['vertices_mask'][row], np.arange(LENGTH) < count)
    assert (vertices[row, count:] == 0).all()
    bins = (vertices[row, :count] + 0.5) * (2 ** BITS - 1)
    np.testing.assert_allclose(bins, np.round(bins), atol=1e-4)
    assert ((bins > -0.5) & (bins < 2 ** BITS - 0.5)).all()
    # Rows of equal noise up to their ends are equal up to there.
    np.testing.assert_array_equal(
        sampling.run(sampling.raw, np.repeat(noise_of(STOPS)[row:row + 1], NUM_SAMPLES, axis=0))
        ['vertices'], np.repeat(vertices[row:row + 1], NUM_SAMPLES, axis=0))
  assert np.unique(vertices[-1]).size > 2


def test_recentring_moves_the_bounding_box_to_zero(sampling):
  raw, recentred = sampling.run([sampling.raw, sampling.recentred], noise_of(STOPS))
  for row, count in enumerate(raw['num_vertices']):
    expected = np.zeros([LENGTH, 3])
    expected[:count] = np.reshape(
        naive_sampling.recentred(raw['vertices'][row, :count].tolist()), [count, 3])
    np.testing.assert_allclose(recentred['vertices'][row], expected, atol=1e-6)
  assert np.abs(raw['vertices'] - recentred['vertices']).max() > 1e-2
  for key in set(raw) - {'vertices'}:
    np.testing.assert_array_equal(recentred[key], raw[key])


@pytest.mark.parametrize('stops', [STOPS, [None] * NUM_SAMPLES, [3] * NUM_SAMPLES])
def test_only_complete_rows_may_be_asked_for(sampling, stops):
  everything, complete = sampling.run(
      [sampling.recentred, sampling.complete], noise_of(stops), np.arange(NUM_SAMPLES) % 3)
  assert everything['completed'].sum() == sum(stop is not None for stop in stops)
  for key, value in everything.items():
    np.testing.assert_array_equal(complete[key], value[everything['completed']])
    assert complete[key].dtype == value.dtype


def test_a_seed_and_an_index_decide_a_sample_at_any_batch_size(sampling):
  rows = [model_cases.philox(SEED, index).random(STEPS, dtype=np.float32)
          for index in range(NUM_SAMPLES)]
  many, few, from_numpy = sampling.run(
      [sampling.seeded, sampling.few_seeded, sampling.raw], np.stack(rows))
  assert (many['vertices'][0] != many['vertices'][1]).any()
  for key in KEYS:
    np.testing.assert_array_equal(many[key], from_numpy[key])
    np.testing.assert_array_equal(few[key], many[key][:2])


def test_one_label_serves_every_sample(sampling):
  one, equal = [sampling.run(sampling.raw, noise_of(STOPS), labels)
                for labels in ([2], [2] * NUM_SAMPLES)]
  for key, value in one.items():
    np.testing.assert_array_equal(value, equal[key])
  assert (one['class_label'] == 2).all()
  other = sampling.run(sampling.raw, noise_of(STOPS), [0])
  assert (other['vertices'] != one['vertices']).any()


@pytest.mark.parametrize('count', [0, 2, NUM_SAMPLES - 1, NUM_SAMPLES + 1])
def test_labels_of_another_number_are_an_error(sampling, count):
  with pytest.raises(tf.errors.InvalidArgumentError, match='num_samples'):
    sampling.run(sampling.raw, noise_of(STOPS), [1] * count)
  with sampling.session.graph.as_default():
    labels = tf.constant([1] * count, tf.int32)
    with pytest.raises(ValueError, match='num_samples is 7 .* batch size of {}'.format(count)):
      sampling.model.sample(NUM_SAMPLES, {'class_label': labels})


def test_noise_may_be_an_array_and_must_fit(sampling):
  model = model_cases.vertex_model(decoder_config=SHALLOW)
  with tf.Graph().as_default():
    outputs = model.sample(2, max_sample_length=LENGTH, noise=np.zeros([2, STEPS], np.float32))
    assert outputs['vertices'].shape.as_list() == [None, LENGTH, 3]
    for shape in ([2, STEPS + 1], [3, STEPS], [STEPS]):
      with pytest.raises(ValueError, match='noise'):
        model.sample(2, max_sample_length=LENGTH, noise=np.zeros(shape, np.float32))


@pytest.mark.parametrize('arguments, message', [
    ({'max_sample_length': 0}, 'max_sample_length'),
    ({'max_sample_length': MAX_VERTICES + 1}, 'max_num_input_verts'),
    ({'seed': -1}, 'seed'),
    ({'temperature': 0.}, 'temperature'),
    ({'top_k': -1}, 'top_k'),
    ({'top_p': 0.}, 'top_p'),
    ({'top_p': 1.5}, 'top_p'),
])
def test_bad_arguments_are_refused(arguments, message):
  with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
    model_cases.vertex_model().sample(NUM_CLASSES, **arguments)
