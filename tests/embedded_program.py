"""A host program that carries polygen: run as `embedded_program.py NAME FORBIDDEN FOLDER NAUGHTY`.

NAME is how the host reaches the package, e.g. `vendor.polygen.polygen`; FORBIDDEN is a name that
must stay unimportable, e.g. `polygen`. Imports every module of the package, trains 2 steps and
samples a mesh in the new FOLDER. Compares what belongs to the whole process before and after, and
prints the names of the modules; then what the comparison says after an import of NAUGHTY.
"""
import contextlib
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


def check_unchanged(before, action):
  """Asserts that the process is as it was before the action."""
  after = process_state()
  changed = sorted(key for key in before if before[key] != after[key])
  assert not changed, '{} changed: {}'.format(action, changed)


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


TETRAHEDRON = 'v 1 1 1\nv -1 -1 1\nv -1 1 -1\nv 1 -1 -1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n'


def train_and_sample(name, folder):
  """Runs both commands as functions, as a host would; their lines go to standard error."""
  meshes, run = os.path.join(folder, 'data'), os.path.join(folder, 'run')
  os.makedirs(meshes)
  with open(os.path.join(meshes, 'tetrahedron.obj'), 'w') as file:
    file.write(TETRAHEDRON)
  with contextlib.redirect_stdout(sys.stderr):
    importlib.import_module(name + '.train').main([
        '--data_path', meshes, '--output_path', run, '--training_steps', '2', '--batch_size', '1',
        '--hidden_size', '8', '--fc_size', '8', '--num_layers', '1', '--num_samples', '0',
        '--max_num_vertices', '4', '--max_face_tokens', '16'])
    [sample] = importlib.import_module(name + '.sample').main([
        '--run_path', run, '--num_samples', '1', '--seed', '0']).pictured
  assert sample.vertices.shape[1] == 3
  assert os.path.isfile(os.path.join(run, 'generated', 'sample_000.obj'))


def main(name, forbidden, folder, naughty):
  sys.modules[forbidden] = None  # from now on `import forbidden` raises ImportError
  assert tf.executing_eagerly() == eager_by_default()
  before = process_state()
  assert not before['default graph']
  modules = import_all(name)
  check_unchanged(before, 'importing')
  train_and_sample(name, folder)
  check_unchanged(before, 'training and sampling')
  assert tf.executing_eagerly() == eager_by_default()
  assert not [m for m in sys.modules if m.startswith(forbidden + '.')]
  print('\n'.join(modules))
  importlib.import_module(naughty)
  try:
    check_unchanged(before, 'importing ' + naughty)
  except AssertionError as error:
    print(error)


if __name__ == '__main__':
  main(*sys.argv[1:])
