"""Seeded random values for every variable: scalars and output kernels start at 0, where laws are
empty."""
import numpy as np
import tensorflow.compat.v1 as tf

import sessions

OUTPUT_GAIN = 2.


def random_values(variables, seed=0):
  """name -> float32 values under which activations stay near 1 and logits near +-2."""
  generator = np.random.Generator(np.random.Philox(seed))
  return {variable.op.name: _values(variable.op.name, variable.shape.as_list(), generator)
          for variable in variables}


def assign(session, variables, values):
  """Sets variables through their initialisers, so that the graph does not grow."""
  session.run([variable.initializer for variable in variables], {
      variable.initializer.inputs[1]: values[variable.op.name] for variable in variables})


def randomised_session(variables, seed=0):
  """A session of the default graph in which all its variables are random."""
  assert variables and set(_names(variables)) == set(_names(tf.global_variables()))
  session = sessions.session()
  assign(session, variables, random_values(variables, seed))
  return session


def _names(variables):
  return [variable.op.name for variable in variables]


def _values(name, shape, generator):
  normal = generator.standard_normal(shape)
  kind = name.split('/')[-1]
  if kind == 'alpha':
    values = np.sign(normal) * (0.5 + 0.3 * np.abs(normal))
  elif kind == 'layer_norm_scale':
    values = 1 + 0.3 * normal
  elif kind in ('layer_norm_bias', 'bias'):
    values = 0.3 * normal
  elif kind in ('kernel', 'wqkv', 'wo'):
    values = normal / np.sqrt(shape[-2]) * (OUTPUT_GAIN if 'project_to' in name else 1)
  else:
    values = normal
  return np.asarray(values, np.float32)
