"""Laws of training: the step, the loop, evaluation, continuing, what is written."""
import glob
import math
import os
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import model_cases
import randomise
import tiny
from polygen import checkpoint, config, data, hw, train
from polygen.layers.matmul import matmul_operands
from polygen.training import continuing, evaluation, loop, optimizer, step
from polygen.training.losses import batch_losses

CPU = hw.choose_machine('cpu', 'float32')
WITH_NOISE = {'training.random_shift': True, **{
    place + '.dropout_rate': 0.2 for place in (
        'vertex_model.decoder_config', 'face_model.encoder_config', 'face_model.decoder_config')}}


@pytest.fixture(scope='module')
def mesh_set(tiny_meshes):
  return data.load_mesh_set(tiny_meshes, quantization_bits=4)


def run_training(mesh_set, path, changes=None, **training):
  """Trains until training_steps in a folder; returns the TrainingResult."""
  settings = dict(batch_size=2, num_samples=0, log_steps=1, checkpoint_steps=100, seed=3)
  run_config = config.replace_fields(
      tiny.run_config(**dict(settings, **training)), changes or {})
  run = continuing.open_run(run_config, str(path))
  return train.train(run, mesh_set, CPU)


def weights(path, training_step):
  """{name: array} of everything in a checkpoint."""
  reader = tf.train.load_checkpoint(os.path.join(str(path), 'checkpoints', 'model-{}'.format(
      training_step)))
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def scalars(path):
  """[(step, tag, value)] of all TensorBoard events of a run."""
  return [(event.step, value.tag, value.simple_value)
          for file in sorted(glob.glob(os.path.join(str(path), 'summaries', '*')))
          for event in tf.train.summary_iterator(file) for value in event.summary.value]


def assert_equal_arrays(a, b):
  assert a.keys() == b.keys() and a
  for name in a:
    np.testing.assert_array_equal(a[name], b[name], name)


def steps_in(path):
  return [checkpoint.checkpoint_step(prefix)
          for prefix in checkpoint.RunFolder(str(path)).checkpoint_prefixes()]


# Whole runs.


def test_the_loss_falls(tiny_run):
  losses = {tag: [value for _, each, value in scalars(tiny_run) if each == tag]
            for tag in ('loss/vertices', 'loss/faces')}
  for values in losses.values():
    assert len(values) == 60
    assert np.mean(values[-5:]) < 0.6 * np.mean(values[:2])


class Crash(Exception):
  pass


def interrupt(monkeypatch, number, error, mesh_set, path):
  """Trains as `whole_run` until an error after step `number`, before its loss is written."""
  advance = train.cli.Progress.advance

  def failing(progress, *arguments):
    advance(progress, *arguments)
    if progress._step == number:
      raise error

  with monkeypatch.context() as patch:
    patch.setattr(train.cli.Progress, 'advance', failing)
    with pytest.raises(type(error)):
      run_training(mesh_set, path, **WHOLE)


WHOLE = dict(changes=WITH_NOISE, training_steps=6, checkpoint_steps=2, keep_checkpoints=2,
             batch_size=1, log_steps=3)


@pytest.fixture(scope='module')
def whole_run(mesh_set, tmp_path_factory):
  """(folder, TrainingResult) of 6 steps, twice through the meshes, with dropout and shifts."""
  path = tmp_path_factory.mktemp('training') / 'whole'
  return path, run_training(mesh_set, path, **WHOLE)


def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    mesh_set, whole_run, tmp_path, monkeypatch):
  """A crash in step 4 leaves the checkpoint of step 2, Ctrl-C in step 3 then one of its own.

  Both are among those of which the last 2 stay.
  """
  whole_path, whole = whole_run
  path = tmp_path / 'parts'
  interrupt(monkeypatch, 4, Crash(), mesh_set, path)
  assert steps_in(path) == [2]
  interrupt(monkeypatch, 3, KeyboardInterrupt(), mesh_set, path)
  assert steps_in(path) == [2, 3]
  continued = run_training(mesh_set, path, **WHOLE)
  assert steps_in(whole_path) == steps_in(path) == [4, 6]
  names = os.listdir(str(path / 'checkpoints'))
  assert not [name for name in names if name.startswith(('model-2', 'model-3'))]
  for number in (4, 6):
    assert_equal_arrays(weights(whole_path, number), weights(path, number))
  assert continued.evaluation == whole.evaluation
  expected = scalars(whole_path)
  assert len(expected) == 6 and set(scalars(path)) == set(expected)


@pytest.mark.slow
def test_another_seed_gives_another_run(mesh_set, whole_run, tmp_path):
  other = run_training(mesh_set, tmp_path / 'other', seed=4, **WHOLE)
  assert other.evaluation != whole_run[1].evaluation
  a, b = weights(whole_run[0], 4), weights(tmp_path / 'other', 4)
  assert len([name for name in a if (a[name] != b[name]).any()]) > len(a) / 2


# What a run leaves behind.


def test_a_checkpoint_holds_models_slots_and_step(tiny_run):
  found = weights(tiny_run, 60)
  with tf.Graph().as_default():
    models = checkpoint.build_models(checkpoint.RunFolder(tiny_run).read_config())
    names = []
    for model in models.values():
      model.build()
      assert len(model.variables) > 10
      names += [variable.op.name for variable in model.variables]
  assert found['global_step'] == 60
  assert set(names) < set(found)
  for name in names:
    for slot in ('Adam', 'Adam_1'):
      keys = [key for key in found if key.endswith(name + '/' + slot)]
      assert len(keys) == 1 and found[keys[0]].shape == found[name].shape
  assert found['global_step'].dtype == np.int32
  loss_scale = {name for name in found if name.startswith('loss_scale/')}
  assert len(loss_scale) == 4 and found['loss_scale/skipped_updates'] == 0
  others = set(found) - set(names) - loss_scale - {'global_step'}
  assert len(others) == 2 * len(names) + 4  # slots, and two beta powers for each model


def test_batch_size_1_and_its_tensorboard_scalars(mesh_set, whole_run):
  path, result = whole_run
  assert result.evaluation.num_meshes == 3
  assert np.isfinite(list(result.evaluation.losses.values())).all()
  found = scalars(path)
  assert [(number, tag) for number, tag, _ in found] == [
      (number, tag) for number in (1, 3, 6) for tag in ('loss/vertices', 'loss/faces')]
  # Output kernels and biases start at 0, so the first loss is that of equal probabilities.
  [(_, index)] = data.batch_picks(3, 1, 0, 3)
  tokens = 3 * len(mesh_set.meshes[index]['vertices']) + 1
  assert found[0][2] == pytest.approx(tokens * math.log(17), rel=1e-5)


# One step.


def constant_batch(mesh_set, picks, batch_size, shuffle_vertices=True):
  shape = data.padded_shape(mesh_set.meshes, batch_size)
  return data.make_batch(mesh_set.meshes, mesh_set.labels, [(0, pick) for pick in picks], shape,
                         seed=0, quantization_bits=4, shuffle_vertices=shuffle_vertices)


class Losing:
  """The losses of any padded batch and two evaluators, in one graph of random weights."""

  def __init__(self, mesh_set):
    models = checkpoint.build_models(tiny.run_config())
    self._placeholders = {part: model_cases.placeholders_of(values) for part, values
                          in constant_batch(mesh_set, [0], 1).items()}
    self._losses = batch_losses(models, self._placeholders)
    # One full batch and a part, or one part: the meshes are 3. Then packed, one or more at a time.
    self.evaluators = [
        evaluation.Evaluator(
            evaluation.evaluation_graph(models, data.batch_spec(shape)), mesh_set,
            lambda shape=shape: data.evaluation_batches(
                mesh_set.meshes, mesh_set.labels, shape, 4))
        for shape in (data.padded_shape(mesh_set.meshes, size) for size in (2, 5))]
    self.evaluators += [
        evaluation.Evaluator(
            evaluation.evaluation_graph(models, data.PACKED_SPEC), mesh_set,
            lambda budget=budget: data.packed_evaluation_batches(mesh_set, budget, 4))
        for budget in (1, 100, 1000)]
    self.session = tf.Session()
    initialise(self.session, variables_of(models))

  def of(self, batch):
    losses = self.session.run(self._losses, {
        placeholder: batch[part][key] for part, keys in self._placeholders.items()
        for key, placeholder in keys.items()})
    return np.array([losses['vertex'], losses['face']])


@pytest.fixture(scope='module')
def losing(mesh_set):
  with tf.Graph().as_default():
    return Losing(mesh_set)


def test_the_graph_of_a_step_evaluates_without_dropout(mesh_set):
  run_config = config.replace_fields(tiny.run_config(), WITH_NOISE)

  def batches():
    return data.packed_evaluation_batches(mesh_set, 100, 4)

  with tf.Graph().as_default(), tf.Session() as session:
    models = checkpoint.build_models(run_config)
    batch = tf.data.make_initializable_iterator(data.packed_training_dataset(
        mesh_set.meshes, mesh_set.labels, lambda step: [(0, 0)], 0, 1, seed=0,
        quantization_bits=4)).get_next()
    training = step.training_step(models, batch, run_config.training, CPU)
    evaluators = [evaluation.Evaluator(graph, mesh_set, batches) for graph in (
        training.evaluated, training.evaluated._replace(feed={}),
        evaluation.evaluation_graph(models, data.PACKED_SPEC))]
    session.run(tf.global_variables_initializer())
    initialise(session, variables_of(models))
    found, noisy, expected = (evaluator(session) for evaluator in evaluators)
    assert session.run(training.global_step) == 0  # nor has the iterator been asked
  assert min(expected.losses.values()) > 1
  for part, loss in expected.losses.items():
    assert found.losses[part] == pytest.approx(loss, rel=1e-6)
    assert abs(noisy.losses[part] / loss - 1) > 1e-4


def test_the_loss_is_the_sum_over_the_batch(losing, mesh_set):
  one, two, three, together, thrice = [losing.of(constant_batch(mesh_set, picks, 3))
                                       for picks in ([0], [1], [2], [0, 1, 2], [1, 1, 1])]
  assert (one > 0).all() and not np.allclose(one, two)
  np.testing.assert_allclose(one + two + three, together, rtol=1e-5)
  np.testing.assert_allclose(3 * two, thrice, rtol=1e-5)


def variables_of(models):
  return [variable for model in models.values() for variable in model.variables]


def initialise(session, variables):
  """Everything, then random values in variables."""
  session.run(tf.global_variables_initializer())
  randomise.assign(session, variables, randomise.random_values(variables))


def test_two_adams_as_published(mesh_set):
  """Every variable of both models, against Adam (Kingma and Ba, algorithm 1) in numpy."""
  settings = config.TrainingConfig(
      learning_rate=0.01, learning_rate_decay='none', adam_beta1=0.8, adam_beta2=0.9,
      adam_epsilon=1e-3)
  with tf.Graph().as_default(), tf.Session() as session:
    models = checkpoint.build_models(tiny.run_config())
    training = step.training_step(models, constant_batch(mesh_set, [0, 1], 2), settings, CPU)
    variables = variables_of(models)
    gradients = [
        tf.convert_to_tensor(gradient) for part, model in models.items()
        for gradient in tf.gradients(training.losses[part], model.variables)]
    initialise(session, variables)
    powers = [variable for variable in tf.global_variables() if 'beta' in variable.op.name]
    assert len(variables) > 30 and len(powers) == 4
    expected = session.run(variables)
    twins = [NumpyAdam(settings) for _ in variables]
    for number in range(1, 5):
      present = session.run(gradients)
      session.run(training.train)
      expected = [twin.update(value, gradient)
                  for twin, value, gradient in zip(twins, expected, present)]
      for variable, value, wanted in zip(variables, session.run(variables), expected):
        np.testing.assert_allclose(value, wanted, atol=2e-4, err_msg=variable.op.name)
      assert session.run(training.global_step) == number
      # Once per step each, after the update, as TensorFlow keeps them.
      np.testing.assert_allclose(
          sorted(session.run(powers)), sorted(2 * [0.8 ** (number + 1), 0.9 ** (number + 1)]),
          rtol=1e-5)


def test_an_update_beyond_float16_leaves_both_models_alone(mesh_set):
  """At a loss scale of 2^60 every update is left out; its batch is counted all the same."""
  settings = config.TrainingConfig(learning_rate_decay='none', loss_scale=2. ** 60)
  machine = hw.choose_machine('cpu', 'float16')
  with tf.Graph().as_default(), tf.Session() as session:
    models = checkpoint.build_models(tiny.run_config())
    with matmul_operands(machine.precision.matmul_type, machine.precision.native):
      training = step.training_step(models, constant_batch(mesh_set, [0, 1], 2), settings, machine)
    initialise(session, variables_of(models))
    state = [variable for variable in tf.global_variables()
             if not variable.op.name.startswith(('loss_scale', 'global_step'))]
    assert len(state) > 90
    before = session.run(state)
    session.run(training.train)
    losses, skipped = session.run([training.losses, training.skipped_updates])
    assert np.isfinite(list(losses.values())).all() and skipped == 1
    for variable, old, new in zip(state, before, session.run(state)):
      np.testing.assert_array_equal(old, new, variable.op.name)
    assert session.run(training.global_step) == 1
    assert session.run('loss_scale/scale/Read/ReadVariableOp:0') == 2. ** 59


class TwoVariables(NamedTuple):
  """Stands for a model: two variables of length 2."""
  name: str
  variables: list


def test_the_gradients_of_each_model_are_clipped_by_their_own_norm():
  """Without momentum and with a large epsilon Adam moves by about gradient / epsilon."""
  settings = config.TrainingConfig(
      adam_beta1=0., adam_beta2=0., adam_epsilon=1e6, gradient_clip_norm=5.)
  with tf.Graph().as_default(), tf.Session() as session:
    models = [TwoVariables(name, [
        tf.get_variable(name + number, [2], initializer=tf.zeros_initializer(), use_resource=True)
        for number in 'ab']) for name in ('large', 'small')]
    [a, b], [c, d] = models[0].variables, models[1].variables
    loss = (tf.reduce_sum(a * [6., 0.]) + tf.reduce_sum(b * [0., 8.])  # gradients of norm 10
            + tf.reduce_sum(c * [2., 2.]) + tf.reduce_sum(d * [2., -2.]))  # and of norm 4
    adam = optimizer.ModelsAdam(models, tf.constant(1.), settings)
    update = adam.apply_gradients(adam.compute_gradients(loss))
    session.run(tf.global_variables_initializer())
    session.run(update)
    moved = [-1e6 * value for value in session.run([a, b, c, d])]
  np.testing.assert_allclose(moved, [[3, 0], [0, 4], [2, 2], [2, -2]], rtol=1e-4)


@pytest.mark.parametrize('gradient', [1e30, np.inf])
def test_clipping_hides_no_overflow(gradient):
  with tf.Graph().as_default(), tf.Session() as session:
    variable = tf.get_variable(
        'model/a', [2], initializer=tf.zeros_initializer(), use_resource=True)
    adam = optimizer.ModelsAdam([TwoVariables('model', [variable])], tf.constant(1.),
                                config.TrainingConfig(gradient_clip_norm=5.))
    update = adam.apply_gradients([(tf.placeholder_with_default([gradient, 1.], [2]), variable)])
    session.run(tf.global_variables_initializer())
    session.run(update)
    assert np.isnan(session.run(variable)).all()


class NumpyAdam:
  """Adam on one variable; epsilon stands where TensorFlow has it (section 2, last lines)."""

  def __init__(self, settings):
    self._settings, self._steps = settings, 0
    self._mean = self._square = 0.

  def update(self, value, gradient):
    beta1, beta2 = self._settings.adam_beta1, self._settings.adam_beta2
    self._steps += 1
    self._mean = beta1 * self._mean + (1 - beta1) * gradient
    self._square = beta2 * self._square + (1 - beta2) * gradient ** 2
    rate = self._settings.learning_rate * (
        math.sqrt(1 - beta2 ** self._steps) / (1 - beta1 ** self._steps))
    return value - rate * self._mean / (np.sqrt(self._square) + self._settings.adam_epsilon)


# Evaluation.


def test_evaluation_counts_every_mesh_once(losing, mesh_set):
  """Against the sum of the losses of each mesh alone."""
  expected = sum(losing.of(constant_batch(mesh_set, [pick], 1, shuffle_vertices=False))
                 for pick in range(3))
  for evaluate in losing.evaluators:
    result = evaluate(losing.session)
    assert (result.num_meshes, result.num_vertices) == (3, 4 + 5 + 6)
    assert list(result.losses) == ['vertex', 'face']
    np.testing.assert_allclose(list(result.losses.values()), expected, rtol=1e-5)
    assert evaluate(losing.session) == result


def test_figures_of_an_evaluation():
  result = evaluation.Evaluation(
      {'vertex': 30 * math.log(2), 'face': 60 * math.log(2)}, 3, 15)
  assert result.bits_per_vertex() == pytest.approx({'vertex': 2., 'face': 4.})
  assert result.per_batch(4) == pytest.approx({'vertex': 40 * math.log(2),
                                               'face': 80 * math.log(2)})
  assert result.per_batch(3) == pytest.approx(result.losses)
  assert result.bits_line() == '2 (vertices), 4 (faces)'


# The loop.


GLOBAL_STEP = 'the variable'


class Clock:
  """Stands for time.perf_counter, and for a session whose first step takes 10 s, others 2 s."""

  def __init__(self, global_step, steps_per_run):
    self.now = 0.
    self.steps = 0
    self.global_step, self.steps_per_run = global_step, steps_per_run

  def run(self, fetches):
    if fetches is GLOBAL_STEP:
      return self.global_step
    self.steps += 1
    self.global_step += self.steps_per_run
    self.now += 10. if self.steps == 1 else 2.
    losses = {'vertex': np.float32(self.steps), 'face': np.float32(-self.steps)}
    return None, losses, np.int32(7)


def run_loop(monkeypatch, start_step, stop_step, steps_per_run=1):
  """(mean step time, calls of the hooks, reported losses) of a loop on a Clock."""
  clock, calls, reported = Clock(start_step, steps_per_run), [], []
  monkeypatch.setattr(loop.time, 'perf_counter', lambda: clock.now)

  def hook(name):
    def function(number):
      clock.now += 100.
      calls.append((name, number))
    return function

  def on_step(number, done, result):
    clock.now += 50.
    assert result.skipped_updates == 7 and done == steps_per_run
    reported.append((number, result.losses))

  mean = loop.train(
      clock, step.TrainingStep({}, None, GLOBAL_STEP, None), start_step, stop_step, on_step,
      [loop.Hook(3, hook('a')), loop.Hook(4, hook('b'))], steps_per_run)
  return mean, calls, reported


def test_hooks_run_at_their_steps_and_at_the_end(monkeypatch):
  _, calls, reported = run_loop(monkeypatch, 2, 10)
  assert calls == [('a', 3), ('b', 4), ('a', 6), ('b', 8), ('a', 9), ('a', 10), ('b', 10)]
  assert reported == [(number, {'vertex': number - 2., 'face': 2. - number})
                      for number in range(3, 11)]
  _, calls, _ = run_loop(monkeypatch, 0, 12)
  assert calls.count(('a', 12)) == calls.count(('b', 12)) == 1


def test_several_steps_in_one_run(monkeypatch):
  """Hooks are due when a multiple of their steps is passed."""
  mean, calls, reported = run_loop(monkeypatch, 5, 17, steps_per_run=3)
  assert [number for number, _ in reported] == [8, 11, 14, 17]
  assert calls == [('a', 8), ('b', 8), ('a', 11), ('a', 14), ('b', 14), ('a', 17), ('b', 17)]
  assert mean == 2. / 3


def test_step_time_leaves_out_the_first_step_and_hooks(monkeypatch):
  assert run_loop(monkeypatch, 0, 6)[0] == 2.
  assert run_loop(monkeypatch, 5, 7)[0] == 2.
  assert math.isnan(run_loop(monkeypatch, 0, 1)[0])
