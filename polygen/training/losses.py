"""The losses of the models on one batch."""

# What each model, or part of a batch, predicts; the name of its loss.
LOSS_NAMES = {'vertex': 'vertices', 'face': 'faces'}

_TOKENS = {'vertex': 'vertices_flat', 'face': 'faces'}
# Keeps the dropout noise of the two models apart.
_SEED_OFFSETS = {'vertex': [0, 0], 'face': [1 << 16, 0]}


def batch_losses(models, batch, is_training=False, seed=None):
  """Negative log-likelihood of a batch (PolyGen, equations 2 and 5), STOP tokens included.

  Args:
    models: {part: model}, of the parts 'vertex' and 'face' or one of them.
    batch: {part: dict of tensors}, as drawn in data/batches.py.
    is_training: whether dropout acts, bool or bool scalar tensor.
    seed: int32 [2] for dropout, or None.

  Returns:
    {part: float32 scalar}, sums over the batch in nats.
  """
  losses = {}
  for part, model in models.items():
    tokens = _TOKENS[part]
    distribution = model(batch[part], is_training,
                         None if seed is None else seed + _SEED_OFFSETS[part])
    losses[part] = -distribution.sum_log_prob(batch[part][tokens], batch[part][tokens + '_mask'])
  return losses
