"""Laws of batches with a budget of tokens."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from polygen import data
from polygen.data import buckets

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40)


def epoch_of(batches, epoch):
  count = batches.batches_per_epoch
  return [batches(step) for step in range(epoch * count, (epoch + 1) * count)]


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(0, 200), strategies.SEEDS, st.integers(0, 3))
def test_an_epoch_has_every_mesh_once_within_the_budget(lengths, more, seed, epoch):
  budget = max(lengths) + more
  batches = data.BucketBatches(lengths, budget, seed)
  found = epoch_of(batches, epoch)
  assert sorted(pick for batch in found for pick in batch) == [
      (epoch, index) for index in range(len(lengths))]
  for batch in found:
    longest = max(lengths[index] for _, index in batch)
    assert batch and longest * len(batch) <= budget
  # The same for whoever asks, in whatever order.
  again = data.BucketBatches(lengths, budget, seed)
  first = epoch * batches.batches_per_epoch
  assert [again(first + place) for place in reversed(range(len(found)))] == found[::-1]


@settings(deadline=None, max_examples=30)
@given(LENGTHS, st.integers(0, 200), strategies.SEEDS, st.integers(1, 4), st.integers(0, 20))
def test_workers_share_the_stream(lengths, more, seed, size, step):
  budget = max(lengths) + more
  whole = data.BucketBatches(lengths, budget, seed)
  parts = [data.BucketBatches(lengths, budget, seed, rank, size)(step) for rank in range(size)]
  assert parts == [whole(step * size + rank) for rank in range(size)]


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(1, 200))
def test_evaluation_has_every_mesh_once(lengths, budget):
  found = buckets.in_order(lengths, budget)
  assert sorted(sum(found, [])) == list(range(len(lengths)))
  for batch in found:
    assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget


def test_meshes_of_a_batch_are_of_like_length_where_there_are_many():
  lengths = np.random.default_rng(0).integers(200, 2000, 20000)
  batches = data.BucketBatches(lengths, 8000, 1)
  ratios, sizes = [], []
  for batch in epoch_of(batches, 0):
    own = [lengths[index] for _, index in batch]
    ratios.append(max(own) / min(own))
    sizes.append(len(own) * max(own))
  assert max(ratios) <= buckets.MAX_LENGTH_RATIO + 0.01 and len(ratios) > 500
  assert np.mean(sizes) > 0.7 * 8000


def test_epochs_and_seeds_differ():
  lengths = np.random.default_rng(0).integers(20, 200, 300)
  orders = [[[index for _, index in batch] for batch in epoch_of(
      data.BucketBatches(lengths, 1000, seed), epoch)] for seed in (0, 1) for epoch in (0, 1)]
  for i in range(4):
    for j in range(i):
      assert orders[i] != orders[j]
      assert sorted(map(sorted, orders[i])) != sorted(map(sorted, orders[j]))


def test_what_does_not_fit_is_refused():
  with pytest.raises(ValueError, match='--tokens_per_batch 9'):
    data.BucketBatches([3, 9], 8, 0)
  with pytest.raises(ValueError, match='no examples'):
    data.BucketBatches([], 8, 0)


def test_tokens_of_the_trained_parts():
  lengths = [[8, 30], [5, 21]]
  assert data.num_tokens(lengths).tolist() == [25 + 30, 16 + 21]
  assert data.num_tokens(lengths, ('vertex',)).tolist() == [25, 16]
  assert data.num_tokens(lengths, ('face',)).tolist() == [30, 21]
