"""What recomputing activations saves and costs, and the training step of the published size.

Every measurement runs in a process of its own, so that it has a peak of its own.
"""
import functools
import time

import numpy as np

from polygen.train import SIDE_BY_SIDE

from . import unit

# A stack that is worth it: 12 layers of hidden size 256, one row of 2,000 tokens.
LAYERS, HIDDEN, TOKENS = 12, 256, 2000
STEPS = 3

# A mesh of the size that PolyGen was trained with.
VERTICES, FACE_TOKENS = 800, 2800


def recompute_memory():
  """Peak MB with recomputation over that without, each above what the process had before."""
  kept, recomputed = _both()
  ratio = _growth(recomputed) / _growth(kept)
  return unit.Measurement(ratio, None, {
      'mb': round(_growth(recomputed)), 'kept_mb': round(_growth(kept)),
      'whole_process_mb': round(recomputed['peak_mb']),
      'whole_process_kept_mb': round(kept['peak_mb'])})


def recompute_time():
  """Seconds with recomputation over those without."""
  kept, recomputed = _both()
  return unit.Measurement(recomputed['seconds'] / kept['seconds'], None, {
      'seconds': round(recomputed['seconds'], 2), 'kept_seconds': round(kept['seconds'], 2)})


def published_memory():
  """Peak resident MB of a process that does two training steps of the published size."""
  found = unit.in_process('memory.published_step()')
  return unit.Measurement(found['peak_mb'], None, {'seconds': round(found['seconds'], 1)})


@functools.lru_cache(maxsize=None)
def _both():
  return tuple(unit.in_process('memory.stack_gradients({})'.format(recompute))
               for recompute in (False, True))


def _growth(found):
  return found['peak_mb'] - found['before_mb']


def stack_gradients(recompute):
  """Gradients of a causal stack by all its variables, {figure: value}; for a process of its own."""
  import tensorflow.compat.v1 as tf
  from polygen import hw
  from polygen.config import TransformerConfig
  from polygen.layers import blocks, variables
  from polygen.layers.transformer import transformer, transformer_weights
  config = TransformerConfig(hidden_size=HIDDEN, fc_size=4 * HIDDEN, num_layers=LAYERS,
                             dropout_rate=0., memory_efficient=recompute)
  machine = hw.choose_machine()
  session_config = machine.session_config(SIDE_BY_SIDE)
  with tf.Graph().as_default(), tf.Session(config=session_config) as session:
    tf.set_random_seed(0)
    x = tf.constant(np.random.default_rng(0).random([1, TOKENS, HIDDEN], np.float32))
    with variables.model_scope('stack'):
      weights = transformer_weights('transformer', config)
    loss = tf.reduce_sum(tf.square(transformer(x, weights, blocks.causal(TOKENS))))
    gradients = tf.gradients(loss, variables.model_variables('stack'))
    session.run(tf.global_variables_initializer())
    # Scalars that start at 0 would make the branches free.
    alphas = [v for v in variables.model_variables('stack') if v.op.name.endswith('alpha')]
    session.run([alpha.assign(0.1) for alpha in alphas])
    norms = [tf.norm(gradient) for gradient in gradients]
    before = peak_megabytes()
    session.run(norms)
    seconds = [unit.timed(lambda: session.run(norms)) for _ in range(STEPS)]
  return {'seconds': min(seconds), 'peak_mb': peak_megabytes(), 'before_mb': before}


def published_step():
  """One training step of the published size, {figure: value}; for a process of its own."""
  import tensorflow.compat.v1 as tf
  from polygen import checkpoint, config, data, hw
  from polygen.training import step
  run_config = config.PRESETS['pretrained']
  machine = hw.choose_machine()
  shape = data.BatchShape(1, VERTICES, FACE_TOKENS)
  rng = np.random.default_rng(0)
  session_config = machine.session_config(SIDE_BY_SIDE)
  with tf.Graph().as_default(), tf.Session(config=session_config) as session:
    tf.set_random_seed(0)
    batch = {part: {key: tf.constant(_noise(key, dtype, size, rng))
                    for key, (dtype, size) in keys.items()}
             for part, keys in data.batch_spec(shape).items()}
    training = step.training_step(
        checkpoint.build_models(run_config), batch, run_config.training, machine)
    session.run(tf.global_variables_initializer())
    start = time.perf_counter()
    losses = session.run([training.train, training.losses])[1]
    first = time.perf_counter() - start
    seconds = unit.timed(lambda: session.run([training.train, training.losses]))
  return {'seconds': seconds, 'first_seconds': first, 'peak_mb': peak_megabytes(),
          'losses': {part: float(loss) for part, loss in losses.items()}}


def _noise(key, dtype, size, rng):
  """Values of a batch that are possible, of no mesh."""
  if key == 'vertices_flat':
    return rng.integers(1, 257, size).astype(dtype)
  if key == 'faces':
    return rng.integers(1, VERTICES + 2, size).astype(dtype)
  if key == 'vertices':
    return rng.uniform(-0.5, 0.5, size).astype(dtype)
  return np.full(size, key.endswith('mask'), dtype)  # else class labels


def peak_megabytes():
  """Peak resident memory of this process in MB; on Linux."""
  with open('/proc/self/status') as file:
    return int(file.read().split('VmHWM:')[1].split()[0]) * 1024 / 1e6
