"""Batches of fixed shape, as numpy arrays, for both models at once.

    {'vertex': {'vertices_flat':      int32   [B, 3V + 1]   z0 y0 x0 z1 ... STOP 0 0
                'vertices_flat_mask': float32 [B, 3V + 1]   1  1  1  1  ... 1    0 0
                'class_label':        int32   [B]},
     'face':   {'vertices':           float32 [B, V, 3],
                'vertices_mask':      float32 [B, V],
                'faces':              int32   [B, T],
                'faces_mask':         float32 [B, T],
                'class_label':        int32   [B]}}

Padding is 0 with mask 0; so are whole rows where a batch has fewer examples than its shape.
"""
from typing import NamedTuple

import numpy as np

from .. import tokens
from . import buckets
from . import examples
from . import order
from . import packing


PARTS = ('vertex', 'face')


class BatchShape(NamedTuple):
  """B, V and T above."""
  batch_size: int
  num_vertices: int
  face_tokens: int


def padded_shape(meshes, batch_size):
  """The smallest shape that holds any `batch_size` of these processed meshes."""
  return BatchShape(
      batch_size,
      max(len(mesh['vertices']) for mesh in meshes),
      max(len(mesh['faces']) for mesh in meshes))


def batch_spec(shape):
  """{part: {key: (numpy dtype, shape)}} of a batch."""
  batch_size, num_vertices, face_tokens = shape
  vertex_tokens = tokens.vertex_sequence_length(num_vertices)
  return {
      'vertex': {
          'vertices_flat': (np.int32, (batch_size, vertex_tokens)),
          'vertices_flat_mask': (np.float32, (batch_size, vertex_tokens)),
          'class_label': (np.int32, (batch_size,)),
      },
      'face': {
          'vertices': (np.float32, (batch_size, num_vertices, tokens.COORDINATES_PER_VERTEX)),
          'vertices_mask': (np.float32, (batch_size, num_vertices)),
          'faces': (np.int32, (batch_size, face_tokens)),
          'faces_mask': (np.float32, (batch_size, face_tokens)),
          'class_label': (np.int32, (batch_size,)),
      },
  }


def make_batch(meshes, labels, picks, shape, seed, quantization_bits=8, random_shift=False,
               shuffle_vertices=True):
  """The batch of the picked examples.

  The random numbers of an example depend on (seed, epoch, index) alone; its vertex and its face
  sequence are shifted alike.

  Args:
    meshes: sequence of processed meshes.
    labels: int [number of meshes], class of each.
    picks: (epoch, index) of each row (see order.batch_picks), at most shape.batch_size.
    shape: BatchShape.
    seed: non-negative integer.
    quantization_bits: bits per coordinate of the meshes.
    random_shift: move each mesh at random.
    shuffle_vertices: give the face model the vertices in random order.

  Returns:
    The dict drawn above.
  """
  if len(picks) > shape.batch_size:
    raise ValueError(f'{len(picks)} picks do not fit a batch of {shape.batch_size}')
  batch = {part: {key: np.zeros(dims, dtype) for key, (dtype, dims) in spec.items()}
           for part, spec in batch_spec(shape).items()}
  for row, (vertex, face, label) in enumerate(_picked_examples(
      meshes, labels, picks, seed, quantization_bits, random_shift, shuffle_vertices)):
    _fill_row(batch['vertex'], row, vertex, label)
    _fill_row(batch['face'], row, face, label)
  return batch


def make_packed_batch(meshes, labels, picks, seed, quantization_bits=8, random_shift=False,
                      shuffle_vertices=True, parts=PARTS):
  """The same examples as `make_batch`, several in a row: see packing.py for the keys.

  Returns:
    {'vertex': dict, 'face': dict} of arrays, or one of them; the number of rows and their length
    vary. Without picks it is padding alone.
  """
  if not picks:
    return packing.empty_batch(parts)
  vertex, face, picked_labels = zip(*_picked_examples(
      meshes, labels, picks, seed, quantization_bits, random_shift, shuffle_vertices))
  packed = {}
  if 'vertex' in parts:
    packed['vertex'] = packing.pack_vertex_examples(vertex, picked_labels)
  if 'face' in parts:
    packed['face'] = packing.pack_face_examples(face, picked_labels)
  return packed


def _picked_examples(meshes, labels, picks, seed, quantization_bits, random_shift,
                     shuffle_vertices):
  """Yields (vertex example, face example, label) of each pick."""
  for epoch, index in picks:
    rng = order.example_rng(seed, epoch, index)
    mesh = meshes[index]
    if random_shift:
      mesh = examples.shift_mesh(mesh, quantization_bits=quantization_bits, rng=rng)
    yield (examples.vertex_example(mesh),
           examples.face_example(mesh, shuffle_vertices, quantization_bits, rng), labels[index])


def _fill_row(part, row, example, label):
  part['class_label'][row] = label
  for key, padded in part.items():
    if key == 'class_label':
      continue
    values = example[key]
    if len(values) > padded.shape[1]:
      raise ValueError(f'{key} of an example has length {len(values)}, but the batch has room '
                       f'for {padded.shape[1]}')
    padded[row, :len(values)] = values


def evaluation_batches(meshes, labels, shape, quantization_bits=8):
  """Yields every mesh once, in order, unshifted and unshuffled; the last batch may be filled up
  with rows whose masks are all 0."""
  for start in range(0, len(meshes), shape.batch_size):
    stop = min(start + shape.batch_size, len(meshes))
    picks = [(0, index) for index in range(start, stop)]
    yield make_batch(meshes, labels, picks, shape, seed=0, quantization_bits=quantization_bits,
                     random_shift=False, shuffle_vertices=False)


def packed_evaluation_batches(mesh_set, tokens_per_batch, quantization_bits=8, parts=PARTS):
  """Yields every mesh once, packed, unshifted and unshuffled, at most so many tokens at a time."""
  for indices in buckets.in_order(num_tokens(mesh_set.lengths, parts), tokens_per_batch):
    yield make_packed_batch(mesh_set.meshes, mesh_set.labels, [(0, index) for index in indices],
                            seed=0, quantization_bits=quantization_bits, shuffle_vertices=False,
                            parts=parts)


def num_tokens(lengths, parts=PARTS):
  """Tokens of the sequences of each mesh: vertices and face tokens int [n, 2] -> int64 [n]."""
  vertices, faces = np.asarray(lengths, np.int64).T
  return (('vertex' in parts) * tokens.vertex_sequence_length(vertices)
          + ('face' in parts) * faces)


def training_batches(meshes, labels, shape, start_step, stop_step, seed, quantization_bits=8,
                     random_shift=False, shuffle_vertices=True, rank=0, size=1):
  """Yields the batches of steps start_step to stop_step - 1 of worker `rank` of `size`."""
  for step in range(start_step, stop_step):
    picks = order.batch_picks(len(meshes), shape.batch_size, step, seed, rank, size)
    yield make_batch(meshes, labels, picks, shape, seed, quantization_bits, random_shift,
                     shuffle_vertices)
