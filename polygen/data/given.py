"""Vertices that a sample is to have: into the coordinates of the models, and back.

    model coordinates = (coordinates - center) / diagonal        of the bounding box of the mesh
"""
from typing import NamedTuple

import numpy as np

from .. import tokens
from . import obj
from .quantization import dequantize_verts, quantize_verts


class Frame(NamedTuple):
  """The bounding box of a mesh: centre, float [3] in the axes of an OBJ file, and diagonal."""
  center: tuple
  diagonal: float


# Of meshes as polygen.sample writes them.
MODEL_FRAME = Frame((0., 0., 0.), 1.)


class GivenVertices(NamedTuple):
  """The vertices of a sample that are not drawn.

  Attributes:
    bins: int32 [P, 3], (x, y, z), z up, sorted by z, then y, then x, all different.
    positions: float64 [P, 3], the same vertices as they were given, with z up; of several in one
      bin the first.
    frame: Frame.
    whole: whether there are no others; else these are the lowest.
    quantization_bits: of the bins.
  """
  bins: np.ndarray
  positions: np.ndarray
  frame: Frame
  whole: bool
  quantization_bits: int

  def place(self, vertices):
    """The vertices of a sample in the coordinates of the given ones.

    Args:
      vertices: float [V, 3] in model coordinates, perhaps moved as a whole, z up; the first P are
        the given ones.

    Returns:
      float32 [V, 3], z up.
    """
    first = dequantize_verts(self.bins[:1], self.quantization_bits)
    center = np.array(self.frame.center)[obj.OBJ_TO_Z_UP]
    unmoved = np.asarray(vertices, np.float64) - vertices[:1] + first
    placed = unmoved * self.frame.diagonal + center
    placed[:len(self.positions)] = self.positions
    return placed.astype(np.float32)


def whole_vertices(vertices, quantization_bits=8):
  """All vertices of a mesh, whose faces are to be drawn: GivenVertices.

  Args:
    vertices: floats [n, 3] in the axes of an OBJ file (y up).
    quantization_bits: of the models.

  Raises:
    ValueError: fewer than three are left once equal ones are merged, or one is not finite.
  """
  vertices = _checked(vertices)
  low, high = vertices.min(axis=0), vertices.max(axis=0)
  frame = Frame(tuple((low + high) / 2), float(np.linalg.norm(high - low)))
  if not frame.diagonal:
    raise ValueError('the given vertices have no extent: they all coincide')
  given = _given(vertices, quantization_bits, frame, whole=True)
  if len(given.bins) < tokens.MIN_FACE_CORNERS:
    raise ValueError('a face needs {} vertices, but the given ones fall into {} bins'.format(
        tokens.MIN_FACE_CORNERS, len(given.bins)))
  return given


def lowest_vertices(vertices, quantization_bits=8, frame=MODEL_FRAME):
  """The lowest vertices of a mesh (by z, then y, then x, with z up), of which the others are to be
  drawn: GivenVertices.

  Args:
    vertices: floats [n, 3] in the axes of an OBJ file (y up).
    quantization_bits: of the models.
    frame: of the whole mesh, which its lowest vertices do not tell.

  Raises:
    ValueError: a vertex lies outside the frame or is not finite, or too few may lie above.
  """
  vertices = _checked(vertices)
  given = _given(vertices, quantization_bits, frame, whole=False)
  missing = tokens.MIN_FACE_CORNERS - len(given.bins)
  if _bins_above(given.bins[-1], quantization_bits) < missing:
    raise ValueError('a face needs {} vertices, but no others fit above the given ones'.format(
        tokens.MIN_FACE_CORNERS))
  return given


def _checked(vertices):
  vertices = np.asarray(vertices, np.float64).reshape(-1, tokens.COORDINATES_PER_VERTEX)
  if not len(vertices):
    raise ValueError('no vertices are given')
  if not np.isfinite(vertices).all():
    raise ValueError('a vertex coordinate is not finite')
  return vertices


def _given(vertices, quantization_bits, frame, whole):
  scaled = (vertices - np.array(frame.center)) / frame.diagonal
  half_a_bin = 0.5 / tokens.max_bin(quantization_bits)
  if np.abs(scaled).max() > 0.5 + half_a_bin:
    raise ValueError(
        'a given vertex lies outside the bounding box of its mesh, which must have its centre at '
        '({:g}, {:g}, {:g}) and a diagonal of {:g}; give that of the whole mesh (--prefix_frame)'
        .format(*frame.center, frame.diagonal))
  bins = quantize_verts(scaled, quantization_bits)[:, obj.OBJ_TO_Z_UP]
  bins, first = np.unique(bins[:, ::-1], axis=0, return_index=True)  # sorted as (z, y, x)
  return GivenVertices(np.ascontiguousarray(bins[:, ::-1]), vertices[first][:, obj.OBJ_TO_Z_UP],
                       frame, whole, quantization_bits)


def _bins_above(vertex, quantization_bits):
  """How many triples of bins come after (x, y, z) in the order of vertices."""
  rank = 0
  for coordinate in vertex[::-1].tolist():
    rank = (rank << quantization_bits) + coordinate
  return (1 << tokens.COORDINATES_PER_VERTEX * quantization_bits) - 1 - rank
