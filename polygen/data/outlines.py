"""Straight corners of polygons dissolved: the second half of planar decimation (see planar.py)."""
import math

from .. import tokens
from . import vectors

_DIGITS = 6           # of angles: those that differ less are alike, and the place decides
_LARGEST_CUT = 0.25   # of the area of a face, by dissolving one corner: thin faces stay


class Outline:
  """The faces around every corner, from which straight corners are dissolved."""

  def __init__(self, points, faces, regions, degrees):
    self._points = points.tolist()
    self._regions = regions
    self._limit = math.radians(degrees)
    self._edges = set()
    self._around = [[] for _ in points]   # of each place: regions, None for a face left as it is
    self._before = {}                     # of each region: its ring, backwards
    self._deviations = {}                 # edge: by how much it may be off those it stands for
    self._enter(faces)

  def _enter(self, faces):
    done = set()
    for number, face in enumerate(faces):
      region = self._regions.find(number)
      ring = self._regions.rings[region]
      if ring is None and len(set(face)) >= tokens.MIN_FACE_CORNERS:
        self._edges.update(zip(face, face[1:] + face[:1]))
        for corner in face:
          self._around[corner].append(None)
      elif ring is not None and region not in done:
        done.add(region)
        self._edges.update(ring.items())
        self._before[region] = {following: corner for corner, following in ring.items()}
        for corner in ring:
          self._around[corner].append(region)

  def dissolve_straight_corners(self):
    """Changes the rings of the regions: the straightest corners go first, then by place."""
    turns = []
    for corner, regions in enumerate(self._around):
      if 1 <= len(regions) <= 2 and None not in regions:
        turn = self._turn(*self._neighbours(regions[0], corner))
        if turn <= self._limit:
          turns.append((round(turn, _DIGITS), corner))
    for _, corner in sorted(turns):
      self._dissolve(corner)

  def _neighbours(self, region, corner):
    """The corner before, the corner itself and the one after, as places."""
    return self._before[region][corner], corner, self._regions.rings[region][corner]

  def _turn(self, a, b, c):
    return vectors.angle(self._line(a, b), self._line(b, c))

  def _line(self, a, b):
    return vectors.minus(self._points[b], self._points[a])

  def _dissolve(self, corner):
    regions = self._around[corner]
    a, b, c = self._neighbours(regions[0], corner)
    deviation = self._deviation(a, b, c)
    if deviation is None or (a, c) in self._edges or (c, a) in self._edges:
      return
    if len(regions) == 2 and self._neighbours(regions[1], corner) != (c, b, a):
      return
    twice = vectors.cross(self._line(a, b), self._line(a, c))
    if not all(self._can_lose(region, twice) for region in regions):
      return
    self._deviations[a, c] = self._deviations[c, a] = deviation
    for region, (first, last), sign in zip(regions, ((a, c), (c, a)), (0.5, -0.5)):
      self._remove(region, first, corner, last, tuple(sign * x for x in twice))

  def _deviation(self, a, b, c):
    """The angle between a -> c and what it would stand for, at most; None if that is too much."""
    if self._turn(a, b, c) > self._limit:
      return None
    line = self._line(a, c)
    deviation = max(vectors.angle(line, self._line(*edge)) + self._deviations.get(edge, 0.)
                    for edge in ((a, b), (b, c)))
    return deviation if deviation <= self._limit else None

  def _can_lose(self, region, twice):
    """Whether a region has corners and area enough to lose a triangle of this twofold area."""
    return (len(self._regions.rings[region]) > tokens.MIN_FACE_CORNERS
            and vectors.length(twice) / 2
            <= _LARGEST_CUT * vectors.length(self._regions.areas[region]))

  def _remove(self, region, a, b, c, cut):
    ring, before = self._regions.rings[region], self._before[region]
    del ring[b], before[b]
    ring[a], before[c] = c, a
    self._regions.areas[region] = vectors.minus(self._regions.areas[region], cut)
    self._edges.difference_update([(a, b), (b, c)])
    self._edges.add((a, c))
