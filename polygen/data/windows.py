"""Which keys the queries of a packed batch see, block by block.

The sequences of a row see nothing of each other. So a block of queries sees a window of keys: in
self-attention from the start of its first sequence to its own end, in cross-attention the keys of
its sequences. The fewer rows there are, the less is computed that masks hide:

    keys       a a a a a b b b c        four blocks of one row
    block 0    x x x
    block 1    x x x x x
    block 2              x x x
    block 3                    x

Axes: B rows, T queries, S keys. Segments are as in packing.py, 0 at the end of a row is padding.
"""
import numpy as np

# One more saves little and makes the graph longer.
NUM_BLOCKS = 4


def causal_windows(segments):
  """The blocks of self-attention.

  Args:
    segments: int32 [B, T].

  Returns:
    int32 [NUM_BLOCKS, 2]: the first key of each block, and its end, which is that of its queries.
  """
  first_keys, _ = _sight(segments, segments)
  ends = cut(first_keys)
  return np.stack([first_keys[_begins(ends)], ends], axis=1).astype(np.int32)


def memory_windows(segments, memory_segments, ends):
  """What the blocks of queries that have these ends see of a memory.

  Args:
    segments: int32 [B, T].
    memory_segments: int32 [B, S].
    ends: int [NUM_BLOCKS].

  Returns:
    int32 [NUM_BLOCKS, 2]: the first key of each block, and the end of its keys.
  """
  first_keys, ends_of_keys = _sight(segments, memory_segments)
  begins = _begins(ends)
  return np.stack([first_keys[begins], ends_of_keys[np.maximum(begins, ends - 1)]],
                  axis=1).astype(np.int32)


def cut(first_keys):
  """Cuts queries into blocks so that few pairs of a query and a key are computed.

  Again and again the cut is made that saves most.

  Args:
    first_keys: int [T], ascending, for each query; its last key is itself.

  Returns:
    int [NUM_BLOCKS], ascending, the ends of the blocks; the last is T.
  """
  bounds = [0, len(first_keys)]
  while len(bounds) <= NUM_BLOCKS:
    _, place = max(_best_cut(first_keys, *block) for block in zip(bounds, bounds[1:]))
    bounds = sorted(bounds + [place])
  return np.array(bounds[1:])


def num_pairs(windows):
  """Pairs of a query and a key that a row computes with the result of `causal_windows`."""
  firsts, ends = windows.astype(np.int64).T
  return int(((ends - np.append(0, ends[:-1])) * (ends - firsts)).sum())


def _best_cut(first_keys, begin, end):
  """(pairs saved, place) of the best cut of a block; none saved at its begin."""
  if begin == end:
    return 0, end
  places = np.arange(begin, end)
  computed = ((places - begin) * (places - first_keys[begin])
              + (end - places) * (end - first_keys[begin:end]))
  best = int(computed.argmin())
  return int(computed[0] - computed[best]), begin + best


def _begins(ends):
  """The first query of each block; an empty one has that of the next."""
  return np.append(0, ends[:-1])


def _sight(queries, keys):
  """The first key of each query's segment over all rows, and the last end: int [T] both."""
  first_keys, ends = [], []
  for row, seen in zip(_padding_last(queries), _padding_last(keys)):
    first_keys.append(np.searchsorted(seen, row, 'left'))
    ends.append(np.searchsorted(seen, row, 'right'))
  # Padding may have no keys of its own: it is given the last one.
  return (np.minimum(np.min(first_keys, axis=0), keys.shape[1] - 1),
          np.max(ends, axis=0))


def _padding_last(segments):
  return np.where(segments > 0, segments, np.iinfo(segments.dtype).max)
