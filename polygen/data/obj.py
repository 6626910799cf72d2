"""Wavefront OBJ files: the polygons in them, and nothing else."""
import itertools
import os
import re

import numpy as np

from .. import tokens

# Columns of (x, y, z) with z up in the order of an OBJ file, whose second axis points up.
Z_UP_TO_OBJ = [1, 2, 0]
OBJ_TO_Z_UP = [2, 0, 1]

_UTF16_MARKS = (b'\xff\xfe', b'\xfe\xff')
_UTF8_MARK = b'\xef\xbb\xbf'
# How a line starts that is a vertex, a face or certainly neither.
_PLAIN_START = re.compile(rb'[vf] |v[nt]|[^vf\s]|$')


def read_obj(obj_path):
  """Reads the vertices and faces of an OBJ file, in the axes of the file.

  Returns:
    vertices: float32 [V, 3], every vertex of the file.
    faces: list of lists of 0-based vertex indices, at least three each.

  Raises:
    ValueError: 'FILE, line N: reason' for anything that is not a polygon mesh.
    OSError: the file cannot be opened.
  """
  with open(obj_path, 'rb') as obj_file:
    data = obj_file.read()
  return parse_obj(data, os.fspath(obj_path))


def read_obj_vertices(obj_path):
  """The vertices alone, float32 [V, 3], of a file that needs no faces; errors as `read_obj`."""
  with open(obj_path, 'rb') as obj_file:
    return parse_obj(obj_file.read(), os.fspath(obj_path), needs_faces=False)[0]


def parse_obj(data, name='OBJ', needs_faces=True):
  """The same for the bytes of a file; `name` appears in errors. needs_faces: none is an error.

  >>> parse_obj(b'v 0 0 0\\nv 1 0 0\\nv 0 1 0 # w is optional\\nf 1/1 2//7 -1')[1]
  [[0, 1, 2]]
  """
  mesh = _parse_plain(data)
  if mesh is None or not (mesh[1] or not needs_faces):
    mesh = _parse_any(data, name, needs_faces)
  return mesh


def _parse_plain(data):
  """The mesh of a file with nothing unusual in it, else None: in bulk, several times faster.

  Unusual are errors, indented or continued statements, negative indices and binary data.
  """
  lines = _lines(_without_mark(data))
  starts = {line[:2] for line in lines}
  if not all(map(_PLAIN_START.match, starts)) or b'\\' in data or b'\0' in data:
    return None
  vertices = [line.split()[1:4] for line in lines if line[:2] == b'v ']
  faces = b''.join([line[1:] + b'\n' for line in lines if line[:2] == b'f '])
  if b'/' in faces:
    faces = re.sub(rb'(?<=\d)/[^\s#]*', b'', faces)
  words = list(itertools.chain.from_iterable(vertices))
  if b'_' in faces or b'_' in b''.join(words):
    return None
  try:
    with np.errstate(over='ignore'):
      positions = np.array(list(map(float, words)), np.float32).reshape(len(vertices), 3)
    faces = [[int(word) - 1 for word in line.split()] for line in faces.splitlines()]
  except ValueError:
    return None
  sound = (
      len(positions) > 0 and np.isfinite(positions).all()
      and min(map(len, faces), default=3) >= tokens.MIN_FACE_CORNERS
      and min(map(min, faces), default=0) >= 0
      and max(map(max, faces), default=0) < len(positions))
  return (positions, faces) if sound else None


def _parse_any(data, name, needs_faces):
  """`parse_obj` line by line, so that it can say where and what is wrong."""
  vertices, vertex_lines, faces, face_lines = [], [], [], []
  try:
    number = _line_of_binary_data(data)
    if number:
      raise ValueError('this is a binary or UTF-16 file; an OBJ file is plain text (UTF-8)')
    for number, words in _statements(data):
      if words[0] == b'v':
        vertices.append(_coordinates(words))
        vertex_lines.append(number)
      elif words[0] == b'f':
        faces.append(_corners(words, len(vertices)))
        face_lines.append(number)
    number = max(1, len(_lines(data.rstrip())))
    if not vertices:
      subject = 'the file ends' if data else 'the file is empty: it ends'
      raise ValueError(subject + ' without a vertex ("v x y z")')
    if not faces and needs_faces:
      raise ValueError('the file ends without a face ("f i j k")')
    with np.errstate(over='ignore'):
      positions = np.array(vertices, np.float32)
    finite = np.isfinite(positions).all(axis=1)
    if not finite.all():
      number = vertex_lines[int(np.argmin(finite))]
      raise ValueError('a coordinate is not a finite float32 number')
    for number, face in zip(face_lines, faces):
      if max(face) >= len(vertices):
        raise ValueError(f'vertex index {max(face) + 1} is beyond the {len(vertices)} vertices '
                         'of the file')
  except ValueError as error:
    raise ValueError(f'{name}, line {number}: {error}') from None
  return positions, faces


def write_obj(vertices, faces, file_path, transpose=True, scale=1.):
  """Writes a mesh; `read_obj` restores the indices, and the coordinates to the last bit.

  Args:
    vertices: [V, 3] numbers, (x, y, z) with z up.
    faces: lists of 0-based vertex indices.
    file_path: the file to write.
    transpose: turn the vertical axis z into y, as OBJ has it; False keeps the axes.
    scale: every coordinate is multiplied by it.
  """
  vertices = np.asarray(vertices, np.float64).reshape(-1, 3) * scale
  if transpose:
    vertices = vertices[:, Z_UP_TO_OBJ]
  nine_digits = 'v %.9g %.9g %.9g'  # enough to tell any two float32 numbers apart
  lines = [nine_digits % tuple(row) for row in vertices.astype(np.float32).tolist()]
  lines += [' '.join(['f'] + [str(index + 1) for index in face]) for face in faces]
  with open(file_path, 'w') as obj_file:
    obj_file.write(''.join(line + '\n' for line in lines))


def _line_of_binary_data(data):
  """Line number of the first sign of a file that is not text, 0 if there is none."""
  if data[:2] in _UTF16_MARKS:
    return 1
  position = data.find(b'\0')
  return 0 if position < 0 else len(_lines(data[:position]))


def _without_mark(data):
  return data[len(_UTF8_MARK):] if data.startswith(_UTF8_MARK) else data


def _lines(data):
  return data.replace(b'\r\n', b'\n').replace(b'\r', b'\n').split(b'\n')


def _statements(data):
  """Yields (first line number, words): comments dropped, continued lines joined.

  A comment ends with its line, also if that ends with a backslash (a Windows path, say).
  """
  words, start = [], 1
  for number, line in enumerate(_lines(_without_mark(data)), 1):
    if b'#' in line:
      line = line[:line.index(b'#')]
    continued = b'\\' in line and line.rstrip().endswith(b'\\')
    if continued:
      line = line.rstrip()[:-1]
    if not words:
      start = number
    words += line.split()
    if words and not continued:
      yield start, words
      words = []
  if words:
    yield start, words


def _coordinates(words):
  if len(words) < 4:
    raise ValueError(f'a vertex needs 3 coordinates, this one has {len(words) - 1}')
  return _number(float, words[1]), _number(float, words[2]), _number(float, words[3])


def _corners(words, num_vertices):
  """0-based indices of a face, `num_vertices` having been read before it."""
  if len(words) <= tokens.MIN_FACE_CORNERS:
    raise ValueError(f'a face needs at least 3 corners, this one has {len(words) - 1}')
  face = []
  for word in words[1:]:
    index = _number(int, word.partition(b'/')[0])
    if index > 0:
      face.append(index - 1)
    elif index == 0:
      raise ValueError('vertex index 0; the first vertex of an OBJ file is 1')
    elif num_vertices + index < 0:
      raise ValueError(f'vertex index {index} counts back beyond the {num_vertices} vertices '
                       'read so far')
    else:
      face.append(num_vertices + index)
  return face


def _number(kind, word):
  try:
    if b'_' not in word:  # Python would read 1_0 as 10
      return kind(word)
  except ValueError:
    pass
  shown = word.decode('utf-8', 'replace')
  raise ValueError(f'{shown!r} is not ' + ('a coordinate' if kind is float else 'a vertex index'))
