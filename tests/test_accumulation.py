"""Laws of micro-batches: cut up, a batch gives the same update, and leaves nothing behind."""
import glob
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fake_adapter
import randomise
import tiny
from polygen import checkpoint, config, data, hw, train
from polygen.layers.dropout import Dropout
from polygen.training import continuing, inputs, loop, step

CPU = hw.choose_machine('cpu', 'float32')


@pytest.fixture(scope='module')
def mesh_set(tiny_meshes):
  return data.load_mesh_set(tiny_meshes, quantization_bits=4)


def initialisation():
  return [tf.global_variables_initializer(), tf.local_variables_initializer()]


# Whole models.


class Recording:
  """Stands for a Machine and for the optimizer it gives: keeps what is applied."""
  static_shapes = False

  def scaled(self, optimizer, unused_manager):
    self._optimizer = optimizer
    return self

  def compute_gradients(self, loss):
    return self._optimizer.compute_gradients(loss)

  def apply_gradients(self, pairs):
    self.pairs = pairs
    return self._optimizer.apply_gradients(pairs)


def micro_batches(mesh_set, run_config, static_shapes):
  """The micro-batches of all steps, as arrays."""
  run = continuing.OpenRun(None, run_config, None, 0)
  count = run_config.training.accumulate * run_config.training.training_steps
  with tf.Graph().as_default(), tf.Session() as session:
    iterator = tf.data.make_initializable_iterator(
        inputs.training_batches(run, mesh_set, static_shapes))
    element = iterator.get_next()
    session.run(iterator.initializer)
    found = [session.run(element) for _ in range(count)]
    with pytest.raises(tf.errors.OutOfRangeError):
      session.run(element)
    return found


class BothModels:
  """Steps of four micro-batches that are fed, in one graph of random weights."""

  def __init__(self, run_config):
    models = checkpoint.build_models(run_config)
    self._fed = {part: {key: tf.placeholder(*value) for key, value in keys.items()}
                 for part, keys in data.PACKED_SPEC.items()}
    recording = Recording()
    self._training = step.training_step(models, self._fed, run_config.training, recording)
    self._applied = {variable.op.name: gradient for gradient, variable in recording.pairs}
    self.variables = [variable for model in models.values() for variable in model.variables]
    self.session, self._initialisation = tf.Session(), initialisation()

  def start(self):
    self.session.run(self._initialisation)
    randomise.assign(self.session, self.variables, randomise.random_values(self.variables))

  def _feed(self, batch):
    return {placeholder: batch[part][key] for part, keys in self._fed.items()
            for key, placeholder in keys.items()}

  def accumulate(self, batch):
    """{part: loss} of a micro-batch that is not the last."""
    return self.session.run(
        [self._training.losses, self._training.accumulate], self._feed(batch))[0]

  def train(self, batch):
    """{part: loss} of the last micro-batch, {name: gradient that was applied}."""
    losses, gradients, _ = self.session.run(
        [self._training.losses, self._applied, self._training.train], self._feed(batch))
    return losses, gradients

  def sums(self):
    return self.session.run(tf.local_variables())

  def weights(self):
    return self.session.run({variable.op.name: variable for variable in self.variables})


def test_four_micro_batches_of_two_are_one_batch_of_eight(mesh_set):
  """Gradients of the first step, losses and weights of three, up to rounding."""
  run_config = config.replace_fields(tiny.run_config(
      batch_size=8, accumulate=4, training_steps=3, random_shift=True, seed=3, adam_epsilon=1e-3,
  ), {'vertex_model.class_conditional': True, 'vertex_model.num_classes': 3})
  small = micro_batches(mesh_set, run_config, False)
  large = micro_batches(
      mesh_set, config.replace_fields(run_config, {'training.accumulate': 1}), False)
  assert len(small) == 12 and len(large) == 3
  with tf.Graph().as_default():
    both = BothModels(run_config)
    both.start()
    assert len(tf.local_variables()) == len(both.variables) + 1 > 30
    nothing = both.accumulate(data.make_packed_batch((), (), [], 0))
    assert list(nothing.values()) == [0, 0] and not any(map(np.any, both.sums()[1:]))
    both.start()
    wanted = [both.train(batch) for batch in large]
    wanted_weights = both.weights()
    both.start()
    found = []
    for number in range(0, 12, 4):
      losses = [both.accumulate(batch) for batch in small[number:number + 3]]
      assert all(map(np.any, both.sums()))
      last, gradients = both.train(small[number + 3])
      assert not any(map(np.any, both.sums()))
      found.append(({part: sum(each[part] for each in losses + [last]) for part in last},
                    gradients))
    weights = both.weights()
  errors = {name: np.linalg.norm(found[0][1][name] - gradient) / np.linalg.norm(gradient)
            for name, gradient in wanted[0][1].items() if np.linalg.norm(gradient) > 1e-3}
  assert errors.keys() == wanted_weights.keys()  # every gradient is something
  print('largest relative error of a gradient', max(errors.values()))
  assert max(errors.values()) < 1e-5, errors
  for (losses, _), (wanted_losses, _) in zip(found, wanted):
    assert losses == pytest.approx(wanted_losses, rel=1e-5)
  for name, value in wanted_weights.items():
    np.testing.assert_allclose(weights[name], value, atol=1e-5, err_msg=name)


# The step around a model of one variable.


class Linear:
  """A model of which the loss is x . tokens, so that the gradient is what is fed as tokens.

  It makes noise before, as dropout does.
  """
  name = 'linear'

  def __init__(self):
    x = tf.get_variable('linear/x', [2], initializer=tf.ones_initializer(), use_resource=True)
    self.variables = [x]
    self.batch = {key: tf.placeholder_with_default([0., 0.], [2])
                  for key in ('vertices_flat', 'vertices_flat_mask')}

  def __call__(self, unused_batch, unused_is_training, seed):
    self.noise = Dropout(0.5, seed)(tf.ones([60]))
    return self

  def sum_log_prob(self, tokens, unused_mask):
    with tf.control_dependencies([self.noise]):
      return -tf.reduce_sum(self.variables[0] * tf.identity(tokens))


class LinearTraining:
  """The training step of a Linear."""

  def __init__(self, machine=CPU, **settings):
    self.model = Linear()
    self.training = step.training_step(
        {'vertex': self.model}, {'vertex': self.model.batch},
        config.TrainingConfig(learning_rate_decay='none', seed=7, **settings), machine)
    self.session, self._initialisation = tf.Session(), initialisation()
    self.start()

  def start(self, at_step=0):
    """Everything as at the start of a session that continues after some steps."""
    self.session.run(self._initialisation)
    self.training.global_step.load(at_step, self.session)

  def step(self, *gradients):
    """One step whose micro-batches have these gradients; the noise that each had."""
    noise = []
    for number, gradient in enumerate(gradients, 1):
      operation = self.training.train if number == len(gradients) else self.training.accumulate
      noise.append(self.session.run(
          [operation, self.model.noise], {self.model.batch['vertices_flat']: gradient})[1])
    return noise

  def state(self):
    """Everything but the loss scale and the number of the step."""
    return self.session.run([
        variable for variable in tf.global_variables() + tf.local_variables()
        if not variable.op.name.startswith(('loss_scale', 'global_step'))])


def test_dropout_differs_from_micro_batch_to_micro_batch_and_goes_on_after_a_restart():
  """It depends on the seed, the step and the micro-batch alone; the first has that of the step."""
  nothing = [0., 0.]
  with tf.Graph().as_default():
    run = LinearTraining(accumulate=3)
    noise = [run.step(nothing, nothing, nothing) for _ in range(4)]
    flat = [row for rows in noise for row in rows]
    assert all((a == 0).any() and (a != b).any()
               for number, a in enumerate(flat) for b in flat[:number])
    run.start(at_step=2)
    np.testing.assert_array_equal(run.step(nothing, nothing, nothing), noise[2])
  with tf.Graph().as_default():
    run = LinearTraining()
    for rows in noise:
      np.testing.assert_array_equal(run.step(nothing), rows[:1])


@pytest.mark.parametrize('device, mode', [('cpu', 'float16'), ('npu', 'mix')])
@pytest.mark.parametrize('first, second', [
    ([1., np.inf], [1., 2.]), ([1., 2.], [1., np.nan]), ([1., np.inf], [1., -np.inf])])
def test_a_micro_batch_that_is_not_finite_leaves_out_the_update(device, mode, first, second):
  with tf.Graph().as_default(), fake_adapter.installed():
    run = LinearTraining(hw.choose_machine(device, mode), accumulate=2)
    before = run.state()
    assert len(before) == 7 and not before[-1].any()  # x, two slots, two powers; seed, sum
    run.step(first, second)
    for old, new in zip(before, run.state()):
      np.testing.assert_array_equal(old, new)
    step_number, skipped = run.session.run([run.training.global_step, run.training.skipped_updates])
    assert (step_number, skipped) == (1, 1)
    run.step([3., -4.], [1., 2.])
    moved = run.session.run(run.model.variables[0]) - 1
    assert moved[0] < -1e-4 and moved[1] > 1e-4
    assert run.session.run(run.training.skipped_updates) == 1 and not run.state()[-1].any()


def test_clipping_acts_on_the_sum():
  """Without momentum and with a large epsilon Adam moves by about gradient / epsilon."""
  with tf.Graph().as_default():
    run = LinearTraining(accumulate=2, gradient_clip_norm=5., adam_beta1=0., adam_beta2=0.,
                         adam_epsilon=1e3, learning_rate=1.)
    moved, before = [], 1.
    for gradients in (([60., 0.], [-57., 4.]), ([3., 4.], [3., 4.])):
      run.step(*gradients)
      after = run.session.run(run.model.variables[0])
      moved.append(1e3 * (before - after))
      before = after
  np.testing.assert_allclose(moved, [[3, 4], [3, 4]], rtol=1e-2)


def test_the_loop_adds_the_losses_of_a_step():
  """Three session.runs for each step; the first result belongs to micro-batches 1, 2 and 3."""
  class Session:
    count = 0

    def run(self, fetches):
      self.count += 1
      kinds.append(fetches[0])
      return (None, {'vertex': np.float32(self.count)}, np.int32(5))[:len(fetches)]

  kinds, found = [], []
  training = step.TrainingStep({}, 'train', None, None, 3, 'accumulate')
  loop.train(Session(), training, 4, 6, lambda *arguments: found.append(arguments))
  assert kinds == 2 * ['accumulate', 'accumulate', 'train']
  assert found == [(5, 1, loop.StepResult({'vertex': 6.}, 5)),
                   (6, 1, loop.StepResult({'vertex': 15.}, 5))]


# What a micro-batch has.


def test_micro_batches_of_static_shapes_are_slices_of_the_batch(mesh_set):
  whole, halves = [micro_batches(mesh_set, tiny.run_config(
      batch_size=4, accumulate=accumulate, training_steps=3), True) for accumulate in (1, 2)]
  for number, batch in enumerate(whole):
    for part, keys in batch.items():
      for key, value in keys.items():
        slices = [half[part][key] for half in halves[2 * number:2 * number + 2]]
        assert [len(rows) for rows in slices] == [2, 2]
        np.testing.assert_array_equal(np.concatenate(slices), value)
  assert (whole[0]['face']['faces'] != whole[1]['face']['faces']).any()


@pytest.mark.parametrize('settings', [
    {'batch_size': 7, 'accumulate': 3}, {'batch_size': 2, 'accumulate': 4},
    {'tokens_per_batch': 100, 'accumulate': 2}])
def test_shares_of_a_step(mesh_set, settings):
  settings = config.TrainingConfig(**settings)
  whole_of = inputs.picks_of_steps(settings, mesh_set)
  share_of = inputs.picks_of_micro_batches(settings, mesh_set)
  sizes = set()
  for number in range(6):
    shares = [share_of(settings.accumulate * number + place)
              for place in range(settings.accumulate)]
    assert [pick for share in shares for pick in share] == whole_of(number)
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1 and lengths[-1]
    sizes.update(lengths)
  assert len(sizes) == 2


def test_evaluation_takes_no_more_than_a_micro_batch(mesh_set):
  def largest(static_shapes, **settings):
    run = continuing.OpenRun(None, tiny.run_config(**settings), None, 0)
    batches = inputs.evaluation_batches(run, mesh_set, static_shapes)
    found = list(batches())
    assert sum((batch['face']['faces_mask'] > 0).sum() for batch in found) == 69
    return max(batch['face']['faces'].size for batch in found)

  for static_shapes in (False, True):
    whole, half = [largest(static_shapes, batch_size=2, accumulate=each) for each in (1, 2)]
    assert half <= 0.65 * whole
  assert largest(False, tokens_per_batch=100, accumulate=2) < largest(False, tokens_per_batch=100)


# The command.


def losses_of(path):
  """[(step, tag, loss)] of a run, by step."""
  return sorted(
      (event.step, value.tag, value.simple_value)
      for file in glob.glob(os.path.join(str(path), 'summaries', '*'))
      for event in tf.train.summary_iterator(file) for value in event.summary.value)


def test_the_command_continues_with_other_micro_batches(tiny_meshes, tmp_path):
  """Steps have one or two of the three meshes, so some micro-batches have none."""
  def run(name, *flags):
    return train.main([
        '--data_path', tiny_meshes, '--output_path', str(tmp_path / name), '--num_samples', '0',
        '--log_steps', '1', '--learning_rate_decay', 'none', '--model', 'vertex',
        '--tokens_per_batch', '40', *tiny.SIZE_FLAGS, *flags])

  whole = run('whole', '--training_steps', '4')
  run('cut', '--training_steps', '2', '--accumulate', '3')
  cut = run('cut', '--training_steps', '4', '--accumulate', '2')
  assert cut.step == 4 and cut.evaluation.losses == pytest.approx(whole.evaluation.losses, rel=1e-4)
  expected, found = [losses_of(tmp_path / name) for name in ('whole', 'cut')]
  assert [entry[:2] for entry in found] == [entry[:2] for entry in expected] and len(found) == 4
  assert [entry[2] for entry in found] == pytest.approx([entry[2] for entry in expected], rel=1e-4)
  assert checkpoint.RunFolder(str(tmp_path / 'cut')).read_config().training.accumulate == 2
  expected, found = [tiny.last_checkpoint(tmp_path / name) for name in ('whole', 'cut')]
  assert found.keys() == expected.keys() and len(found) > 40
  assert not [name for name in found if 'micro' in name or 'sum' in name]


@pytest.mark.parametrize('flags, words', [
    (['--accumulate', '0'], 'accumulate must be at least 1, not 0'),
    (['--accumulate', '3', '--device', 'npu'], 'batch_size 2 is no multiple of accumulate 3'),
    (['--accumulate', '2', '--device', 'npu', '--npu_option', 'iterations_per_loop=2',
      '--npu_option', 'enable_data_pre_proc=true'], 'iterations_per_loop 2 does several steps')])
def test_what_the_command_refuses(tiny_meshes, tmp_path, capsys, flags, words):
  with fake_adapter.installed():
    line = tiny.error_of(
        train.main, tiny.train_flags(tiny_meshes, tmp_path / 'run', *flags), capsys)
  assert words in line and not (tmp_path / 'run').exists()
