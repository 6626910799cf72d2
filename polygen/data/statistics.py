"""Figures that describe a mesh: how large, how dense, how sound."""
from typing import NamedTuple

import numpy as np

from .. import tokens


class MeshStatistics(NamedTuple):
  """Plain Python numbers; a mean of nothing is 0."""
  num_vertices: int
  num_faces: int
  mean_degree: float             # of all vertices: distinct edges that end there
  mean_edge_length: float        # of distinct edges, without direction
  mean_face_area: float
  num_open_edges: int            # edges that belong to one face only
  num_duplicate_faces: int       # faces with the corners of an earlier one, from either side
  num_unreferenced_vertices: int
  watertight: bool               # there are edges, and all of them belong to two faces


def mesh_statistics(vertices, faces):
  """Measures a mesh of polygons, in a time linear in its vertices and corners.

  The area of a face is that of its area vector (Newell's): exact for planar faces, convex or not.

  Faces need not be sound. Those of less than three corners do not count at all. Two successive
  visits of a corner to one vertex make no edge. A face that runs along an edge twice counts as two
  faces of that edge, as where a cut leads to a hole inside a face.

  Args:
    vertices: [V, 3] numbers.
    faces: lists of vertex indices.

  Returns:
    MeshStatistics.
  """
  vertices = np.asarray(vertices, np.float64).reshape(-1, 3)
  faces, here, following = _sides(faces)
  edges, uses = _edges(here, following, len(vertices))
  lengths = np.linalg.norm(vertices[edges[0]] - vertices[edges[1]], axis=-1)
  return MeshStatistics(
      num_vertices=len(vertices),
      num_faces=len(faces),
      mean_degree=2 * len(uses) / max(1, len(vertices)),
      mean_edge_length=_mean(lengths),
      mean_face_area=_mean(_areas(vertices, faces, here, following)),
      num_open_edges=int((uses == 1).sum()),
      num_duplicate_faces=len(faces) - len({_without_side(face) for face in faces}),
      num_unreferenced_vertices=len(vertices) - len(np.unique(here)),
      watertight=len(uses) > 0 and bool((uses == 2).all()))


def total_area(vertices, faces):
  """The sum of the areas of all faces, as `mesh_statistics` measures them; a float."""
  vertices = np.asarray(vertices, np.float64).reshape(-1, 3)
  return float(_areas(vertices, *_sides(faces)).sum())


def _sides(faces):
  """Faces of at least three corners, their corners joined [N], and the next corner of each [N]."""
  faces = [[int(index) for index in face] for face in faces
           if len(face) >= tokens.MIN_FACE_CORNERS]
  here = np.array([index for face in faces for index in face], np.int64)
  following = np.array([index for face in faces for index in face[1:] + face[:1]], np.int64)
  return faces, here, following


def _edges(here, following, num_vertices):
  """Distinct edges [2, E] of the sides here -> following of all faces, and uses [E] of each."""
  low, high = np.minimum(here, following), np.maximum(here, following)
  numbers, uses = np.unique((low * num_vertices + high)[low < high], return_counts=True)
  return np.stack([numbers // max(1, num_vertices), numbers % max(1, num_vertices)]), uses


def _areas(vertices, faces, here, following):
  """Areas [F] of faces whose corners and their successors are joined in `here`, `following`."""
  if not faces:
    return np.zeros([0])
  sizes = [len(face) for face in faces]
  starts = np.cumsum([0] + sizes[:-1])
  first = vertices[np.repeat(here[starts], sizes)]   # near the face, where rounding is small
  twice = np.cross(vertices[here] - first, vertices[following] - first)
  return np.linalg.norm(np.add.reduceat(twice, starts), axis=-1) / 2


def _without_side(face):
  """The same tuple for all rotations of a face and of its reverse."""
  lowest = min(face)
  return min(tuple(cycle[start:] + cycle[:start])
             for cycle in (face, face[::-1])
             for start, index in enumerate(cycle) if index == lowest)


def _mean(values):
  return float(values.mean()) if len(values) else 0.
