"""The canonical form of polygons: which corner comes first, which face comes first.

Nothing here turns a face over: its winding tells the outside of the mesh.
"""
import collections

import numpy as np

from .. import tokens


def split_face(face):
  """Cuts a face that may visit a vertex twice into simple cycles.

  Walks the corners with a stack; when a vertex repeats, the cycle it closes is cut out. Cycles of
  less than three vertices have no area and go. Each cycle keeps the winding. Where several
  splits are possible the first corner decides.

  >>> split_face([0, 1, 2, 0, 3, 4])
  [[0, 1, 2], [0, 3, 4]]
  """
  cycles, stack, position = [], [], {}
  for vertex in face:
    if vertex in position:
      start = position[vertex]
      cycles.append(stack[start:])
      for removed in stack[start + 1:]:
        del position[removed]
      del stack[start + 1:]
    else:
      position[vertex] = len(stack)
      stack.append(vertex)
  cycles.append(stack)
  return [cycle for cycle in cycles if len(cycle) >= tokens.MIN_FACE_CORNERS]


def canonical_faces(faces):
  """Simple, distinct faces in an order that does not depend on the order given.

  Splits each face (from its smallest index, so the first corner given does not matter), rotates
  the smallest index to the front, drops repeated cycles and sorts by the index tuples, first
  without regard to the winding.

  Args:
    faces: lists of vertex indices.

  Returns:
    List of lists.
  """
  corners = collections.defaultdict(list)  # by the size of the face, one face after the other
  for face in faces:
    corners[len(face)] += face
  cycles, num_sizes = [], 0
  while corners:
    size = max(corners)  # splitting adds smaller ones only
    if size < tokens.MIN_FACE_CORNERS:
      break
    rows = np.array(corners.pop(size), np.int64).reshape(-1, size)
    simple, others = _sorted_cycles(_rotated(rows))
    cycles += simple.tolist()
    num_sizes += 1
    for face in others.tolist():
      for cycle in split_face(face):
        corners[len(cycle)] += cycle
  if num_sizes > 1:
    cycles.sort(key=lambda cycle: (sorted(cycle), cycle))
  return cycles


def _rotated(rows):
  """Faces of one size, int [F, n], each starting at the first visit of its smallest."""
  start = rows.argmin(axis=1)
  size = rows.shape[1]
  places = (start[:, None] + np.arange(size)) % size
  return np.take_along_axis(rows, places, axis=1)


def _sorted_cycles(rows):
  """Rotated faces of one size, int [F, n]: those that are cycles, sorted and different, others."""
  corners = np.sort(rows, axis=1)
  simple = (corners[:, 1:] != corners[:, :-1]).all(axis=1)
  cycles = rows[simple]
  order = np.lexsort(np.concatenate([corners[simple], cycles], axis=1).T[::-1])
  cycles = cycles[order]
  different = np.ones(len(cycles), bool)
  different[1:] = (cycles[1:] != cycles[:-1]).any(axis=1)
  return cycles[different], rows[~simple]


def reindex_faces(faces, new_index):
  """Faces with every index i replaced by new_index[i] (an array); indices become Python ints."""
  new_index = new_index.tolist()
  return [[new_index[index] for index in face] for face in faces]
