"""The closed-form gradients against TensorFlow's own of the equations as they are written."""
import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import model_cases
import randomise
import slow_transformer
from polygen import checkpoint, config, data, hw
from polygen.layers import blocks as block_layers
from polygen.layers import branches, vjp
from polygen.layers.attention import KeyValues, attend_blocks_vjp
from polygen.layers.embedding import lookup
from polygen.layers.masks import bias_from_mask
from polygen.training import step
from polygen.training.losses import batch_losses

# Long enough for several blocks; two layers, so that gradients pass a whole one.
SHORT, LONG = 20, 80
STACK = config.TransformerConfig(
    hidden_size=12, fc_size=20, num_heads=3, num_layers=2, dropout_rate=0.)
CASES = {
    'plain': STACK, 'memory_efficient': dataclasses.replace(STACK, memory_efficient=True),
    'no_layer_norm': dataclasses.replace(STACK, layer_norm=False),
    'no_re_zero': dataclasses.replace(STACK, re_zero=False),
}


def small_models(stack):
  return {
      'vertex': model_cases.VertexModel(stack, 4, class_conditional=True, num_classes=3,
                                        max_num_input_verts=LONG),
      'face': model_cases.FaceModel(stack, stack, class_conditional=False, quantization_bits=4,
                                    max_seq_length=LONG)}


def small_batch():
  """Numpy arrays of two meshes' size, lengths known, of no mesh."""
  rng = model_cases.philox(3, 0)
  batch = {part: {key: np.ones(size, dtype) for key, (dtype, size) in keys.items()}
           for part, keys in data.batch_spec(data.BatchShape(2, SHORT, LONG)).items()}
  batch['vertex']['vertices_flat'] = rng.integers(0, 17, [2, 3 * SHORT + 1], np.int32)
  batch['vertex']['vertices_flat_mask'][1, 50:] = 0
  batch['face']['vertices'] = rng.uniform(-0.5, 0.5, [2, SHORT, 3]).astype(np.float32)
  batch['face']['vertices_mask'][1, 12:] = 0
  batch['face']['faces'] = rng.integers(0, 14, [2, LONG], np.int32)
  return batch


def gradients_of_losses(stack, **call):
  """{variable name: gradient}, and the losses, of both small models at random variables."""
  with tf.Graph().as_default():
    models = small_models(stack)
    losses = batch_losses(models, small_batch(), **call)
    variables = [variable for model in models.values() for variable in model.variables]
    gradients = [tf.convert_to_tensor(gradient)
                 for gradient in tf.gradients(list(losses.values()), variables)]
    with randomise.randomised_session(variables) as session:
      if not stack.layer_norm:  # activations would grow until rounding decides
        randomise.assign(session, variables, {
            name: 0.4 * value for name, value in randomise.random_values(variables).items()})
      values, losses = session.run([gradients, losses])
  return {variable.op.name: value for variable, value in zip(variables, values)}, losses


def relative_errors(found, expected):
  """{name: norm of the difference / norm}; every expected gradient must be there and not 0."""
  assert found.keys() == expected.keys() and len(expected) > 40
  assert all(np.linalg.norm(value) > 1e-6 for value in expected.values())
  return {name: np.linalg.norm(found[name] - value) / np.linalg.norm(value)
          for name, value in expected.items()}


@pytest.mark.parametrize('name', sorted(CASES))
def test_losses_and_gradients_equal_those_of_the_equations(name, monkeypatch):
  gradients, losses = gradients_of_losses(CASES[name])
  with slow_transformer.formulation(monkeypatch) as stacks:
    expected, slow_losses = gradients_of_losses(CASES[name])
  assert len(stacks) == 3
  for part, loss in slow_losses.items():
    assert losses[part] == pytest.approx(loss, rel=1e-5)
  errors = relative_errors(gradients, expected)
  for variable, error in errors.items():
    # Scalars are sums of many terms that cancel.
    assert error < (1e-4 if variable.endswith('alpha') else 1e-5), variable


@pytest.mark.parametrize('dropout_rate', [0., 0.3])
def test_recomputing_changes_no_gradient(dropout_rate, monkeypatch):
  stack = dataclasses.replace(CASES['memory_efficient'], dropout_rate=dropout_rate)
  call = {'is_training': True, 'seed': np.array([3, 4], np.int32)}
  recomputed, losses = gradients_of_losses(stack, **call)
  asked = []

  def kept(function, recompute):
    asked.append(recompute)
    return vjp.differentiable(function)

  with monkeypatch.context() as patch:
    patch.setattr(branches, 'differentiable', kept)
    expected, kept_losses = gradients_of_losses(stack, **call)
  assert asked and all(asked)
  assert losses == kept_losses
  assert max(relative_errors(recomputed, expected).values()) < 1e-6
  if dropout_rate:
    without, _ = gradients_of_losses(CASES['memory_efficient'], **call)
    assert max(relative_errors(without, expected).values()) > 0.1


def test_recomputing_is_another_computation():
  """Nothing of the first one is read by the gradient but what went in."""
  def squared(x):
    y = tf.exp(x)
    return y, lambda dy: (dy * y,)

  def exponentials(recompute):
    with tf.Graph().as_default() as graph:
      x = tf.placeholder(tf.float32, [])
      tf.gradients(vjp.differentiable(squared, recompute)(x), x)
      return [op.type for op in graph.get_operations()].count('Exp')

  assert exponentials(False) == 1 and exponentials(True) == 2


@pytest.mark.parametrize('length', [1, 3, 31, 70])
@pytest.mark.parametrize('known', [True, False])
def test_blocks_of_queries_are_causal_attention(length, known):
  rng = model_cases.philox(length, 0)
  q, k, v, dy = rng.standard_normal([4, 2, 3, length, 5]).astype(np.float32)
  segments = np.sort(rng.integers(1, 3, [2, length])).astype(np.int32)
  with tf.Graph().as_default(), tf.Session() as session:
    shape = [2, 3, length if known else None, 5]
    q_, k_, v_, dy_ = (tf.placeholder(tf.float32, shape) for _ in range(4))
    segments_ = tf.placeholder(tf.int32, [2, shape[2]])
    causal = block_layers.causal(length if known else tf.shape(q_)[2], segments_)
    heads, block_gradient = attend_blocks_vjp(q_, KeyValues(k_, v_), causal)
    allowed = np.tril(np.ones([length, length]))[None] * (
        segments[:, :, None] == segments[:, None])
    whole = block_layers.whole(bias_from_mask(allowed[:, None]))
    expected, gradient = attend_blocks_vjp(q_, KeyValues(k_, v_), whole)
    found, wanted = session.run(
        [(heads, block_gradient(dy_)), (expected, gradient(dy_))],
        {q_: q, k_: k, v_: v, dy_: dy, segments_: segments})
  assert len(causal.biases) == (4 if not known else max(1, length // 32))
  for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(wanted)):
    assert np.abs(b).max() > 0.1 or length == 1
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_attention_has_the_gradient_of_its_value():
  rng = model_cases.philox(5, 0)
  arrays = rng.standard_normal([4, 1, 2, 6, 3]).astype(np.float32)
  with tf.Graph().as_default(), tf.Session() as session:
    q, k, v, dy = map(tf.constant, arrays)
    heads, gradient = attend_blocks_vjp(q, KeyValues(k, v), block_layers.whole(None))
    found = session.run([*gradient(dy)[:1], *gradient(dy)[1]])
    expected = session.run(tf.gradients(heads, [q, k, v], dy))
  for a, b in zip(found, expected):
    assert np.abs(b).max() > 0.1
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_table_has_a_dense_gradient_of_all_its_rows():
  with tf.Graph().as_default(), tf.Session() as session:
    table = tf.constant(np.arange(8, dtype=np.float32).reshape(4, 2))
    rows = tf.constant([[1, 3], [1, 1]])
    gradient, = tf.gradients(lookup(table, rows), table, tf.ones([2, 2, 2]) * [1., 2.])
    assert session.run(gradient).tolist() == [[0, 0], [3, 6], [0, 0], [1, 2]]


def losses_of_steps(run_config, steps):
  """The losses before each of so many updates of a seeded run on the four meshes, one per row."""
  meshes = [data.process_mesh(*mesh) for _, mesh in sorted(data.primitive_meshes().items())]
  labels = np.arange(len(meshes), dtype=np.int32)
  machine = hw.choose_machine('cpu')
  with tf.Graph().as_default(), tf.Session(config=machine.session_config()) as session:
    tf.set_random_seed(1)
    iterator = tf.data.make_initializable_iterator(data.training_dataset(
        meshes, labels, data.padded_shape(meshes, 4), 0, steps, seed=1))
    training = step.training_step(checkpoint.build_models(run_config), iterator.get_next(),
                                  run_config.training, machine)
    session.run([tf.global_variables_initializer(), iterator.initializer])
    rows = [session.run([training.losses, training.train])[0] for _ in range(steps)]
  return np.array([[row['vertex'], row['face']] for row in rows])


def compare_steps(run_config, monkeypatch, steps=20):
  """The largest relative difference of any loss to that of the slow formulation; no warm-up."""
  run_config = config.replace_fields(run_config, {'training.warmup_steps': 0})
  found = losses_of_steps(run_config, steps)
  with slow_transformer.formulation(monkeypatch) as stacks:
    expected = losses_of_steps(run_config, steps)
  assert len(stacks) == 3
  assert (expected[-1] < 0.9 * expected[0]).all()
  return np.abs(found / expected - 1).max()


def test_twenty_steps_have_the_losses_of_the_equations(monkeypatch):
  small = dict.fromkeys(('vertex_model.decoder_config', 'face_model.encoder_config',
                         'face_model.decoder_config'),
                        dict(dataclasses.asdict(STACK), num_layers=1))
  run_config = config.replace_fields(
      config.PRESETS['toy'], dict(small, **{'training.learning_rate': 5e-3}))
  assert compare_steps(run_config, monkeypatch) < 1e-5


@pytest.mark.slow
def test_twenty_steps_of_the_toy_run_have_the_losses_of_the_equations(monkeypatch, capsys):
  difference = compare_steps(config.PRESETS['toy'], monkeypatch)
  with capsys.disabled():
    print('\n20 steps of the toy run: losses differ by at most {:.2g}'.format(difference))
  assert difference < 1e-5
