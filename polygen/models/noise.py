"""The noise of sampling: one uniform number per row and step, made outside any compiled part.

A sample is a function of (weights, seed, its index): row i of a call uses the numbers of
`Philox(key=[seed, i])`, whatever the batch size, device or compiler. Models and tries that draw
under one key are kept apart: the counter of the generator starts at [0, 0, attempt, stream].
"""
import numpy as np
import tensorflow.compat.v1 as tf

from ..layers.shapes import check_rank, check_size


def uniform_noise(seed, indices, steps, stream=0, attempts=None):
  """float32 [n, steps] in [0, 1); row i depends on (seed, indices[i], stream, attempts[i]) alone.

  Args:
    seed: int >= 0.
    indices: ints >= 0 [n], numbers of the samples.
    steps: numbers per row; a longer row starts with the numbers of a shorter one.
    stream: int >= 0, of the model.
    attempts: ints >= 0 [n], how often each sample was drawn before; 0 by default.

  Raises:
    ValueError: the seed is negative or needs more than 64 bits.
  """
  if not 0 <= seed < 1 << 64:
    raise ValueError('seed must lie between 0 and 2^64 - 1, not {}'.format(seed))
  rows = [np.random.Generator(np.random.Philox(
      key=np.array([seed, index], np.uint64),
      counter=np.array([0, 0, attempt, stream], np.uint64))).random(steps, dtype=np.float32)
          for index, attempt in zip(indices, [0] * len(indices) if attempts is None else attempts)]
  return np.stack(rows) if rows else np.zeros([0, steps], np.float32)


def noise_tensor(seed, batch, steps, stream=0):
  """`uniform_noise` of samples 0 ... batch - 1 as a tensor [batch, steps].

  Args:
    seed: int, or None: fresh numbers at every session.run.
    batch: int or int32 scalar tensor.
    steps: int.
    stream: int.
  """
  if seed is None:
    return tf.random.uniform([batch, steps])
  if isinstance(batch, int):
    return tf.constant(uniform_noise(seed, range(batch), steps, stream))
  noise = tf.numpy_function(
      lambda n: uniform_noise(seed, range(n), steps, stream), [batch], tf.float32)
  noise.set_shape([None, steps])
  return noise


def checked_noise(noise, batch, steps):
  """Given noise as a float32 tensor [batch, steps].

  Raises:
    ValueError: it is known to have another shape. An unknown one is checked when the graph runs.
  """
  noise = tf.convert_to_tensor(noise, tf.float32)
  check_rank(noise, 2, 'noise')
  check_size(noise, 1, steps, 'noise')
  rows = batch if isinstance(batch, int) else None
  if rows is not None:
    check_size(noise, 0, rows, 'noise')
  return tf.ensure_shape(noise, [rows, steps])
