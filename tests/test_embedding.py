"""The package inside other programs: importing it changes nothing of theirs."""
import pytest

from checkout import ROOT, copy_checkout, run_python

PROGRAM = ROOT / 'tests' / 'embedded_program.py'


def package_modules(name):
  """The dotted names of all modules of the package, as reached under `name`."""
  files = (path.relative_to(ROOT / 'polygen') for path in (ROOT / 'polygen').rglob('*.py'))
  parts = [file.with_suffix('').parts for file in files]
  return {'.'.join((name,) + (part[:-1] if part[-1] == '__init__' else part)) for part in parts}


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


NAUGHTY = """
import os
import tensorflow.compat.v1 as tf
os.environ['NAUGHTY'] = '1'
tf.logging.set_verbosity(tf.logging.FATAL)
with tf.get_default_graph().as_default():
  tf.constant(1)
tf.disable_eager_execution()
"""


@pytest.fixture
def host(tmp_path):
  """A project with its own `tests` package that carries this repository as vendor/polygen."""
  assert copy_checkout(tmp_path / 'vendor' / 'polygen') > 10
  assert (tmp_path / 'vendor' / 'polygen' / 'polygen' / '__init__.py').is_file()
  (tmp_path / 'tests').mkdir()
  (tmp_path / 'tests' / '__init__.py').write_text('')
  (tmp_path / 'tests' / 'helper.py').write_text("NAME = 'the host'\n")
  (tmp_path / 'naughty.py').write_text(NAUGHTY)
  return tmp_path


def test_importing_training_and_sampling_change_nothing_of_a_host(host):
  """The plain name `polygen` is not importable there: all imports of the package are relative."""
  output = run_python(PROGRAM, 'vendor.polygen.polygen', 'polygen', host / 'work', 'naughty',
                      cwd=host, search_path=[host])
  *modules, caught = output.splitlines()
  assert set(modules) == package_modules('vendor.polygen.polygen')
  assert {'vendor.polygen.polygen.' + name for name in ('tokens', 'hw.devices', 'data')} <= set(
      modules)
  # The comparison finds changes where there are some.
  assert caught.startswith('importing naughty changed: ')
  assert all(change in caught for change in ('default graph', 'environment', 'verbosity'))


def test_the_host_keeps_its_own_tests_package(host):
  program = "import sys; sys.modules['polygen'] = None\n" + HOST
  output = run_python('-c', program, cwd=host, search_path=[host])
  assert output.strip() == 'the host has its own tests'
