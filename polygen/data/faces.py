"""The canonical form of polygons: which corner comes first, which face comes first.

Nothing here turns a face over: its winding tells the outside of the mesh.
"""
from .. import tokens


def rotate_face(face):
  """The same cycle, starting at (the first visit of) its smallest index."""
  start = face.index(min(face))
  return face[start:] + face[:start]


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
  cycles = set()
  for face in faces:
    if len(face) < tokens.MIN_FACE_CORNERS:
      continue
    face = rotate_face(face)
    if len(set(face)) == len(face):
      cycles.add(tuple(face))
    else:
      cycles.update(tuple(rotate_face(cycle)) for cycle in split_face(face))
  return [list(cycle) for cycle in sorted(cycles, key=lambda cycle: (sorted(cycle), cycle))]


def reindex_faces(faces, new_index):
  """Faces with every index i replaced by new_index[i] (an array); indices become Python ints."""
  new_index = new_index.tolist()
  return [[new_index[index] for index in face] for face in faces]
