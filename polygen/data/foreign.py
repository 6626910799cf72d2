"""What trimesh reads from PLY, STL, GLB and GLTF files: vertices and triangles, nothing else.

trimesh trusts what a file promises: too large a number can cost gigabytes, a file that was cut
off can lose faces in silence. So promises are checked first, in `promises.py`.
"""
import contextlib
import io
import logging
import os
import re
import urllib.parse
import warnings

import numpy as np

from . import promises
from .optional import import_trimesh

KINDS = tuple(promises.CHECKS)
NEEDS_TRIMESH = 'PLY, STL, GLB and GLTF files'


def parse(data, kind, path, with_points=False):
  """The geometry of the bytes of a file.

  Args:
    data: bytes.
    kind: one of KINDS.
    path: of the file, for what lies beside it.
    with_points: whether point clouds count.

  Returns:
    vertices: float64 [V, 3], perhaps not finite.
    triangles: int64 [T, 3].

  Raises:
    Exception: any at all, for anything that is wrong with the file: so trimesh does.
    ImportError: trimesh is not installed.
  """
  trimesh = import_trimesh(NEEDS_TRIMESH)
  promises.CHECKS[kind](data)
  stream = io.BytesIO(_easier(data, kind))
  with _quiet():
    loaded = trimesh.load(stream, file_type=kind, resolver=_Beside(path), process=False,
                          skip_materials=True)
    return _flat(loaded, with_points)


def _easier(data, kind):
  """The file without what trimesh takes amiss; its length stays."""
  if kind == 'ply':  # with edges it becomes a path, for which trimesh needs scipy
    header, end, body = data.partition(b'end_header')
    return re.sub(rb'(element\s+)edge\b', rb'\1line', header) + end + body
  if kind in ('glb', 'gltf'):  # trimesh 4 takes a node of this name for the one above all roots
    end = promises.gltf_end(data) if kind == 'glb' else len(data)
    return data[:end].replace(b'"world"', b'"earth"') + data[end:]
  return data


def _flat(loaded, with_points):
  """Joins the parts of what trimesh loaded."""
  all_vertices, all_triangles, count = [np.zeros([0, 3])], [np.zeros([0, 3], np.int64)], 0
  for matrix, part in _parts(loaded):
    is_mesh = hasattr(part, 'faces')
    if hasattr(part, 'entities') or not (is_mesh or with_points):  # lines, points
      continue
    vertices = np.asarray(part.vertices, np.float64).reshape(-1, 3)
    triangles = _triangles(part) if is_mesh else all_triangles[0]
    if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(vertices):
      raise ValueError(f'a face names vertex {triangles.max()}, or {triangles.min()}, of '
                       f'{len(vertices)}, counted from 0')
    if matrix is not None:
      vertices = vertices @ matrix[:3, :3].T + matrix[:3, 3]
      if np.linalg.det(matrix[:3, :3]) < 0:
        triangles = triangles[:, ::-1]  # a mirror turns them over
    all_vertices.append(vertices)
    all_triangles.append(triangles + count)
    count += len(vertices)
  return np.concatenate(all_vertices), np.concatenate(all_triangles)


def _parts(loaded):
  """(float64 [4, 4] or None, geometry) of each instance."""
  if not hasattr(loaded, 'graph'):
    return [(None, loaded)]
  forest, places = loaded.graph.transforms, {}
  return [(_place(node, forest, places), loaded.geometry[forest.node_data[node]['geometry']])
          for node in loaded.graph.nodes_geometry]


def _place(node, forest, places):
  """Where a node is in the scene, float64 [4, 4]; `places` keeps it, for the nodes below.

  The time trimesh itself takes grows with the cube of the depth.
  """
  way = []
  while node in forest.parents and node not in places:
    way.append(node)
    node = forest.parents[node]
    if len(way) > len(forest.parents):
      raise ValueError('its nodes form a circle')
  matrix = places.get(node, np.eye(4))
  for node in reversed(way):
    matrix = matrix @ forest.edge_data[forest.parents[node], node].get('matrix', np.eye(4))
    places[node] = matrix
  return matrix


def _triangles(mesh):
  triangles = np.asarray(mesh.faces, np.int64).reshape(-1, 3)
  count = len(mesh.vertices)
  if len(triangles) == count and triangles[-1:].max(initial=0) == 3 * count - 1:
    triangles = triangles[:count // 3]  # trimesh 4 counts GLTF triangles without indices thrice
  return triangles


class _Beside:
  """What GLTF files name: regular files in their folder or below. Nothing is fetched."""

  def __init__(self, path):
    self._folder = os.path.dirname(os.fspath(path))

  def get(self, name):
    name = os.path.normpath(urllib.parse.unquote(name))
    path = os.path.join(self._folder, name)
    if os.path.isabs(name) or name.split(os.sep)[0] == os.pardir:
      raise ValueError(f'it names {name!r}, which is not in its folder')
    if not os.path.isfile(path):
      raise ValueError(f'it names {name!r}, which is not beside it')
    with open(path, 'rb') as buffer_file:
      return buffer_file.read()

  __getitem__ = get


@contextlib.contextmanager
def _quiet():
  """Nothing on the console; text that numpy can only read in part is an error."""
  log = logging.getLogger('trimesh')
  disabled, log.disabled = log.disabled, True
  try:
    with warnings.catch_warnings(), np.errstate(all='ignore'):
      warnings.simplefilter('ignore')
      warnings.filterwarnings('error', message='string or file could not be read')
      yield
  finally:
    log.disabled = disabled
