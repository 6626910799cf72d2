"""Time per token of decoding, every row at full length: the noise never draws STOP."""
import contextlib
import statistics
from concurrent import futures

import numpy as np
import tensorflow.compat.v1 as tf

from polygen import config, hw
from polygen.models import FaceModel, VertexModel
from polygen.sampling import COMPILED_JOBS, MAX_BATCH_SIZE, MAX_SHARDS
from polygen.tokens import NUM_SPECIAL_FACE_TOKENS, vertex_sequence_length

from . import unit

TOP_P = 0.95
MAX_FACE_TOKENS = 1000
REPEATS, MASK_REPEATS = 5, 15
# Every logit of an untrained model is equal and STOP comes first: a half never draws it.
NOISE = 0.5
# Under masks a half soon reaches the top, where vertices end. This draws the lowest legal z, the
# token behind STOP, and the lowest y and x.
MASKED_NOISE = (1.5 / 257, 0., 0.)
PUBLISHED = config.PRETRAINED_FACE_ENCODER, config.PRETRAINED_FACE_DECODER
TOY = config.TOY_TRANSFORMER, config.TOY_TRANSFORMER
COMPILES_PUBLISHED = config.PRETRAINED_FACE_DECODER.hidden_size <= COMPILED_JOBS.hidden_size


def vertex_tokens(batch, steps, compiled=True):
  """Draws `steps` vertex tokens in `batch` rows of the toy config: Measurement per token step.

  Raises:
    ValueError: the rows cannot be shared out equally.
  """
  shards, rows = _shared_out(batch)
  return _per_token(lambda: _drawn_vertices(rows, steps // 3, compiled), batch // rows, shards,
                    vertex_sequence_length(steps // 3), compiled)


def plain(call):
  """The Measurement of a call of this module whose loops are not compiled, in a new process.

  There batches side by side share the cores as those of polygen.sample do; the unit is measured
  here, where one product has all of them.
  """
  found = []

  def work():
    found.append(unit.Measurement(*unit.in_process('decoding.' + call)))
    return found[0].value

  return unit.measured(work)._replace(details=found[0].details)


def vertex_masks(batch, steps):
  """The same under grammar masks, and how much they add."""
  shards, rows = _shared_out(batch)
  return _in_turn(lambda mask: _drawn_vertices(rows, steps // 3, True, mask), batch // rows, shards,
                  vertex_sequence_length(steps // 3))


def _shared_out(batch):
  """Shards, and rows of each call, that `batch` rows are drawn in."""
  shards = min(batch, hw.num_cores(), MAX_SHARDS)
  rows = min(batch // shards, MAX_BATCH_SIZE)
  if batch % rows:
    raise ValueError('{} rows are no number of batches of {}'.format(batch, rows))
  return shards, rows


def _drawn_vertices(rows, vertices, compiled, mask_invalid=False):
  """bool [rows]: whether that many vertices were drawn."""
  pattern = MASKED_NOISE if mask_invalid else [NOISE] * 3
  noise = np.tile(np.resize(np.float32(pattern), vertex_sequence_length(vertices)), [rows, 1])
  model = VertexModel(config.TOY_TRANSFORMER, 8, max_num_input_verts=vertices)
  outputs = model.sample(
      rows, noise=noise, top_p=TOP_P, recenter_verts=False, only_return_complete=False,
      static_batch=True, compile_loop=compiled, mask_invalid=mask_invalid)
  return tf.equal(outputs['num_vertices'], vertices)


def vertex_memory(batch, steps):
  """Peak MB of a process that does this."""
  return unit.peak_memory('from benchmarks import decoding; '
                          'decoding.draw_vertices({}, {})'.format(batch, steps))


def draw_vertices(batch, steps):
  """Draws them as `vertex_tokens` does, and measures nothing."""
  shards, rows = _shared_out(batch)
  with _drawing([lambda: _drawn_vertices(rows, steps // 3, True)], batch // rows, shards, True) as (
      _, [draw]):
    draw()


def published_face_tokens():
  """`face_tokens` as they are drawn fastest: compiled, or not."""
  return face_tokens(8, 400, 60) if COMPILES_PUBLISHED else plain(
      'face_tokens(8, 400, 60, compiled=False)')


def face_tokens(batch, num_vertices, steps, compiled=True):
  """The same of the face model at the published size, with cross-attention.

  The vertices are encoded once, before the first token: the time per token is that of twice the
  steps less that of the steps, drawn in turn. `reading_seconds` is what it would take if all cores
  did nothing but read what a token needs, once.
  """
  shards, rows = _shared_out(batch)

  def drawn(length):
    return lambda: _drawn_faces(PUBLISHED, rows, num_vertices, length, compiled)

  times = []

  def difference(draws):
    times.extend([draw() for draw in draws] for _ in range(REPEATS))
    return statistics.median(long - short for short, long in times) / steps

  found = _measured([drawn(steps), drawn(2 * steps)], batch // rows, shards, difference, compiled)
  encoding = statistics.median(2 * short - long for short, long in times)
  # On average of those between `steps` and twice as many.
  num_floats = _floats_of_a_face_token(PUBLISHED[1], batch, num_vertices, 3 * steps // 2)
  return found._replace(details=dict(
      found.details, compiled=compiled, encoding_seconds=round(encoding, 2),
      megabytes=round(num_floats * 4 / 1e6),
      reading_seconds=float('{:.3g}'.format(unit.reading_seconds(num_floats)))))


def _floats_of_a_face_token(decoder, batch, num_vertices, num_tokens):
  """Numbers that a token cannot do without: kernels of the decoder, keys and values of vertices
  and of the `num_tokens` tokens before it."""
  size, positions = decoder.hidden_size, num_vertices + NUM_SPECIAL_FACE_TOKENS + num_tokens
  self_attention, queries_and_outputs = 4 * size ** 2, 2 * size ** 2
  mlp = 2 * size * decoder.fc_size
  keys_and_values = 2 * size * positions * batch
  return decoder.num_layers * (self_attention + queries_and_outputs + mlp + keys_and_values)


def face_masks(stacks, batch, num_vertices, steps, compiled):
  """A token of the face model under grammar masks, encoding included, and how much they add."""
  return _in_turn(lambda mask: _drawn_faces(stacks, batch, num_vertices, steps, compiled, mask),
                  1, 1, steps)


def _drawn_faces(stacks, batch, num_vertices, steps, compiled, mask_invalid=False):
  """bool [batch]: whether rows of faces, drawn by encoder and decoder configs, have all steps."""
  model = FaceModel(*stacks, class_conditional=False, max_seq_length=MAX_FACE_TOKENS)
  vertices = np.random.default_rng(0).random([batch, num_vertices, 3], np.float32) - 0.5
  context = {'vertices': tf.constant(vertices), 'vertices_mask': tf.ones([batch, num_vertices])}
  outputs = model.sample(context, steps, noise=tf.fill([batch, steps], NOISE), top_p=TOP_P,
                         only_return_complete=False, compile_loop=compiled,
                         mask_invalid=mask_invalid)
  # Under masks a row may stop at its last token.
  return ~outputs['completed'] | tf.equal(outputs['num_face_indices'], steps)


def _per_token(build, batches, shards, steps, compiled):
  """Time to draw some batches, `shards` at a time, over `steps`.

  build: function -> bool [rows], whether each was drawn to its full length.
  """
  def median(draws):
    [draw] = draws
    return statistics.median(draw() for _ in range(REPEATS)) / steps

  return _measured([build], batches, shards, median, compiled)


def _in_turn(build, batches, shards, steps):
  """The same for masked calls, plain ones in turn with them: their ratio is `times_plain`.

  build: function (mask_invalid) -> bool [rows].
  """
  times = []

  def median(draws):
    times.extend([draw() / steps for draw in draws] for _ in range(MASK_REPEATS))
    return statistics.median(masked for _, masked in times)

  found = _measured([lambda: build(False), lambda: build(True)], batches, shards, median, True)
  plain = statistics.median(plain for plain, _ in times)
  return found._replace(details=dict(
      found.details, plain_seconds=float('{:.4g}'.format(plain)),
      times_plain=round(found.value / plain, 3)))


def _measured(builds, batches, shards, measure, compiled):
  """Measurement of `measure([function -> seconds that all batches take], one for each build)`."""
  with _drawing(builds, batches, shards, compiled) as (first, draws):
    return unit.measured(lambda: measure(draws), first_call_seconds=round(max(first), 1),
                         batches=batches, shards=shards)


@contextlib.contextmanager
def _drawing(builds, batches, shards, compiled):
  """(seconds of the first call, function -> seconds that all batches take), lists over builds.

  Plain batches share the cores of the process, if this is its first session.
  """
  config = hw.choose_machine(hw.CPU).session_config(side_by_side=1 if compiled else shards)
  with tf.Graph().as_default(), tf.Session(config=config) as session, futures.ThreadPoolExecutor(
      shards) as pool:
    are_full = [build() for build in builds]
    session.run(tf.global_variables_initializer())

    def draw(is_full):
      if not session.run(is_full).all():
        raise AssertionError('a row has stopped: it was not measured at full length')

    first = [unit.timed(lambda: draw(is_full)) for is_full in are_full]
    yield first, [
        lambda is_full=is_full: unit.timed(lambda: list(pool.map(draw, [is_full] * batches)))
        for is_full in are_full]
