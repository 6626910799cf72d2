"""Mesh files for other programs. trimesh writes what is not OBJ, and is imported on use."""
import os

import numpy as np

from .obj import Z_UP_TO_OBJ, write_obj
from .optional import import_trimesh
from .triangulation import triangulate

FORMATS = ('obj', 'ply', 'stl', 'glb')


def require_format(name):
  """Checks before long work that `write_mesh` will be able to write a format.

  Args:
    name: one of FORMATS.

  Raises:
    ValueError: it is none of them.
    ImportError: it needs trimesh, which is not installed.
  """
  if name not in FORMATS:
    raise ValueError(f'{name!r} is no mesh format, {", ".join(FORMATS)} are')
  if name != 'obj':
    import_trimesh()


def write_mesh(vertices, faces, path, transpose=True):
  """Writes a mesh in the format that the suffix of the file (in any case) names.

  OBJ files keep the polygons; PLY, STL and GLB get triangles. The axes are those of an OBJ file,
  as GLB demands, so that a mesh stands upright in all of them. Vertices keep their order, except
  that an STL file holds the corners of triangles alone, and GLB no vertices without a face.

  Args:
    vertices: [V, 3] numbers, (x, y, z) with z up. V may be 0.
    faces: lists of 0-based vertex indices, or none.
    path: the file to write.
    transpose: turn the vertical axis z into y; False keeps the axes.

  Raises:
    ValueError: the suffix names none of FORMATS.
    ImportError: the format needs trimesh, which is not installed.
    OSError: the file cannot be written.
  """
  name = os.path.splitext(os.fspath(path))[1][1:].lower()
  if name not in FORMATS:
    suffixes = ', '.join('.' + known for known in FORMATS)
    raise ValueError(f'{os.fspath(path)}: the name of a mesh file ends in one of {suffixes}')
  if name == 'obj':
    write_obj(vertices, faces, path, transpose=transpose)
    return
  trimesh = import_trimesh()
  vertices = np.asarray(vertices, np.float64).reshape(-1, 3)
  triangles = triangulate(vertices, faces)
  if transpose:
    vertices = vertices[:, Z_UP_TO_OBJ]
  mesh = trimesh.Trimesh(vertices, triangles, process=False)
  content = mesh.export(file_type=name)
  with open(path, 'wb') as mesh_file:
    mesh_file.write(content)
