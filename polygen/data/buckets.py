"""Batches of meshes of like length, with a budget of tokens: a pure function of the seed.

Every mesh belongs to one bucket, by its length, in all epochs; the longest mesh of a bucket decides
how many make a batch. So an epoch always has the same number of batches, and any step is found
without replaying those before it. Within an epoch the meshes of each bucket come in random order,
and so do the batches of all buckets:

    lengths   9 10 10 11 | 30 31 34 | 90        budget 100
    batches   ( 10 9 11 10 )  ( 31 34 30 )  ( 90 )
"""
import functools

import numpy as np

from . import order

# The longest mesh of a bucket is at most so many times as long as the shortest, if the bucket fills
# a batch.
MAX_LENGTH_RATIO = 1.25


class BucketBatches:
  """Which meshes each step has; call it with the number of the step.

  Args:
    lengths: ints [n], tokens of each mesh.
    tokens_per_batch: the most tokens of a batch.
    seed: non-negative integer.
    rank: this worker.
    size: number of workers.

  Attributes:
    batches_per_epoch: of all workers together.

  Raises:
    ValueError: there is no mesh, or one does not fit the budget.
  """

  def __init__(self, lengths, tokens_per_batch, seed, rank=0, size=1):
    lengths = np.asarray(lengths, np.int64)
    if not len(lengths):
      raise ValueError('there are no examples to pick from')
    if lengths.max() > tokens_per_batch:
      raise ValueError(f'the longest mesh has {lengths.max()} tokens, more than tokens_per_batch = '
                       f'{tokens_per_batch}; raise it with --tokens_per_batch {lengths.max()}')
    self._bucket, self._starts = _buckets(lengths, tokens_per_batch)
    self._seed, self._rank, self._size = seed, rank, size
    self.batches_per_epoch = len(self._starts) - 1
    # A worker touches two epochs at most, several workers in one process one more.
    self._epoch = functools.lru_cache(maxsize=4)(self._arranged)

  def __call__(self, step):
    """List of (epoch, index) of the meshes of this worker's batch."""
    epoch, number = divmod(step * self._size + self._rank, self.batches_per_epoch)
    meshes, batches = self._epoch(epoch)
    batch = batches[number]
    return [(epoch, index) for index in
            meshes[self._starts[batch]:self._starts[batch + 1]].tolist()]

  def _arranged(self, epoch):
    """All meshes of an epoch, bucket by bucket, and the order of its batches."""
    rng = order.epoch_rng(self._seed, epoch)
    rank = rng.permutation(len(self._bucket))
    return np.lexsort([rank, self._bucket]), rng.permutation(self.batches_per_epoch)


def _buckets(lengths, tokens_per_batch):
  """The bucket [n] of each mesh, the longest in bucket 0, and the starts [batches + 1] of batches
  in the meshes sorted by bucket."""
  longest_first = np.argsort(-lengths, kind='stable')
  ordered = lengths[longest_first]
  bucket, starts = np.empty(len(lengths), np.int64), [0]
  number = 0
  while starts[-1] < len(lengths):
    first = starts[-1]
    rows = tokens_per_batch // max(1, ordered[first])
    near = np.searchsorted(-ordered, -ordered[first] / MAX_LENGTH_RATIO, side='right')
    last = min(max(near, first + rows), len(lengths))
    bucket[longest_first[first:last]] = number
    number += 1
    # Equal batches, not full ones and a small rest.
    num_batches = -(-(last - first) // rows)
    starts += (first + (last - first) * np.arange(1, num_batches + 1) // num_batches).tolist()
  return bucket, starts


def in_order(lengths, tokens_per_batch):
  """Every mesh once, in batches of like length and at most so many tokens, for evaluation.

  Returns:
    list of lists of indices; a mesh longer than the budget is a batch of its own.
  """
  batches, rows = [], 0
  for index in np.argsort(-np.asarray(lengths, np.int64), kind='stable').tolist():
    if not batches or len(batches[-1]) >= rows:
      batches.append([])
      rows = max(1, tokens_per_batch // max(1, int(lengths[index])))
    batches[-1].append(index)
  return batches
