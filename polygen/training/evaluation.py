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


class Evaluated(NamedTuple):
  """A graph that evaluates batches.

  Attributes:
    losses: {part: float32 scalar}.
    inputs: {part: {key: tensor}}, fed with a batch.
    feed: {tensor: value}, fed as well.
  """
  losses: Dict[str, tf.Tensor]
  inputs: Dict[str, Dict[str, tf.Tensor]]
  feed: Dict[tf.Tensor, object] = {}


def evaluation_graph(models, spec):
  """An Evaluated of models {part: model} that is added to the default graph.

  Args:
    spec: {part: {key: (numpy dtype, static shape)}} of its batches.
  """
  inputs = {part: {key: tf.placeholder(*value) for key, value in spec[part].items()}
            for part in models}
  return Evaluated(batch_losses(models, inputs), inputs)


class Evaluator:
  """Evaluates a set of meshes with the present weights.

  Args:
    graph: Evaluated.
    mesh_set: data.MeshSet.
    batches: function -> iterable of batches {part: {key: array}}, every mesh in one of them.
  """

  def __init__(self, graph, mesh_set, batches):
    self._graph, self._batches = graph, batches
    self._num_meshes = len(mesh_set.meshes)
    self._num_vertices = int(mesh_set.lengths[:, 0].sum())

  def __call__(self, session):
    """Evaluation of every mesh."""
    sums = {part: 0. for part in self._graph.losses}
    for batch in self._batches():
      feed = {tensor: batch[part][key] for part, keys in self._graph.inputs.items()
              for key, tensor in keys.items()}
      feed.update(self._graph.feed)
      losses = session.run(self._graph.losses, feed)
      for part, loss in losses.items():
        sums[part] += float(loss)
    return Evaluation(sums, self._num_meshes, self._num_vertices)
