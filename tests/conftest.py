"""What several test modules share: tiny meshes and a run trained on them, made once."""
import contextlib
import inspect
import io
import os

import hypothesis
import pytest

import tiny


def pytest_configure():
  """Keeps no examples of hypothesis: its last version for Python 3.7 keeps some of passing tests,
  too, and then fails its own health checks on them. Names the device that POLYGEN_TEST_DEVICE asks
  for; one line if it is not there."""
  hypothesis.settings.register_profile('no_database', database=None)
  hypothesis.settings.load_profile('no_database')
  _build_graphs_sooner()
  if os.environ.get('POLYGEN_TEST_DEVICE'):
    import sessions
    try:
      print(sessions.device().description)
    except ValueError as error:
      raise pytest.UsageError(str(error))


def _build_graphs_sooner():
  """What hw.new_graph does, for every graph of the tests: a quarter of their time on 1.15."""
  import tensorflow.compat.v1 as tf
  tf.Graph.create_op = inspect.unwrap(tf.Graph.create_op)


@pytest.fixture(scope='session')
def tiny_meshes(tmp_path_factory):
  """The folder of the tiny meshes; not to be changed."""
  return tiny.write_meshes(tmp_path_factory.mktemp('tiny') / 'meshes')


@pytest.fixture(scope='session')
def tiny_training(tiny_meshes, tmp_path_factory):
  """(run folder, what the command printed, TrainingResult) of 60 steps, class-conditional.

  The flags are spelt with dashes. The folder is not to be changed.
  """
  from polygen import train
  run_path = str(tmp_path_factory.mktemp('tiny') / 'run')
  flags = [flag.replace('_', '-') if flag.startswith('--') else flag for flag in tiny.train_flags(
      tiny_meshes, run_path, '--training_steps', '60', '--learning_rate', '0.01')]
  flags[flags.index('--data-path')] = '--datapath'
  with contextlib.redirect_stdout(io.StringIO()) as printed:
    result = train.main(flags)
  return run_path, printed.getvalue(), result


@pytest.fixture(scope='session')
def tiny_run(tiny_training):
  """The run folder of `tiny_training`."""
  return tiny_training[0]
