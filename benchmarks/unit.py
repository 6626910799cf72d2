"""The unit of time: one product of two 1024x1024 float32 matrices, where the work is measured.

Machines differ, and one machine differs from minute to minute; the time of the work over the time
of a product that was measured beside it differs less.
"""
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent import futures
from typing import NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from polygen.hw import num_cores

SIZE, PRODUCTS, RUNS = 1024, 20, 10


def unit_seconds():
  """Median seconds of one product, in a session of its own with default settings."""
  with tf.Graph().as_default(), tf.Session() as session:
    values = tf.placeholder(tf.float32, [SIZE, SIZE])
    # Different products, all of them fetched: nothing can be left out.
    total = tf.add_n([tf.reduce_sum(tf.matmul(values, values + float(number)))
                      for number in range(PRODUCTS)])
    feed = {values: np.random.default_rng(0).random([SIZE, SIZE], np.float32)}
    seconds = [timed(lambda: session.run(total, feed)) / PRODUCTS for _ in range(RUNS + 1)]
  return statistics.median(seconds[1:])


def reading_seconds(num_floats):
  """Median seconds in which all cores together read that many float32 numbers once."""
  shares = np.array_split(np.ones(num_floats, np.float32), num_cores())
  with futures.ThreadPoolExecutor(len(shares)) as pool:
    seconds = [timed(lambda: list(pool.map(np.max, shares))) for _ in range(RUNS)]
  return statistics.median(seconds)


def timed(work):
  """Seconds that `work()` takes."""
  start = time.perf_counter()
  work()
  return time.perf_counter() - start


class Measurement(NamedTuple):
  """A figure.

  Attributes:
    value: seconds, or another unit that the row names.
    unit_seconds: of the unit beside it, or None for what is not measured in it.
    details: {name: what else is worth knowing}.
  """
  value: float
  unit_seconds: Optional[float] = None
  details: dict = {}

  @property
  def in_units(self):
    """The value in the unit of time."""
    return self.value / self.unit_seconds


def measured(work, **details):
  """The Measurement of the seconds that `work()` returns, the unit taken before and after it."""
  before = unit_seconds()
  seconds = work()
  return Measurement(seconds, (before + unit_seconds()) / 2, details)


def in_process(call):
  """The result of a call of a benchmark, e.g. 'memory.published_step()', in a new process."""
  module = call.split('.')[0]
  code = 'import json; from benchmarks import {}; print(json.dumps({}))'.format(module, call)
  printed = subprocess.run([sys.executable, '-c', code], check=True, stdout=subprocess.PIPE).stdout
  return json.loads(printed.decode().splitlines()[-1])


def peak_memory(code):
  """The Measurement of the peak resident MB of a process that runs some Python code; on Linux."""
  used, empty = _peak(code), _peak('import tensorflow')
  return Measurement(used, None, {'import_tensorflow_mb': round(empty)})


def _peak(code):
  # Not getrusage: a new process inherits the peak of the one that started it.
  report = "; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
  # Without what this command has set in its environment: Keras alone takes 50 MB, unless the code
  # runs as a command that does without it, too.
  environment = {name: value for name, value in os.environ.items()
                 if name != 'TF_USE_LEGACY_KERAS'}
  printed = subprocess.run([sys.executable, '-c', code + report], check=True, env=environment,
                           stdout=subprocess.PIPE).stdout
  return int(printed.split()[-1]) * 1024 / 1e6
