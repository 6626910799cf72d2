"""What several test modules share: tiny meshes and a run trained on them, made once."""
import os

import pytest

import tiny


def pytest_configure():
  """Names the device that POLYGEN_TEST_DEVICE asks for; one line if it is not there."""
  if os.environ.get('POLYGEN_TEST_DEVICE'):
    import sessions
    try:
      print(sessions.device().description)
    except ValueError as error:
      raise pytest.UsageError(str(error))


@pytest.fixture(scope='session')
def tiny_meshes(tmp_path_factory):
  """The folder of the tiny meshes; not to be changed."""
  return tiny.write_meshes(tmp_path_factory.mktemp('tiny') / 'meshes')


@pytest.fixture(scope='session')
def tiny_run(tiny_meshes, tmp_path_factory):
  """A run folder trained for 60 steps, class-conditional; not to be changed."""
  from polygen import train
  run_path = str(tmp_path_factory.mktemp('tiny') / 'run')
  train.main(tiny.train_flags(
      tiny_meshes, run_path, '--training_steps', '60', '--learning_rate', '0.01'))
  return run_path
