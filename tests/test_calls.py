"""Where and with what the models may be called."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from polygen.layers.matmul import matmul_operands
from polygen.models import FaceModel, VertexModel
from randomise import randomised_session

SMALL = {'hidden_size': 8, 'fc_size': 16, 'num_heads': 2, 'num_layers': 1, 'dropout_rate': 0.}
NUM_CLASSES = 3


def vertex_call():
  """(call, batch, key of its tokens, number of legal tokens) of a vertex model."""
  model = VertexModel(SMALL, class_conditional=True, num_classes=NUM_CLASSES,
                      max_num_input_verts=9, quantization_bits=3)
  tokens = np.array([[3, 2, 1, 8, 2, 5, 0], [1, 2, 3, 0, 0, 0, 0]])
  return model, {'vertices_flat': tokens, 'class_label': np.array([0, 2])}, 'vertices_flat', 9


def face_call():
  """The same of a face model."""
  model = FaceModel(SMALL, SMALL, class_conditional=True, num_classes=NUM_CLASSES,
                    max_seq_length=9, quantization_bits=3)
  vertices = np.linspace(-0.5, 0.5, 2 * 4 * 3).reshape(2, 4, 3).astype(np.float32)
  tokens = np.array([[2, 3, 4, 1, 3, 4, 5, 0], [2, 3, 4, 0, 0, 0, 0, 0]])
  return model, {'vertices': vertices, 'vertices_mask': np.ones([2, 4], np.float32),
                 'faces': tokens, 'class_label': np.array([0, 2])}, 'faces', 6


@pytest.fixture(params=[vertex_call, face_call], ids=['vertex', 'face'])
def called(request):
  model, batch, key, count = request.param()
  with tf.Graph().as_default():
    model.build()
    with randomised_session(model.variables) as session:
      yield session, model, batch, key, count


def test_indices_of_64_bits(called):
  session, model, batch, _, _ = called
  narrow = {key: x.astype(np.int32) if x.dtype == np.int64 else x for key, x in batch.items()}
  assert any(x.dtype == np.int64 for x in batch.values())
  wide, usual = session.run([model(batch).logits, model(narrow).logits])
  np.testing.assert_array_equal(wide, usual)


@pytest.mark.parametrize('wrong', ['token', 'negative_token', 'class', 'negative_class'])
def test_indices_of_nothing_are_errors(called, wrong):
  session, model, batch, key, count = called
  assert np.isfinite(session.run(model(batch).logits)).all()
  if 'token' in wrong:
    batch[key][0, 1] = -1 if 'negative' in wrong else count
  else:
    batch['class_label'][1] = -1 if 'negative' in wrong else NUM_CLASSES
  logits = model({name: tf.constant(value) for name, value in batch.items()}).logits
  with pytest.raises(tf.errors.InvalidArgumentError):
    session.run(logits)


def test_within_a_condition(called):
  session, model, batch, _, _ = called
  outside = model(batch).logits
  inside = tf.cond(tf.constant(True), lambda: model(batch).logits, lambda: tf.zeros_like(outside))
  np.testing.assert_allclose(*session.run([inside, outside]), rtol=1e-6)


def test_after_an_update(called):
  session, model, batch, _, _ = called
  before = session.run(model(batch).logits)
  updates = [variable.assign(variable * 1.1).op for variable in model.variables]
  with tf.control_dependencies(updates):
    after = model(batch).logits
  after = session.run(after)
  assert np.abs(after - before).max() > 1e-3
  np.testing.assert_array_equal(session.run(model(batch).logits), after)


def test_gradients_multiply_as_the_values_do(called):
  session, model, batch, key, _ = called

  def gradients(inside):
    with matmul_operands('bfloat16'):
      loss = -tf.reduce_sum(model(batch).log_prob(batch[key]))
      if inside:
        return tf.gradients(loss, model.variables)
    return tf.gradients(loss, model.variables)

  inside, outside = session.run([gradients(True), gradients(False)])
  assert len(inside) > 10 and all(np.abs(gradient).max() > 0 for gradient in inside)
  for ours, theirs in zip(inside, outside):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
