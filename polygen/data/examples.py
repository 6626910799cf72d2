"""One processed mesh -> one example of a model: arrays without padding."""
import numpy as np

from . import augment
from . import quantization
from . import sequences


def shift_mesh(mesh, shift_factor=0.25, quantization_bits=8, rng=None):
  """The mesh with its vertices moved by `augment.random_shift`."""
  return dict(mesh, vertices=augment.random_shift(
      mesh['vertices'], shift_factor, quantization_bits, rng))


def vertex_example(mesh):
  """Example of the vertex model.

  Returns:
    {'vertices_flat': int32 [3V + 1], z y x tokens of each vertex, then STOP;
     'vertices_flat_mask': float32 [3V + 1], ones}
  """
  vertices_flat = sequences.flatten_vertices(mesh['vertices'])
  return {
      'vertices_flat': vertices_flat,
      'vertices_flat_mask': np.ones(len(vertices_flat), np.float32),
  }


def face_example(mesh, shuffle_vertices=True, quantization_bits=8, rng=None):
  """Example of the face model.

  Args:
    mesh: {'vertices': int32 [V, 3] bins, 'faces': int32 [F] tokens}.
    shuffle_vertices: put the vertices in random order (faces keep theirs).
    quantization_bits: bits per coordinate.
    rng: numpy.random.Generator, None for a fresh one.

  Returns:
    {'vertices': float32 [V, 3] coordinates; 'vertices_mask': float32 [V], ones;
     'num_vertices': int32 []; 'faces': int32 [F] tokens; 'faces_mask': float32 [F], ones}
  """
  vertices, faces = mesh['vertices'], np.asarray(mesh['faces'], np.int32)
  if shuffle_vertices:
    vertices, faces = augment.shuffle_vertices(vertices, faces, rng)
  return {
      'vertices': quantization.dequantize_verts(vertices, quantization_bits),
      'vertices_mask': np.ones(len(vertices), np.float32),
      'num_vertices': np.int32(len(vertices)),
      'faces': faces,
      'faces_mask': np.ones(len(faces), np.float32),
  }
