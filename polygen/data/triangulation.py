"""Polygons cut into triangles by ear clipping: n - 2 for n corners, whatever their shape.

An ear is a corner whose triangle with its two neighbours lies inside the polygon; clipping it
leaves a polygon with one corner less. A simple polygon always has an ear without any other corner
in or on its triangle, so that no triangle need be flat, even where corners lie on a straight side.
"""
import numpy as np

from .. import tokens

# Of the extent of a polygon: above what float32 coordinates lose, below the bins of 16 bits.
# Corners this close to a line may lie on it.
_ON_A_LINE = 2. ** -22
# Kinds of ears, the best first: clean beyond doubt; clean; flat, or touched by other corners, as
# only polygons that touch themselves need. An ear of a kind is higher than this margin, and no
# other corner is inside it, or outside by no more than this.
_MARGINS = np.array([_ON_A_LINE, 0., -_ON_A_LINE])
_NO_KIND = len(_MARGINS)

_NO_AREA = 1e-12   # of the squared extent
_BATCH_CORNERS = 2 ** 16   # of polygons cut at the same time


def triangulate(vertices, faces):
  """Cuts every face of n corners into n - 2 triangles that wind as it does.

  The triangles of a planar polygon that does not cross itself fill it exactly. Other polygons
  are seen along their area vector, and what crosses itself there is filled somehow. Edges between
  faces stay shared: the directed edges of a face are edges of its triangles, whose other edges
  occur once in each direction. So a closed mesh stays closed (but an edge may get four
  triangles where two faces have the same two corners across from each other, as the two sides of
  a square without thickness have).

  Time grows with the square of the number of corners of a face.

  Args:
    vertices: [V, 3] finite numbers.
    faces: lists of vertex indices; those of less than three are left out.

  Returns:
    int32 [T, 3], in the order of the faces.

  >>> triangulate([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 2, 0]], [[0, 1, 2, 3]]).tolist()
  [[3, 0, 1], [1, 2, 3]]
  """
  vertices = np.asarray(vertices, np.float64).reshape(-1, 3)
  faces = [face for face in faces if len(face) >= tokens.MIN_FACE_CORNERS]
  triangles = [np.zeros([0, 3], np.int32)] * len(faces)
  for places in _batches([len(face) for face in faces]):
    polygons = np.array([list(faces[place]) for place in places], np.int32)
    positions = _clip_ears(_flatten(vertices[polygons]))
    for place, polygon, triples in zip(places, polygons, positions):
      triangles[place] = polygon[triples]
  return np.concatenate([np.zeros([0, 3], np.int32)] + triangles)


def _batches(sizes):
  """Yields lists of the places of equal sizes, bounded in length."""
  places = {}
  for place, size in enumerate(sizes):
    places.setdefault(size, []).append(place)
  for size, group in places.items():
    length = max(1, _BATCH_CORNERS // size)
    for start in range(0, len(group), length):
      yield group[start:start + length]


def _flatten(corners):
  """Projects polygons [B, n, 3] to [2, B, n], of extent 1 or so, winding counter-clockwise."""
  corners = corners - corners.mean(axis=1, keepdims=True)
  extent = np.abs(corners).max(axis=(1, 2), keepdims=True)
  corners = corners / np.where(extent > 0, extent, 1)
  normal = np.cross(corners, np.roll(corners, -1, axis=1)).sum(axis=1)
  flat = np.linalg.norm(normal, axis=-1) < _NO_AREA
  if flat.any():
    normal[flat] = np.linalg.svd(corners[flat], full_matrices=False)[2][:, 2]
  right = np.cross(normal, np.eye(3)[np.abs(normal).argmin(axis=-1)])
  axes = np.stack([right, np.cross(normal, right)])
  axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
  # Not a matrix product, which may send equal corners to different points.
  return (corners * axes[:, :, None]).sum(axis=-1)


def _clip_ears(points):
  """Cuts polygons [2, B, n]; returns the positions 0 to n - 1 of triangles, [B, n - 2, 3].

  Clipping changes the triangles of two corners. The other triangles stay as blocked as they were:
  one that reaches out of a polygon reaches out of every part of it.
  """
  _, num_rows, n = points.shape
  row = np.arange(num_rows)[:, None]
  corners, triangles = np.tile(np.arange(n), [num_rows, 1]), []
  ears = _ears(points)
  blocked = _blocked(ears, points)
  while n > 3:
    ear = _best_ear(ears, blocked)[:, None]
    triangles.append(corners[row, (ear + [-1, 0, 1]) % n])
    keep = np.arange(n) != ear
    n -= 1
    corners, points, blocked = [
        array[..., keep].reshape(array.shape[:-1] + (n,)) for array in (corners, points, blocked)]
    ears = _ears(points)
    changed = (ear + [-1, 0]) % n
    blocked[:, row, changed] = _blocked(ears[:, :, row, changed], points)
  return np.stack(triangles + [corners], axis=1)


def _ears(points):
  """The triangle of every corner of polygons [2, B, n] with its neighbours: [2, 3, B, n]."""
  ring = np.concatenate([points[..., -1:], points, points[..., :1]], axis=-1)
  return np.stack([ring[..., :-2], points, ring[..., 2:]], axis=1)


def _blocked(triangles, points):
  """Whether any of the points [2, B, n] keeps triangles [2, 3, B, m] from being ears of a kind.

  A point in the place of a corner of the triangle does not.

  Returns:
    bool [kinds, B, m].
  """
  points = points[:, None]
  blocked = []
  for i in range(triangles.shape[-1]):
    triangle = triangles[..., i, None]
    depth = _left(triangle, triangle[:, [1, 2, 0]], points).min(axis=0)
    elsewhere = ((points[0] != triangle[0]) | (points[1] != triangle[1])).all(axis=0)
    blocked.append([((depth >= -margin) & elsewhere).any(axis=-1) for margin in _MARGINS])
  return np.moveaxis(np.array(blocked), 0, -1)


def _best_ear(ears, blocked):
  """Positions [B] of ears of the best kind there is; among these, of the most equilateral ones.

  Args:
    ears: [2, 3, B, n] triangles.
    blocked: bool [kinds, B, n].
  """
  a, b, c = ears[:, 0], ears[:, 1], ears[:, 2]
  legal = ~blocked & (_left(c, a, b) > _MARGINS[:, None, None])
  kind = np.where(legal.any(axis=0), legal.argmax(axis=0), _NO_KIND)
  sides = ears - ears[:, [1, 2, 0]]
  squares = _dot(sides, sides).sum(axis=0)
  shape = _cross(b - a, c - b) / np.where(squares > 0, squares, 1)   # within +-0.3
  return (shape - kind).argmax(axis=-1)


def _left(a, b, points):
  """How far points [2, ...] lie to the left of the line from a to b [2, ...]."""
  line = b - a
  length = np.sqrt(_dot(line, line))
  return _cross(line, points - a) / np.where(length > 0, length, 1)


def _dot(u, v):
  return u[0] * v[0] + u[1] * v[1]


def _cross(u, v):
  return u[0] * v[1] - u[1] * v[0]
