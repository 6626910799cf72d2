"""The package inside other programs: importing it changes nothing of theirs."""
import pytest

from checkout import ROOT, copy_checkout, run_python

PROGRAM = ROOT / 'tests' / 'embedded_program.py'


def package_modules(name='polygen'):
  """The dotted names of all modules of the package, as reached under `name`."""
  files = (path.relative_to(ROOT / 'polygen') for path in (ROOT / 'polygen').rglob('*.py'))
  parts = [file.with_suffix('').parts for file in files]
  return {'.'.join((name,) + (part[:-1] if part[-1] == '__init__' else part)) for part in parts}


def test_importing_training_and_sampling_change_nothing(tmp_path):
  output = run_python(PROGRAM, 'polygen', '', tmp_path, search_path=[ROOT])
  modules = set(output.split())
  assert modules >= {'polygen.tokens', 'polygen.hw.devices', 'polygen.data'}
  assert modules == package_modules()


NAUGHTY = """
import os
import tensorflow.compat.v1 as tf
os.environ['NAUGHTY'] = '1'
tf.logging.set_verbosity(tf.logging.FATAL)
with tf.get_default_graph().as_default():
  tf.constant(1)
tf.disable_eager_execution()
"""


def test_a_package_that_changes_something_is_caught(tmp_path):
  (tmp_path / 'naughty').mkdir()
  (tmp_path / 'naughty' / '__init__.py').write_text(NAUGHTY)
  with pytest.raises(AssertionError, match='importing changed') as caught:
    run_python(PROGRAM, 'naughty', search_path=[tmp_path])
  assert all(change in str(caught.value)
             for change in ('default graph', 'environment', 'TensorFlow verbosity'))


@pytest.mark.parametrize('name', ['polygen', 'polygen.data', 'polygen.hw', 'polygen.cli',
                                  'polygen.config', 'polygen.tokens'])
def test_light_parts_do_not_load_tensorflow(name):
  """Nor any optional library, nor anything else heavy."""
  program = ('import sys, {}; '
             'print(sorted({{"tensorflow", "matplotlib", "trimesh"}} & set(sys.modules)))')
  assert run_python('-c', program.format(name)).strip() == '[]'


HOST = """
import tests.helper
import vendor.polygen.polygen.tokens as tokens
assert tests.helper.NAME == 'the host', tests.__file__
assert tokens.STOP == 0
try:
  import polygen
except ImportError:
  print('the host has its own tests')
"""


@pytest.fixture
def host(tmp_path):
  """A project with its own `tests` package that carries this repository as vendor/polygen."""
  assert copy_checkout(tmp_path / 'vendor' / 'polygen') > 10
  assert (tmp_path / 'vendor' / 'polygen' / 'polygen' / '__init__.py').is_file()
  (tmp_path / 'tests').mkdir()
  (tmp_path / 'tests' / '__init__.py').write_text('')
  (tmp_path / 'tests' / 'helper.py').write_text("NAME = 'the host'\n")
  return tmp_path


def test_a_host_project_carries_the_repository(host):
  """The plain name `polygen` is not importable there: all imports of the package are relative."""
  output = run_python(PROGRAM, 'vendor.polygen.polygen', 'polygen', host / 'work', cwd=host,
                      search_path=[host])
  assert set(output.split()) == package_modules('vendor.polygen.polygen')


def test_the_host_keeps_its_own_tests_package(host):
  program = "import sys; sys.modules['polygen'] = None\n" + HOST
  output = run_python('-c', program, cwd=host, search_path=[host])
  assert output.strip() == 'the host has its own tests'
