"""Random variants of a mesh before it is quantised (PolyGen, appendix on data augmentation).

The warp bends faces that are planar, unless they lie along the axes: vary triangles first, then
merge them into n-gons (planar.py) at a random angle.
"""
import math

import numpy as np

# All from the paper. Scales of each axis, and angles of merging in degrees, are uniform.
SCALES = (0.75, 1.25)
MERGE_ANGLES = (1., 20.)
# The warp of an axis cuts its interval in equal pieces; the slopes of these are log-normal.
WARP_PIECES = 5
LOG_SLOPE_VARIANCE = 0.5
# Things are often as wide to the left as to the right, and to the front as to the back.
HORIZONTAL_AXES = (0, 2)   # of an OBJ file: y is up


def vary(vertices, rng):
  """Scales every axis and warps it piecewise linearly, keeping the order of coordinates.

  The warp maps the bounding box onto itself; along the horizontal axes it is symmetric about the
  centre of the box. The scale then acts about that centre. An axis without extent stays.

  Args:
    vertices: [V, 3] finite numbers, in the axes of an OBJ file (y up).
    rng: numpy.random.Generator; as many numbers are drawn for every mesh.

  Returns:
    float64 [V, 3].
  """
  vertices = np.array(vertices, np.float64).reshape(-1, 3)
  slopes = [_slopes(rng, axis in HORIZONTAL_AXES) for axis in range(3)]
  scales = rng.uniform(*SCALES, size=3)
  if not len(vertices):
    return vertices
  low, high = vertices.min(axis=0), vertices.max(axis=0)
  center, half = 0.5 * (low + high), 0.5 * (high - low)
  for axis in np.flatnonzero(half > 0):
    position = (vertices[:, axis] - center[axis]) / half[axis]
    warped = _warp(position, slopes[axis])
    vertices[:, axis] = center[axis] + half[axis] * scales[axis] * warped
  return vertices


def random_merge_angle(rng):
  """A tolerance for `merge_planar` in degrees, uniform in MERGE_ANGLES.

  Args:
    rng: numpy.random.Generator.
  """
  return float(rng.uniform(*MERGE_ANGLES))


def _slopes(rng, symmetric):
  """Slopes [WARP_PIECES] of a warp, not normalised; those of a symmetric one are mirrored."""
  half = (WARP_PIECES + 1) // 2
  slopes = rng.lognormal(0., math.sqrt(LOG_SLOPE_VARIANCE), half if symmetric else WARP_PIECES)
  return np.concatenate([slopes, slopes[:WARP_PIECES - half][::-1]]) if symmetric else slopes


def _warp(positions, slopes):
  """Maps [-1, 1] onto itself with slopes proportional to `slopes`, one per equal piece."""
  borders = np.linspace(-1., 1., len(slopes) + 1)
  heights = np.concatenate([[0.], np.cumsum(slopes)])
  heights = 2. * heights / heights[-1] - 1.
  return np.interp(positions, borders, heights)
