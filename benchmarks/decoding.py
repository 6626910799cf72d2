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
# Under masks a half soon reaches the top, where vertices end. This draws the lowest legal z, the
# token behind STOP, and the lowest y and x.
MASKED_NOISE = (1.5 / 257, 0., 0.)
PUBLISHED = config.PRETRAINED_FACE_ENCODER, config.PRETRAINED_FACE_DECODER
TOY = config.TOY_TRANSFORMER, config.TOY_TRANSFORMER
COMPILES_PUBLISHED = config.PRETRAINED_FACE_DECODER.hidden_size <= COMPILED_JOBS.hidden_size


def vertex_tokens(batch, steps, compiled=True, mask_invalid=False):
  """Draws `steps` vertex tokens in `batch` rows of the toy config: Measurement per token step.

  Raises:
    ValueError: the rows cannot be shared out equally.
  """
  shards = min(batch, hw.num_cores(), MAX_SHARDS)
  rows = min(batch // shards, MAX_BATCH_SIZE)
  if batch % rows:
    raise ValueError('{} rows are no number of batches of {}'.format(batch, rows))
  vertices = steps // 3
  pattern = MASKED_NOISE if mask_invalid else [NOISE] * 3
  noise = np.tile(np.resize(np.float32(pattern), vertex_sequence_length(vertices)), [rows, 1])

  def build():
    model = VertexModel(config.TOY_TRANSFORMER, 8, max_num_input_verts=vertices)
    outputs = model.sample(
        rows, noise=noise, top_p=TOP_P, recenter_verts=False, only_return_complete=False,
        static_batch=True, compile_loop=compiled, mask_invalid=mask_invalid)
    return tf.equal(outputs['num_vertices'], vertices)

  return _per_token(build, batch // rows, shards, vertex_sequence_length(vertices))


def vertex_memory(batch, steps):
  """Peak MB of a process that does this."""
  return unit.peak_memory('from benchmarks import decoding; decoding.vertex_tokens({}, {})'.format(
      batch, steps))


def face_tokens(batch, num_vertices, steps, compiled=COMPILES_PUBLISHED, mask_invalid=False):
  """The same of the face model at the published size, with cross-attention.

  The vertices are encoded once, before the first token: the time per token is that of twice the
  steps less that of the steps.
  """
  def per_row(length):
    return _per_token(lambda: _drawn_faces(PUBLISHED, batch, num_vertices, length, compiled,
                                           mask_invalid), 1, 1, 1)

  long, short = per_row(2 * steps), per_row(steps)
  encoding = 2 * short.value - long.value
  return unit.Measurement((long.value - short.value) / steps,
                          (long.unit_seconds + short.unit_seconds) / 2,
                          dict(long.details, compiled=compiled,
                               encoding_seconds=round(encoding, 2)))


def toy_face_tokens(batch, num_vertices, steps, mask_invalid=False):
  """The same of the toy config, compiled, the encoding included."""
  return _per_token(
      lambda: _drawn_faces(TOY, batch, num_vertices, steps, True, mask_invalid), 1, 1, steps)


def _drawn_faces(stacks, batch, num_vertices, steps, compiled, mask_invalid):
  """bool [batch]: whether rows of faces, drawn by encoder and decoder configs, have all steps."""
  model = FaceModel(*stacks, class_conditional=False, max_seq_length=steps)
  vertices = np.random.default_rng(0).random([batch, num_vertices, 3], np.float32) - 0.5
  context = {'vertices': tf.constant(vertices), 'vertices_mask': tf.ones([batch, num_vertices])}
  outputs = model.sample(context, noise=tf.fill([batch, steps], NOISE), top_p=TOP_P,
                         only_return_complete=False, compile_loop=compiled,
                         mask_invalid=mask_invalid)
  # Under masks a row may stop at its last token.
  return ~outputs['completed'] | tf.equal(outputs['num_face_indices'], steps)


def _per_token(build, batches, shards, steps):
  """Time to draw some batches, `shards` at a time, over `steps`.

  build: function -> bool [rows], whether each was drawn to its full length.
  """
  with tf.Graph().as_default(), tf.Session() as session, futures.ThreadPoolExecutor(
      shards) as pool:
    is_full = build()
    session.run(tf.global_variables_initializer())

    def draw(unused_number=None):
      if not session.run(is_full).all():
        raise AssertionError('a row has stopped: it was not measured at full length')

    first = unit.timed(draw)
    return unit.measured(
        lambda: statistics.median(
            unit.timed(lambda: list(pool.map(draw, range(batches))))
            for _ in range(REPEATS)) / steps,
        first_call_seconds=round(first, 1), batches=batches, shards=shards)
