"""Sessions on the device that the tests were started for.

Without the environment variable POLYGEN_TEST_DEVICE they are plain ones. With it (auto, cpu, gpu or
npu; scripts/model_test.sh sets it) those of the golden and sampling tests run there, in float32.
"""
import os

import tensorflow.compat.v1 as tf

from polygen import hw

VARIABLE = 'POLYGEN_TEST_DEVICE'


def device():
  """The hw.Device asked for, or None; ValueError if it is not there."""
  requested = os.environ.get(VARIABLE)
  return hw.choose_device(requested) if requested else None


def session(graph=None):
  """A session of `graph` or of the default graph."""
  chosen = device()
  config = chosen and hw.session_config(chosen, hw.parse_precision('float32', chosen))
  return tf.Session(graph=graph, config=config)
