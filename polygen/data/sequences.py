"""Between meshes and the two token sequences drawn in polygen/tokens.py."""
import numpy as np

from .. import tokens


def flatten_vertices(vertices):
  """Vertex tokens of sorted vertices: (x, y, z) bins int [V, 3] -> int32 [3V + 1].

  >>> flatten_vertices([[7, 8, 9], [10, 11, 12]]).tolist()
  [10, 9, 8, 13, 12, 11, 0]
  """
  zyx = np.asarray(vertices, np.int32).reshape(-1, tokens.COORDINATES_PER_VERTEX)[:, ::-1]
  return np.append(zyx.ravel() + np.int32(tokens.VERTEX_TOKEN_OFFSET), np.int32(tokens.STOP))


def unflatten_vertices(flat_vertices):
  """Inverse of `flatten_vertices`: int32 [V, 3].

  Ignores what follows the first STOP; without one everything counts. The coordinates of an
  unfinished last vertex are dropped.
  """
  flat_vertices = np.asarray(flat_vertices, np.int32)
  end = _first_stop(flat_vertices)
  end -= end % tokens.COORDINATES_PER_VERTEX
  zyx = flat_vertices[:end].reshape(-1, tokens.COORDINATES_PER_VERTEX)
  return zyx[:, ::-1] - np.int32(tokens.VERTEX_TOKEN_OFFSET)


def flatten_faces(faces):
  """Face tokens of faces: list of lists of indices -> int32 [sum of sizes + number of faces].

  >>> flatten_faces([[0, 1, 2], [0, 2, 3, 4]]).tolist()
  [2, 3, 4, 1, 2, 4, 5, 6, 0]
  """
  flat = []
  for face in faces:
    flat += face
    flat.append(tokens.NEW_FACE - tokens.FACE_TOKEN_OFFSET)
  flat[-1:] = [tokens.STOP - tokens.FACE_TOKEN_OFFSET]
  return np.array(flat, np.int32) + np.int32(tokens.FACE_TOKEN_OFFSET)


def unflatten_faces(flat_faces):
  """Inverse of `flatten_faces`: a list of lists of vertex indices.

  Ignores what follows the first STOP. Without a STOP the face after the last NEW_FACE is
  unfinished and dropped. So are faces of fewer than three corners, which no mesh has.
  """
  flat_faces = np.asarray(flat_faces)
  end = _first_stop(flat_faces)
  finished = end < len(flat_faces)
  faces, face = [], []
  for token in flat_faces[:end].tolist():
    if token == tokens.NEW_FACE:
      faces.append(face)
      face = []
    else:
      face.append(token - tokens.FACE_TOKEN_OFFSET)
  if finished:
    faces.append(face)
  return [face for face in faces if len(face) >= tokens.MIN_FACE_CORNERS]


def _first_stop(flat):
  """Position of the first STOP, or the length if there is none."""
  is_stop = flat == tokens.STOP
  return int(is_stop.argmax()) if is_stop.any() else len(flat)
