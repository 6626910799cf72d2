"""Which example comes when, and with which random numbers: pure functions of the seed.

The stream of examples is the concatenation of one random permutation per epoch, cut into batches;
with `size` workers, batch number step * size + rank belongs to worker `rank`:

    epoch 0          epoch 1          epoch 2
    2 0 1 3 4        4 1 0 2 3        0 3 ...
    |-----| |-----------| |-------|                   batches of 3, size 1
     step 0     step 1      step 2
"""
import functools

import numpy as np


def batch_picks(num_examples, batch_size, step, seed, rank=0, size=1):
  """The examples of one batch, for any number of examples, without replaying earlier steps.

  Args:
    num_examples: size of the set, at least 1.
    batch_size: examples per worker and step.
    step: number of the step, from 0.
    seed: non-negative integer.
    rank: this worker.
    size: number of workers.

  Returns:
    List of (epoch, index), length batch_size.
  """
  if num_examples < 1:
    raise ValueError('there are no examples to pick from')
  start = (step * size + rank) * batch_size
  picks = []
  for position in range(start, start + batch_size):
    epoch, place = divmod(position, num_examples)
    picks.append((epoch, int(_permutation(num_examples, seed, epoch)[place])))
  return picks


def epoch_rng(seed, epoch):
  """numpy.random.Generator for the order of an epoch: stretch 0 of its Philox sequence."""
  return _philox(seed, epoch, 0)


def example_rng(seed, epoch, index):
  """numpy.random.Generator for the shift and shuffle of one example in one epoch.

  Each example has its own stretch of the epoch's Philox sequence (the highest word of the
  counter); the permutation of the epoch uses stretch 0.
  """
  return _philox(seed, epoch, index + 1)


# A batch smaller than the set touches two epochs at most; several workers in one process may
# differ by one more.
@functools.lru_cache(maxsize=4)
def _permutation(num_examples, seed, epoch):
  return epoch_rng(seed, epoch).permutation(num_examples)


def _philox(seed, epoch, stretch):
  if seed < 0:
    raise ValueError(f'the seed must not be negative, but is {seed}')
  return np.random.Generator(np.random.Philox(
      key=np.array([seed, epoch], np.uint64),
      counter=np.array([0, 0, 0, stretch], np.uint64)))
