"""The losses over all meshes of a set: the same whenever it is called with the same weights."""
import math
from typing import Dict, NamedTuple

import tensorflow.compat.v1 as tf

from .losses import LOSS_NAMES, batch_losses


class Evaluation(NamedTuple):
  """Sums in nats over all meshes, {part: loss}, and what they are divided by."""
  losses: Dict[str, float]
  num_meshes: int
  num_vertices: int

  def per_batch(self, batch_size):
    """{part: loss} of an average batch, to be compared with those of training steps."""
    return {part: loss * batch_size / self.num_meshes for part, loss in self.losses.items()}

  def bits_per_vertex(self):
    """{part: loss} in bits, divided by the number of vertices (PolyGen, table 1)."""
    return {part: loss / math.log(2) / self.num_vertices for part, loss in self.losses.items()}

  def bits_line(self):
    """The bits per vertex as a text."""
    return ', '.join('{:.4g} ({})'.format(bits, LOSS_NAMES[part])
                     for part, bits in self.bits_per_vertex().items())


class Evaluator:
  """Runs the evaluation graph, which it adds to the default graph, with the present weights.

  Args:
    models: {part: model}.
    mesh_set: data.MeshSet.
    spec: {part: {key: (numpy dtype, static shape)}} of the batches.
    batches: function -> iterable of batches {part: {key: array}}, every mesh in one of them.
  """

  def __init__(self, models, mesh_set, spec, batches):
    self._batches = batches
    self._num_meshes = len(mesh_set.meshes)
    self._num_vertices = int(mesh_set.lengths[:, 0].sum())
    self._placeholders = {
        part: {key: tf.placeholder(*value) for key, value in spec[part].items()}
        for part in models}
    self._losses = batch_losses(models, self._placeholders)

  def __call__(self, session):
    """Evaluation of every mesh."""
    sums = {part: 0. for part in self._losses}
    for batch in self._batches():
      losses = session.run(self._losses, {
          placeholder: batch[part][key] for part, keys in self._placeholders.items()
          for key, placeholder in keys.items()})
      for part, loss in losses.items():
        sums[part] += float(loss)
    return Evaluation(sums, self._num_meshes, self._num_vertices)
