"""Mesh files of several formats: the polygons in them, or the vertices alone.

The second axis of every file is taken to point up, as in the files that `write_mesh` writes.
"""
import os

import numpy as np

from . import foreign
from .obj import parse_obj
from .off import parse_off
from .optional import import_trimesh

READABLE = ('obj', 'ply', 'stl', 'off', 'glb', 'gltf')


def is_mesh_name(name):
  """Whether a file name has one of the suffixes READABLE, in any case."""
  return _kind(name) in READABLE


def require_readers(names):
  """Checks before long work that files of these names can be read.

  Raises:
    ImportError: one of them needs trimesh, which is not installed.
  """
  if any(_kind(name) in foreign.KINDS for name in names):
    import_trimesh(foreign.NEEDS_TRIMESH)


def read_mesh(path):
  """Reads the polygons of a mesh file, in the axes of the file.

  The suffix (in any case) names the format. OBJ and OFF files keep their polygons. trimesh reads
  the others, as triangles: all parts of a scene, where the scene puts them, once per instance.
  Materials, colours, points, lines and cameras are ignored, and nothing is merged. trimesh cannot
  read a binary PLY file whose polygons differ in size.

  Args:
    path: a file whose suffix is one of READABLE. Buffers of a GLTF file may lie beside it.

  Returns:
    vertices: float32 [V, 3], every vertex of the meshes in the file.
    faces: list of lists of 0-based vertex indices, at least three each.

  Raises:
    ValueError: 'FILE: reason' or 'FILE, line N: reason', in one line: not a polygon mesh, broken,
      empty, a coordinate that is not finite, or an unknown suffix.
    OSError: the file cannot be opened.
    ImportError: the format needs trimesh, which is not installed.
  """
  name, kind, data = _read(path)
  if kind == 'obj':
    return parse_obj(data, name)
  vertices, faces = _parse_other(data, kind, name)
  if not faces:
    raise ValueError(f'{name}: the file has no faces')
  return vertices, faces


def read_vertices(path):
  """The vertices alone, float32 [V, 3], of a file that needs no faces: points count, too.

  Arguments and errors as `read_mesh`; a file without a vertex is an error.
  """
  name, kind, data = _read(path)
  if kind == 'obj':
    return parse_obj(data, name, needs_faces=False)[0]
  vertices = _parse_other(data, kind, name, with_points=True)[0]
  if not len(vertices):
    raise ValueError(f'{name}: the file has no vertices')
  return vertices


def _kind(name):
  return os.path.splitext(name)[1][1:].lower()


def _read(path):
  """The path as text, one of READABLE, the bytes of the file."""
  name = os.fspath(path)
  kind = _kind(name)
  if kind not in READABLE:
    suffixes = ', '.join('.' + known for known in READABLE)
    raise ValueError(f'{name}: the name of a mesh file ends in one of {suffixes}')
  with open(path, 'rb') as mesh_file:
    data = mesh_file.read()
  if not data and kind != 'obj':  # of which parse_obj says so
    raise ValueError(f'{name}: the file is empty')
  return name, kind, data


def _parse_other(data, kind, name, with_points=False):
  """Vertices float32 [V, 3], all finite, and faces all of whose corners exist."""
  if kind in foreign.KINDS:
    import_trimesh(foreign.NEEDS_TRIMESH)
  try:
    if kind == 'off':
      vertices, faces = parse_off(data)
    else:
      vertices, faces = foreign.parse(data, kind, name, with_points)
      faces = faces.tolist()
    with np.errstate(over='ignore'):
      vertices = np.array(vertices, np.float64).reshape(-1, 3).astype(np.float32)
    _check(vertices, faces)
  except Exception as error:  # trimesh throws whatever its parsers happen to throw
    reason = str(error) if type(error) is ValueError else f'{type(error).__name__}: {error}'
    raise ValueError(f'{name}: this is no sound {kind.upper()} file: '
                     + ' '.join(reason.split())[:200]) from None
  return vertices, faces


def _check(vertices, faces):
  if not np.isfinite(vertices).all():
    raise ValueError('a coordinate is not a finite float32 number')
  for index in (min(map(min, faces)), max(map(max, faces))) if faces else ():
    if not 0 <= index < len(vertices):
      raise ValueError(f'a face names vertex {index}, but there are {len(vertices)}, counted '
                       'from 0')
