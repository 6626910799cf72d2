"""From a mesh file to tokens."""
import os
import statistics
import tempfile
import time

import numpy as np

from polygen import data
from polygen.data import obj

from . import unit

RINGS, CORNERS = 9, 19
REPEATS = 30
# About 500 and 50,000 vertices, which most stay apart at so many bits.
FEW, MANY, BITS = (17, 29), (199, 251), 12
MANY_OVER_FEW, ROUNDS = 100, 3


def file_to_tokens():
  """Median seconds from an OBJ file to the tokens of both models: 173 vertices, 342 triangles."""
  with tempfile.TemporaryDirectory() as folder:
    path = _write_sphere(folder, RINGS, CORNERS)
    mesh = _load(path)
    return unit.measured(
        lambda: statistics.median(unit.timed(lambda: _load(path)) for _ in range(REPEATS)),
        vertices=len(mesh['vertices']), vertex_tokens=len(mesh['vertices_flat']),
        face_tokens=len(mesh['faces']))


def growth():
  """Processor time per vertex of 50,000 vertices over that of 500, both loaded in turn."""
  with tempfile.TemporaryDirectory() as folder:
    few, many = (_write_sphere(folder, *size) for size in (FEW, MANY))
    few, many = zip(*[(_time_per_vertex(few, MANY_OVER_FEW), _time_per_vertex(many, 1))
                      for _ in range(ROUNDS)])
  return unit.Measurement(min(many) / min(few), None, {
      'microseconds_at_500': round(1e6 * min(few), 2),
      'microseconds_at_50000': round(1e6 * min(many), 2)})


def _time_per_vertex(path, loads):
  num_vertices = len(obj.read_obj_vertices(path))
  start = time.process_time()  # other work on the machine would hit the longer load more often
  for _ in range(loads):
    _load(path, BITS)
  return (time.process_time() - start) / (loads * num_vertices)


def _write_sphere(folder, rings, corners):
  path = os.path.join(folder, f'{rings}_{corners}.obj')
  data.write_obj(*sphere(rings, corners), path)
  return path


def _load(path, quantization_bits=8):
  mesh = data.load_process_mesh(path, quantization_bits)
  return dict(mesh, vertices_flat=data.flatten_vertices(mesh['vertices']))


def sphere(rings, corners):
  """A closed triangle mesh: vertices float32 [2 + rings * corners, 3], lists of indices."""
  height = np.cos(np.pi * np.arange(1, rings + 1) / (rings + 1))[:, None]
  angle = 2 * np.pi * np.arange(corners) / corners
  radius = np.sqrt(1 - height ** 2)
  ring = np.stack(np.broadcast_arrays(radius * np.cos(angle), radius * np.sin(angle), height), -1)
  vertices = np.concatenate([ring.reshape(-1, 3), [[0, 0, 1], [0, 0, -1]]]).astype(np.float32)
  top, bottom = rings * corners, rings * corners + 1
  faces = []
  for here in range(corners):
    there = (here + 1) % corners
    faces += [[top, here, there], [bottom, top - corners + there, top - corners + here]]
    for start in range(0, top - corners, corners):
      a, b, c, d = start + here, start + there, start + corners + here, start + corners + there
      faces += [[a, c, d], [a, d, b]]
  return vertices, faces
