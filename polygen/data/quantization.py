"""Between coordinates in [-0.5, 0.5] and integer bins.

    bin          0        1        2   ...  2^b - 1
    coordinate  -0.5   -0.5 + w  -0.5 + 2w    0.5        w = 1 / (2^b - 1)
"""
import numpy as np

from .. import tokens


def quantize_verts(verts, n_bits=8):
  """Nearest bin of each coordinate, ties down; int32 of the same shape.

  PolyGen, section 2.1. Coordinates outside [-0.5, 0.5] go to the first or last bin.
  `quantize_verts(dequantize_verts(bins, n), n)` equals bins.
  """
  _check_bits(n_bits)
  max_bin = tokens.max_bin(n_bits)
  position = (np.asarray(verts, np.float64) + 0.5) * max_bin
  bins = np.ceil(position - 0.5 - tokens.QUANTIZATION_TIE_MARGIN)
  return np.clip(bins, 0, max_bin).astype(np.int32)


def dequantize_verts(verts, n_bits=8, add_noise=False, rng=None):
  """Coordinates of bins, float32 of the same shape: the middle of each bin.

  add_noise: a uniformly random place within each bin instead (quantises to the same bin); rng is
    the numpy.random.Generator that chooses it, None for a fresh one.
  """
  _check_bits(n_bits)
  position = np.asarray(verts, np.float64)
  if add_noise:
    rng = np.random.default_rng() if rng is None else rng
    position = position + rng.uniform(2 * tokens.QUANTIZATION_TIE_MARGIN - 0.5, 0.5, position.shape)
  return (position / tokens.max_bin(n_bits) - 0.5).astype(np.float32)


def _check_bits(n_bits):
  if not 1 <= n_bits <= tokens.MAX_QUANTIZATION_BITS:
    raise ValueError('quantization bits must lie between 1 and {}, not {}'.format(
        tokens.MAX_QUANTIZATION_BITS, n_bits))
