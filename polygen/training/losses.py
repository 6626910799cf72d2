"""The loss of both models on one batch."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf


# Keeps the dropout noise of the two models apart.
FACE_SEED_OFFSET = [1 << 16, 0]


class Losses(NamedTuple):
  """Sums over the batch in nats, or what belongs to each of the two models."""
  vertices: tf.Tensor
  faces: tf.Tensor


def batch_losses(models, batch, is_training=False, seed=None):
  """Negative log-likelihood of a batch (PolyGen, equations 2 and 5), STOP tokens included.

  Args:
    models: (VertexModel, FaceModel).
    batch: dict of dicts of tensors, as drawn in data/batches.py.
    is_training: whether dropout acts.
    seed: int32 [2] for dropout, or None.

  Returns:
    Losses of float32 scalars.
  """
  vertex_model, face_model = models
  seeds = (None, None) if seed is None else (seed, seed + FACE_SEED_OFFSET)
  vertices = vertex_model(batch['vertex'], is_training, seeds[0])
  faces = face_model(batch['face'], is_training, seeds[1])
  return Losses(
      -vertices.sum_log_prob(
          batch['vertex']['vertices_flat'], batch['vertex']['vertices_flat_mask']),
      -faces.sum_log_prob(batch['face']['faces'], batch['face']['faces_mask']))
