"""From a polygon mesh to the quantised mesh whose tokens the models learn (PolyGen, section 2).

A processed mesh is a dict:

    'vertices': int32 [V, 3], (x, y, z) bins, z up, sorted by z, then y, then x, all different
    'faces':    int32 [F], face tokens (see sequences.py)
"""
import itertools
import os

import numpy as np

from .. import tokens
from . import faces as polygons
from . import obj
from . import quantization
from . import reading
from . import sequences


def center_vertices(vertices):
  """Moves the centre of the bounding box of [V, 3] floats to 0."""
  vertices = np.asarray(vertices)
  return vertices - 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))


def normalize_vertices_scale(vertices):
  """Divides [V, 3] floats by the length of the diagonal of their bounding box."""
  vertices = np.asarray(vertices)
  diagonal = np.sqrt(np.sum((vertices.max(axis=0) - vertices.min(axis=0)) ** 2))
  if diagonal == 0:
    raise ValueError('the bounding box of the mesh has no size: all its vertices coincide')
  return vertices / diagonal


def load_process_mesh(mesh_obj_path, quantization_bits=8):
  """Reads a mesh file (see reading.read_mesh) and processes it; ValueErrors name the file."""
  vertices, faces = reading.read_mesh(mesh_obj_path)
  try:
    return process_mesh(vertices, faces, quantization_bits)
  except ValueError as error:
    raise ValueError(f'{os.fspath(mesh_obj_path)}: {error}') from None


def process_mesh(vertices, faces, quantization_bits=8):
  """Processes a mesh in the axes of an OBJ file (y up).

  Turns the axes, centres and scales the vertices that faces use, quantises, cleans and flattens.

  Args:
    vertices: floats [V, 3].
    faces: lists of 0-based vertex indices.
    quantization_bits: bits per coordinate.

  Returns:
    A processed mesh (see above).

  Raises:
    ValueError: an index outside the vertices, a non-finite coordinate, a bounding box of no size,
      or no face left.
  """
  vertices = np.asarray(vertices, np.float64)[:, obj.OBJ_TO_Z_UP]
  used = _used(len(vertices), faces)
  if not np.isfinite(vertices[used]).all():
    raise ValueError('a vertex coordinate is not finite')
  vertices[~used] = vertices[used][0]  # no say in the bounding box; merged below
  vertices = normalize_vertices_scale(center_vertices(vertices))
  vertices, faces, _ = quantize_process_mesh(
      vertices, faces, quantization_bits=quantization_bits)
  return {'vertices': vertices, 'faces': sequences.flatten_faces(faces)}


def quantize_process_mesh(vertices, faces, tris=None, quantization_bits=8):
  """Quantises a mesh that is z up, centred and scaled, and brings it to its canonical form.

  Args:
    vertices: floats [V, 3] in [-0.5, 0.5].
    faces: lists of vertex indices.
    tris: None, or int [T, 3], a triangulation to be re-indexed like the faces.
    quantization_bits: bits per coordinate.

  Returns:
    As `canonical_mesh`.
  """
  return canonical_mesh(quantization.quantize_verts(vertices, quantization_bits), faces, tris)


def canonical_mesh(vertices, faces, tris=None):
  """Merges and sorts vertices, cleans and sorts faces, drops what no face uses; idempotent.

  Args:
    vertices: ints [V, 3], (x, y, z) bins.
    faces: lists of vertex indices.
    tris: None or int [T, 3].

  Returns:
    vertices: int32 [V', 3], sorted by z, then y, then x, all different.
    faces: list of lists (see faces.canonical_faces).
    tris: None if none were given, else int32 [T', 3] in the order given, without those that have
      lost a corner.

  Raises:
    ValueError: an index outside the vertices, or no face left.
  """
  _check_indices(len(vertices), faces)
  vertices, new_index = _merge_and_sort(np.asarray(vertices, np.int32))
  merged_faces = polygons.canonical_faces(polygons.reindex_faces(faces, new_index))
  if not merged_faces:
    raise ValueError(f'no face is left: each of the {len(faces)} faces has fewer than 3 corners '
                     'in different bins')
  if tris is not None:
    tris = new_index[np.asarray(tris, np.int64).reshape(-1, 3)]
  used = _used(len(vertices), merged_faces)
  new_index = np.where(used, np.cumsum(used) - 1, -1)
  if tris is not None:
    tris = _whole_triangles(new_index[tris])
  if not used.all():
    merged_faces = polygons.reindex_faces(merged_faces, new_index)
  return vertices[used], merged_faces, tris


def _check_indices(num_vertices, faces):
  """The corners of all faces, int64 [N], after checking that they exist and name a vertex."""
  corners = np.fromiter(itertools.chain.from_iterable(faces), np.int64)
  if not corners.size:
    raise ValueError('the mesh has no faces')
  for index in (corners.min(), corners.max()):
    if not 0 <= index < num_vertices:
      raise ValueError(f'a face names vertex {index}, but the mesh has {num_vertices} vertices')
  return corners


def _merge_and_sort(vertices):
  """Different rows of vertices, sorted by last column first, and the new index of each row."""
  order = np.lexsort(vertices.T)
  ordered = vertices[order]
  is_new = np.ones(len(vertices), bool)
  is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
  new_index = np.empty(len(vertices), np.int64)
  new_index[order] = np.cumsum(is_new) - 1
  return ordered[is_new], new_index


def _used(num_vertices, faces):
  """bool [V]: whether a face has the vertex as a corner. Errors as `_check_indices`."""
  used = np.zeros(num_vertices, bool)
  used[_check_indices(num_vertices, faces)] = True
  return used


def _whole_triangles(tris):
  a, b, c = tris.T
  return tris[(a != b) & (b != c) & (c != a) & (tris >= 0).all(axis=1)].astype(np.int32)
