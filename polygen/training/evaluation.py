"""The losses of both models on every mesh of a set, dropout off."""
import math
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from ..data import batches
from .losses import Losses, batch_losses


class Evaluation(NamedTuple):
  """Sums in nats over all meshes, and what they are divided by."""
  losses: Losses
  num_meshes: int
  num_vertices: int

  def per_batch(self, batch_size):
    """Losses of an average batch, to be compared with those of training steps."""
    return Losses(*(loss * batch_size / self.num_meshes for loss in self.losses))

  def bits_per_vertex(self):
    """Losses in bits, divided by the number of vertices (PolyGen, table 1)."""
    return Losses(*(loss / math.log(2) / self.num_vertices for loss in self.losses))


class Evaluator:
  """Builds the evaluation graph once; every call runs it with the present weights.

  Args:
    models: (VertexModel, FaceModel).
    mesh_set: data.MeshSet.
    shape: data.BatchShape, of the meshes evaluated at a time.
    quantization_bits: of the meshes.
  """

  def __init__(self, models, mesh_set, shape, quantization_bits):
    self._batches = lambda: batches.evaluation_batches(
        mesh_set.meshes, mesh_set.labels, shape, quantization_bits)
    self._num_meshes = len(mesh_set.meshes)
    self._num_vertices = sum(len(mesh['vertices']) for mesh in mesh_set.meshes)
    self._placeholders = {
        part: {key: tf.placeholder(*spec) for key, spec in keys.items()}
        for part, keys in batches.batch_spec(shape).items()}
    self._losses = batch_losses(models, self._placeholders)

  def __call__(self, session):
    """Evaluation of every mesh."""
    sums = np.zeros(len(self._losses))
    for batch in self._batches():
      feed = dict(zip(tf.nest.flatten(self._placeholders), tf.nest.flatten(batch)))
      sums += session.run(self._losses, feed)
    return Evaluation(Losses(*sums.tolist()), self._num_meshes, self._num_vertices)
