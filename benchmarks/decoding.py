"""Time per token of decoding, every row at full length: the noise never draws STOP."""
import statistics
from concurrent import futures

import numpy as np
import tensorflow.compat.v1 as tf

from polygen import config, hw
from polygen.models import FaceModel, VertexModel
from polygen.sampling import COMPILED_JOBS, MAX_BATCH_SIZE, MAX_SHARDS
from polygen.tokens import vertex_sequence_length

from . import unit

TOP_P = 0.95
REPEATS = 5
# Every logit of an untrained model is equal and STOP comes first: a half never draws it.
NOISE = 0.5
COMPILES_PUBLISHED = config.PRETRAINED_FACE_DECODER.hidden_size <= COMPILED_JOBS.hidden_size


def vertex_tokens(batch, steps, compiled=True):
  """Draws `steps` vertex tokens in `batch` rows of the toy config: Measurement per token step.

  Raises:
    ValueError: the rows cannot be shared out equally.
  """
  shards = min(batch, hw.num_cores(), MAX_SHARDS)
  rows = min(batch // shards, MAX_BATCH_SIZE)
  if batch % rows:
    raise ValueError('{} rows are no number of batches of {}'.format(batch, rows))
  vertices = steps // 3

  def build():
    model = VertexModel(config.TOY_TRANSFORMER, 8, max_num_input_verts=vertices)
    return model.sample(
        rows, noise=tf.fill([rows, vertex_sequence_length(vertices)], NOISE), top_p=TOP_P,
        recenter_verts=False, only_return_complete=False, static_batch=True,
        compile_loop=compiled)

  return _per_token(build, batch // rows, shards, vertex_sequence_length(vertices))


def vertex_memory(batch, steps):
  """Peak MB of a process that does this."""
  return unit.peak_memory('from benchmarks import decoding; decoding.vertex_tokens({}, {})'.format(
      batch, steps))


def face_tokens(batch, num_vertices, steps, compiled=COMPILES_PUBLISHED):
  """The same of the face model at the published size, with cross-attention.

  The vertices are encoded once, before the first token: the time per token is that of twice the
  steps less that of the steps.
  """
  def build(length):
    model = FaceModel(config.PRETRAINED_FACE_ENCODER, config.PRETRAINED_FACE_DECODER,
                      class_conditional=False, max_seq_length=2 * steps)
    vertices = np.random.default_rng(0).random([batch, num_vertices, 3], np.float32) - 0.5
    context = {'vertices': tf.constant(vertices), 'vertices_mask': tf.ones([batch, num_vertices])}
    return model.sample(context, length, noise=tf.fill([batch, length], NOISE), top_p=TOP_P,
                        only_return_complete=False, compile_loop=compiled)

  long = _per_token(lambda: build(2 * steps), 1, 1, 1)
  short = _per_token(lambda: build(steps), 1, 1, 1)
  encoding = 2 * short.value - long.value
  return unit.Measurement((long.value - short.value) / steps,
                          (long.unit_seconds + short.unit_seconds) / 2,
                          dict(long.details, compiled=compiled,
                               encoding_seconds=round(encoding, 2)))


def _per_token(build, batches, shards, steps):
  """Time to draw some batches, `shards` at a time, over `steps`."""
  with tf.Graph().as_default(), tf.Session() as session, futures.ThreadPoolExecutor(
      shards) as pool:
    outputs = build()
    session.run(tf.global_variables_initializer())

    def draw(unused_number=None):
      if session.run(outputs['completed']).any():
        raise AssertionError('a row has drawn STOP: it was not measured at full length')

    first = unit.timed(draw)
    return unit.measured(
        lambda: statistics.median(
            unit.timed(lambda: list(pool.map(draw, range(batches))))
            for _ in range(REPEATS)) / steps,
        first_call_seconds=round(first, 1), batches=batches, shards=shards)
