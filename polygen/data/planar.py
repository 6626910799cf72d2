"""Adjacent faces of nearly one plane merged into n-gons.

PolyGen learns the n-gons that planar decimation finds in the triangles of its data (appendix on
data augmentation: Blender's decimate modifier, planar mode). Here regions of faces grow by merging
across edges, the flattest first; then corners on straight lines are dissolved. How far a face may
deviate from its region is bounded, so that no region creeps round a curved surface.
"""
import itertools
import math

import numpy as np

from .. import tokens
from . import outlines
from . import vectors

_NO_AREA = 1e-12      # of the squared extent of a face: its normal is rounding alone
_DIGITS = 6           # of angles: those that differ less are alike, and the place decides


def merge_planar(vertices, faces, degrees):
  """Merges adjacent faces whose normals differ by at most `degrees`, dissolves straight corners.

  Two regions merge across an edge that two faces share, with opposite directions, and no other.
  All edges on the path along which they meet go at once. A merge that would leave a hole, or a
  boundary that visits a vertex twice, waits until other faces have filled the gap, or is not made.
  The normals of both regions, those of their area vectors, differ by at most `degrees`, and all
  normals of given faces lie within `degrees` of that of the merged region. For the latter each
  region keeps a ball around its given normals, the smallest around those of the two regions it was
  made of; the distance to its far side is a bound that is simple, sufficient and never exceeded.

  A corner of one face alone, or of exactly two that share both its edges, is dissolved if the line
  turns there by at most `degrees`, no edge then deviates by more than `degrees` from those it
  stands for, no edge is made that exists, and the faces keep three corners and most of their area.

  Faces of less than three different places, of no area, or that visit a place twice are left as
  they are. Vertices in exactly the same place count as one; the first of them is named. Time is
  nearly linear in the number of corners.

  Args:
    vertices: [V, 3] numbers.
    faces: lists of vertex indices, counter-clockwise seen from outside.
    degrees: the tolerance, above 0 and below 90.

  Returns:
    List of lists of vertex indices, in the order of the first face of each region. What was inside
    a region is used no more.

  Raises:
    ValueError: degrees out of range, or an index outside the vertices.
  """
  if not 0 < degrees < 90:
    raise ValueError(f'degrees must lie between 0 and 90, not {degrees}')
  points, firsts, faces = _weld(np.asarray(vertices, np.float64).reshape(-1, 3), faces)
  with np.errstate(all='ignore'):   # coordinates that are not finite leave no normal, no merge
    regions = _merge_faces(points, faces, degrees)
  outlines.Outline(points, faces, regions, degrees).dissolve_straight_corners()
  return [[firsts[place] for place in polygon] for polygon in regions.polygons(faces)]


def _weld(vertices, faces):
  """Different places [U, 3], sorted; the first vertex at each, a list; faces as lists of places.

  What follows knows places only, so the order of the vertices does not matter.
  """
  order = np.lexsort(vertices.T)   # stable: of coinciding vertices the first stays the first
  ordered = vertices[order]
  is_new = np.ones(len(vertices), bool)
  is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
  place = np.empty(len(vertices), np.int64)
  place[order] = np.cumsum(is_new) - 1
  place = dict(enumerate(place.tolist()))   # unlike a list it has no negative indices
  try:
    faces = [[place[int(index)] for index in face] for face in faces]
  except KeyError as error:
    raise ValueError(
        f'a face names vertex {error}, but the mesh has {len(vertices)} vertices') from None
  return ordered[is_new], order[is_new].tolist(), faces


def _merge_faces(points, faces, degrees):
  """The _Regions that no further edge can join."""
  here, following, owner = _sides(faces)
  areas, solid = np.zeros([len(faces), 3]), np.zeros(len(faces), bool)
  if len(owner):
    numbers, starts = np.unique(owner, return_index=True)
    areas[numbers], solid[numbers] = _area_vectors(points[here], points[following], starts)
  solid &= np.array([len(set(face)) == len(face) for face in faces], bool)
  regions = _Regions(
      faces, areas, solid, *_repeated(here, following, owner, len(faces)), degrees=degrees)
  edges = _inner_edges(here, following, owner)
  edges = _flattest_first(edges[solid[edges[:, 2:]].all(axis=1)], areas, degrees)
  while True:
    left = [edge for edge in edges if not regions.merge(*edge)]
    if len(left) == len(edges):
      return regions
    edges = [edge for edge in left if regions.find(edge[2]) != regions.find(edge[3])]


def _sides(faces):
  """The sides of faces of three different places or more: from, to and the face; int64 [3, N]."""
  sides = [(here, following, number)
           for number, face in enumerate(faces) if len(set(face)) >= tokens.MIN_FACE_CORNERS
           for here, following in zip(face, face[1:] + face[:1])]
  return np.array(sides, np.int64).reshape(-1, 3).T


def _area_vectors(here, following, starts):
  """Area vectors [F, 3] of faces, and whether they are more than rounding, bool [F].

  Args:
    here, following: [N, 3], the ends of the sides of all faces.
    starts: [F], the first side of each face.
  """
  first = np.repeat(here[starts], np.diff(starts, append=len(here)), axis=0)
  here, following = here - first, following - first   # near 0, where rounding is small
  areas = np.add.reduceat(np.cross(here, following), starts) / 2
  extents = np.maximum.reduceat((here ** 2).sum(axis=1), starts)
  sizes = np.linalg.norm(areas, axis=1)
  return areas, (sizes > _NO_AREA * extents) & np.isfinite(sizes)


def _repeated(here, following, owner, num_faces):
  """Directed edges of several faces, {edge: faces}, and [F] how many others each face has."""
  order = np.lexsort((following, here))
  same = (np.diff(here[order]) == 0) & (np.diff(following[order]) == 0)
  repeated = np.zeros(len(here), bool)
  repeated[order[1:]] |= same
  repeated[order[:-1]] |= same
  users = {}
  for a, b, face in zip(*(column[repeated].tolist() for column in (here, following, owner))):
    users.setdefault((a, b), []).append(face)
  return users, np.bincount(owner[~repeated], minlength=num_faces)


def _inner_edges(here, following, owner):
  """Edges of exactly two faces that run along them in opposite directions.

  Returns:
    int64 [E, 4]: the lower place, the higher one, the face that goes up, the face that goes down.
  """
  low, high = np.minimum(here, following), np.maximum(here, following)
  order = np.lexsort((here, high, low))
  low, high = low[order], high[order]
  is_new = np.ones(len(order), bool)
  is_new[1:] = (np.diff(low) != 0) | (np.diff(high) != 0)
  start = np.flatnonzero(is_new)
  start = start[np.diff(start, append=len(order)) == 2]
  up, down = order[start], order[start + 1]
  opposite = here[up] < here[down]
  return np.stack([low[start], high[start], owner[up], owner[down]], axis=1)[opposite]


def _flattest_first(edges, areas, degrees):
  """Edges [E, 4] that bend within the tolerance; a list, the flattest first, then by place."""
  up, down = (areas[edges[:, i]] / np.linalg.norm(areas[edges[:, i]], axis=1, keepdims=True)
              for i in (2, 3))
  bends = np.linalg.norm(up - down, axis=1)
  edges, bends = edges[bends <= _chord(degrees)], bends[bends <= _chord(degrees)]
  order = np.lexsort((edges[:, 1], edges[:, 0], np.round(bends, _DIGITS)))
  return edges[order].tolist()


def _chord(degrees):
  """The distance of unit vectors of this angle."""
  return 2 * math.sin(math.radians(degrees) / 2)


class _Regions:
  """Faces and what they have merged to; a region goes by the number of one of its faces.

  Attributes, lists with an entry per region (entries of other faces are stale):
    rings: the boundary as a dict, each corner and the next; None for a face left as it is.
    areas: area vectors (x, y, z).
  """

  def __init__(self, faces, areas, solid, users, num_unique, degrees):
    self.rings = [dict(zip(face, face[1:] + face[:1])) if is_solid else None
                  for face, is_solid in zip(faces, solid.tolist())]
    self.areas = areas.tolist()
    self._balls = [vectors.unit(area) + (0.,) if ring else None
                   for area, ring in zip(self.areas, self.rings)]
    self._parents = list(range(len(faces)))
    self._users = users
    self._num_unique = num_unique.tolist()
    self._tried = {}
    self._limit = _chord(degrees)

  def find(self, face):
    """The region of a face."""
    parents = self._parents
    while parents[face] != face:
      parents[face] = face = parents[parents[face]]
    return face

  def merge(self, low, high, up, down):
    """Merges what faces on both sides of an edge have become, if it may; whether it did."""
    up, down = self.find(up), self.find(down)
    if up == down:
      return False
    area = vectors.add(self.areas[up], self.areas[down])
    pair = min(up, down), max(up, down)
    if self._tried.get(pair) == area:   # in vain, and neither has grown since
      return False
    self._tried[pair] = area
    ball = _enclosing(self._balls[up], self._balls[down])
    if not self._is_flat(up, down, area, ball):
      return False
    path = _shared_path(self.rings[up], self.rings[down], low, high)
    if path is None or self._is_shared(path) or self._exists(up, down, path):
      return False
    _cut(self.rings[up], self.rings[down], path)
    keep, gone = (up, down) if len(self.rings[up]) >= len(self.rings[down]) else (down, up)
    self.rings[keep].update(self.rings[gone])
    self.areas[keep], self._balls[keep] = area, ball
    self._num_unique[keep] = self._num_unique_after(up, down, path)
    self._parents[gone], self.rings[gone] = keep, None
    return True

  def _is_flat(self, up, down, area, ball):
    """Whether two regions, merged to one of this area vector and ball, are within the tolerance."""
    between = vectors.distance(vectors.unit(self.areas[up]), vectors.unit(self.areas[down]))
    return (between <= self._limit
            and vectors.distance(vectors.unit(area), ball) + ball[3] <= self._limit)

  def _is_shared(self, path):
    """Whether a third face runs along the path."""
    users = self._users
    return bool(users) and any(
        (a, b) in users or (b, a) in users for a, b in zip(path, path[1:]))

  def _num_unique_after(self, up, down, path):
    return self._num_unique[up] + self._num_unique[down] - 2 * (len(path) - 1)

  def _exists(self, up, down, path):
    """Whether the merged region would have the boundary of another one, edge by edge."""
    if self._num_unique_after(up, down, path):
      return False
    one, other = dict(self.rings[up]), dict(self.rings[down])
    _cut(one, other, path)
    one.update(other)
    others = self._users[next(iter(one.items()))]
    return any(self.rings[self.find(face)] == one for face in others)

  def polygons(self, faces):
    """Yields the corners of all regions, in the order of their first faces, as these begin."""
    done = set()
    for number, face in enumerate(faces):
      region = self.find(number)
      ring = self.rings[region]
      if ring is None:
        yield face
      elif region not in done:
        done.add(region)
        start = next((corner for corner in face if corner in ring), None)
        yield _walk(ring, min(ring) if start is None else start)


def _walk(ring, start):
  corners = [start]
  while ring[corners[-1]] != start:
    corners.append(ring[corners[-1]])
  return corners


def _shared_path(ring, opposite, low, high):
  """The path along which two rings run in opposite directions, as corners in the order of `ring`.

  None if they also meet elsewhere, or if merging would leave less than three corners.
  """
  path = [low, high]
  while path[-1] != low and opposite.get(ring[path[-1]]) == path[-1]:
    path.append(ring[path[-1]])
  before = [low]
  while before[-1] != path[-1] and ring.get(opposite[before[-1]]) == before[-1]:
    before.append(opposite[before[-1]])
  path = before[:0:-1] + path
  small, large = (ring, opposite) if len(ring) < len(opposite) else (opposite, ring)
  is_all = sum(map(large.__contains__, small)) == len(path)
  left = len(ring) + len(opposite) - 2 * (len(path) - 1)
  return path if is_all and left >= tokens.MIN_FACE_CORNERS else None


def _cut(ring, opposite, path):
  """Takes the shared path out of two rings, so that their union is the ring around both."""
  for corner in path[:-1]:
    del ring[corner]
  for corner in path[1:]:
    del opposite[corner]


def _enclosing(ball, other):
  """The smallest ball (x, y, z, radius) around two balls."""
  between = vectors.distance(ball, other)
  if between + other[3] <= ball[3]:
    return ball
  if between + ball[3] <= other[3]:
    return other
  radius = (between + ball[3] + other[3]) / 2
  share = (radius - ball[3]) / between
  return tuple(x + share * (y - x) for x, y in zip(ball[:3], other)) + (radius,)
