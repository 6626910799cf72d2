"""From a mesh file to tokens."""
import os
import statistics
import tempfile

import numpy as np

from polygen import data

from . import unit

RINGS, CORNERS = 9, 19
REPEATS = 30


def file_to_tokens():
  """Median seconds from an OBJ file to the tokens of both models: 173 vertices, 342 triangles."""
  vertices, faces = sphere(RINGS, CORNERS)
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'mesh.obj')
    data.write_obj(vertices, faces, path)

    def load():
      mesh = data.load_process_mesh(path)
      return data.flatten_vertices(mesh['vertices']), mesh['faces']

    tokens = load()
    return unit.measured(
        lambda: statistics.median(unit.timed(load) for _ in range(REPEATS)),
        vertices=len(vertices), vertex_tokens=len(tokens[0]), face_tokens=len(tokens[1]))


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
