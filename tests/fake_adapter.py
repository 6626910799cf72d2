"""Puts the fake adapter where polygen.hw finds it, and takes it away again.

    with fake_adapter.installed():           # in this process
      device = hw.choose_device('npu')

    run_python(*fake_adapter.program('-m', 'polygen.train', '--device', 'npu'),
               search_path=fake_adapter.search_path())
"""
import contextlib
import json
import pathlib
import sys
from unittest import mock

from polygen.hw import npu

TESTS = pathlib.Path(__file__).resolve().parent
FOLDERS = {'1.15.0': TESTS / 'fake_npu', '2.6.5': TESTS / 'fake_npu_tf2'}
VERSIONS = tuple(FOLDERS)
PACKAGES = ('npu_bridge', 'npu_device', 'hccl')

# Runs a module as `python -m` does, in a process that takes its TensorFlow for the given version.
_PROGRAM = """
import runpy, sys
from polygen.hw import npu
npu.tensorflow_version = lambda: {version!r}
sys.argv = {arguments}
runpy.run_module(sys.argv[0], run_name='__main__')
"""


def search_path(version='1.15.0'):
  """Folders for PYTHONPATH by which a process finds the fake for a TensorFlow version."""
  return [FOLDERS[version], TESTS]


def program(module, *arguments, version='1.15.0'):
  """Arguments of an interpreter that runs a module with the fake; see `search_path`."""
  return '-c', _PROGRAM.format(version=version, arguments=json.dumps([module] + [
      str(argument) for argument in arguments]))


@contextlib.contextmanager
def tensorflow(version):
  """Lets polygen.hw take the installed TensorFlow for another version; no adapter is loaded."""
  with mock.patch.object(npu, 'tensorflow_version', lambda: version):
    npu.load_adapter.cache_clear()
    try:
      yield
    finally:
      npu.load_adapter.cache_clear()


@contextlib.contextmanager
def installed(version='1.15.0', folder=None):
  """The fake for a TensorFlow version (or the packages in another folder) can be imported.

  On leaving, everything imported from it is forgotten.
  """
  path = [str(folder or FOLDERS[version])] + sys.path
  with tensorflow(version), mock.patch.object(sys, 'path', path), _forgotten_modules():
    yield


@contextlib.contextmanager
def _forgotten_modules():
  assert not _loaded()
  try:
    yield
  finally:
    for name in _loaded():
      del sys.modules[name]


def _loaded():
  return [name for name in sys.modules if name.split('.')[0] in PACKAGES]
