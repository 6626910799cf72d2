"""Random changes to training examples (PolyGen, appendix on data augmentation)."""
import math

import numpy as np

from .. import tokens


def random_shift(vertices, shift_factor=0.25, quantization_bits=8, rng=None):
  """Moves a mesh by one random whole number of bins per axis.

  The shift is normal with standard deviation shift_factor * (2^b - 1), truncated (redrawn, not
  clipped) so that every vertex stays in range, and rounded toward 0.

  Args:
    vertices: int32 [V, 3], bins.
    shift_factor: standard deviation as a share of the range.
    quantization_bits: bits per coordinate.
    rng: numpy.random.Generator, None for a fresh one.

  Returns:
    int32 [V, 3].
  """
  vertices = np.asarray(vertices, np.int32)
  if not len(vertices):
    return vertices
  rng = np.random.default_rng() if rng is None else rng
  max_bin = tokens.max_bin(quantization_bits)
  low = -vertices.min(axis=0)
  high = max_bin - vertices.max(axis=0)
  if (low > 0).any() or (high < 0).any():
    raise ValueError(f'vertices must be bins between 0 and {max_bin}')
  shift = [int(truncated_normal(rng, shift_factor * max_bin, float(a), float(b)))
           for a, b in zip(low, high)]
  return vertices + np.array(shift, np.int32)


def truncated_normal(rng, scale, low, high):
  """A normal number of mean 0 on condition that it lies in [low, high], low <= 0 <= high.

  By rejection; each proposal is accepted with a probability of about 1/2 or more.
  """
  is_wide = high - low >= math.sqrt(2 * math.pi) * scale
  while True:
    if is_wide:
      x = rng.normal(0., scale)
      accepted = low <= x <= high
    else:
      x = rng.uniform(low, high)
      accepted = rng.uniform() <= math.exp(-0.5 * (x / scale) ** 2)
    if accepted:
      return x


def shuffle_vertices(vertices, flat_faces, rng=None):
  """Puts the vertices in random order and renames them in the faces, whose order stays.

  Args:
    vertices: [V, 3].
    flat_faces: int32 [F], face tokens.
    rng: numpy.random.Generator, None for a fresh one.

  Returns:
    vertices [V, 3] and face tokens int32 [F] of the same mesh.
  """
  rng = np.random.default_rng() if rng is None else rng
  order = rng.permutation(len(vertices))
  offset = tokens.FACE_TOKEN_OFFSET
  new_token = np.arange(len(vertices) + offset, dtype=np.int32)
  new_token[order + offset] = np.arange(len(vertices)) + offset
  return np.asarray(vertices)[order], new_token[np.asarray(flat_faces)]
