"""A host program that carries polygen: run as `embedded_program.py NAME [FORBIDDEN]`.

NAME is how the host reaches the package, e.g. `polygen` or `vendor.polygen.polygen`; FORBIDDEN is
a name that must stay unimportable, e.g. `polygen`. Imports every module of the package, compares
what belongs to the whole process before and after, and prints the names of the modules.
"""
import importlib
import logging
import os
import pkgutil
import random
import sys
import warnings

import numpy as np
import tensorflow as tf2
import tensorflow.compat.v1 as tf


def process_state():
  """Everything of the process that an import must leave alone, comparable with ==."""
  loggers = [None, 'tensorflow', 'absl', 'matplotlib', 'numpy']
  return {
      'eager': tf.executing_eagerly(),
      'tensorflow 2 behaviour': tf2.__internal__.tf2.enabled() if eager_by_default() else None,
      'resource variables': tf.resource_variables_enabled(),
      'v2 control flow': tf.control_flow_v2_enabled(),
      'default graph': [op.name for op in tf.get_default_graph().get_operations()],
      'TensorFlow verbosity': tf.logging.get_verbosity(),
      'logging': [(logging.getLogger(name).level, list(logging.getLogger(name).handlers))
                  for name in loggers],
      'environment': dict(os.environ),
      'arguments': list(sys.argv),
      'warnings': list(warnings.filters),
      'random': random.getstate(),
      'numpy random': [str(part) for part in np.random.get_state()],
      'numpy errors': np.geterr(),
      'flags': sorted(tf.flags.FLAGS),
  }


def eager_by_default():
  """Whether this is TensorFlow 2."""
  return not tf2.__version__.startswith('1.')


def import_all(name):
  """Imports a package and everything below it; returns the modules' names."""
  package = importlib.import_module(name)
  names = [info.name for info in pkgutil.walk_packages(package.__path__, name + '.')]
  for module in names:
    importlib.import_module(module)
  return [name] + names


def main(name, forbidden=None):
  if forbidden:
    sys.modules[forbidden] = None  # from now on `import forbidden` raises ImportError
  assert tf.executing_eagerly() == eager_by_default()
  before = process_state()
  assert not before['default graph']
  modules = import_all(name)
  after = process_state()
  changed = sorted(key for key in before if before[key] != after[key])
  assert not changed, 'importing changed: {}'.format(changed)
  assert not [m for m in sys.modules if forbidden and m.startswith(forbidden + '.')]
  print('\n'.join(modules))


if __name__ == '__main__':
  main(*sys.argv[1:])
