"""OFF files: the polygons in them. trimesh reads no file whose polygons differ in size."""
import re

from .. import tokens

_HEADER = re.compile(rb'\s*(?:ST|C|N)*OFF(?!\s*BINARY)')  # numbers may follow at once


def parse_off(data):
  """The mesh in the bytes of a text file.

  Normals, colours and texture coordinates are ignored, and so are faces of one or two corners.

  Returns:
    vertices: list of V lists of 3 floats, perhaps not finite.
    faces: list of lists of indices, perhaps beyond the vertices.

  Raises:
    ValueError: it is no such file, or has less in it than it promises.

  >>> parse_off(b'OFF 3 1 0\\n0 0 0\\n1 0 0\\n0 1 0\\n3 0 1 2')
  ([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0, 1, 2]])
  """
  text = re.sub(rb'#[^\r\n]*', b'', data)
  header = _HEADER.match(text)
  if not header or b'_' in text:
    raise ValueError('it is no text that starts with "OFF"')
  rows = [line.split() for line in text[header.end():].splitlines() if line.strip()]
  if not rows or len(rows[0]) < 2:
    raise ValueError('it does not say how many vertices and faces it has')
  num_vertices, num_faces = map(int, rows[0][:2])
  if min(num_vertices, num_faces) < 0 or len(rows) <= num_vertices + num_faces:
    raise ValueError(f'it promises {num_vertices} vertices and {num_faces} faces, but has '
                     f'{len(rows) - 1} lines')
  vertices = [_first(float, row, tokens.COORDINATES_PER_VERTEX) for row in rows[1:1 + num_vertices]]
  faces = [_first(int, row[1:], int(row[0]))
           for row in rows[1 + num_vertices:1 + num_vertices + num_faces]]
  return vertices, [face for face in faces if len(face) >= tokens.MIN_FACE_CORNERS]


def _first(kind, words, count):
  if not 0 <= count <= len(words):
    raise ValueError(f'a line promises {count} numbers, but has {len(words)}')
  return [kind(word) for word in words[:count]]
