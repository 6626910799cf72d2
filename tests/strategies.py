"""Hypothesis strategies for meshes."""
import numpy as np
from hypothesis import strategies as st

BITS = st.integers(4, 12)
SEEDS = st.integers(0, 2 ** 31 - 1)


def any_faces(num_vertices, max_faces=8):
  """Faces of 3 to 8 corners that may visit a vertex several times."""
  corner = st.integers(0, num_vertices - 1)
  face = st.lists(corner, min_size=3, max_size=8)
  return st.lists(face, min_size=1, max_size=max_faces)


def simple_faces(num_vertices, max_faces=8):
  """Faces that visit no vertex twice."""
  corner = st.integers(0, num_vertices - 1)
  face = st.lists(corner, min_size=3, max_size=min(8, num_vertices), unique=True)
  return st.lists(face, min_size=1, max_size=max_faces)


@st.composite
def bin_meshes(draw, faces=any_faces, max_bin=3):
  """int32 [V, 3] bins on a small grid, so that many coincide, and faces."""
  coordinate = st.integers(0, max_bin)
  point = st.tuples(coordinate, coordinate, coordinate)
  points = draw(st.lists(point, min_size=3, max_size=12))
  return np.array(points, np.int32), draw(faces(len(points)))


@st.composite
def distinct_bin_meshes(draw):
  """A mesh whose vertices are all different and whose faces need no splitting."""
  coordinate = st.integers(0, 255)
  point = st.tuples(coordinate, coordinate, coordinate)
  points = draw(st.lists(point, min_size=3, max_size=12, unique=True))
  return np.array(points, np.int32), draw(simple_faces(len(points)))


@st.composite
def file_meshes(draw, faces=any_faces):
  """float32 [V, 3] of a size, at least two of them different, and faces."""
  coordinate = st.one_of(
      st.integers(-2, 2).map(float),
      st.floats(-1e3, 1e3, width=32, allow_nan=False))
  point = st.tuples(coordinate, coordinate, coordinate)
  points = np.array(draw(st.lists(point, min_size=3, max_size=12)), np.float32)
  return points, draw(faces(len(points)))


@st.composite
def processed_sets(draw, max_meshes=6):
  """A tuple of processed meshes and their labels."""
  from polygen.data import canonical_mesh, flatten_faces
  meshes = []
  for _ in range(draw(st.integers(1, max_meshes))):
    vertices, faces, _ = canonical_mesh(*draw(distinct_bin_meshes()))
    meshes.append({'vertices': vertices, 'faces': flatten_faces(faces)})
  labels = draw(st.lists(st.integers(0, 5), min_size=len(meshes), max_size=len(meshes)))
  return tuple(meshes), np.array(labels, np.int32)
