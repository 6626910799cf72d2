"""The sampler: both models, their noise and batching -> meshes."""
import collections
from concurrent import futures
from typing import NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from . import data
from .config import COMPILE_MODES, SamplingConfig
from .hw import CPU
from .models.noise import uniform_noise
from .tokens import FACE_NOISE_STREAM, VERTEX_NOISE_STREAM, vertex_sequence_length


# Samples drawn at a time: more rows hardly cost more per step, but more memory.
MAX_BATCH_SIZE = 16
# Batches drawn at the same time, on a core each; each takes the memory of one.
MAX_SHARDS = 4


class CompiledJobs(NamedTuple):
  """The jobs whose loops are worth compiling, as measured on CPUs.

  Two cores spend 5 s on compiling the toy config on TensorFlow 2 and 44 s on TensorFlow 1, and save
  0.04 and 0.03 s per sample, so it pays from 120 and 1500 samples on; both grow with the layers and
  with the length of the sequences. A face model of the published size, 14 layers x 2800 tokens,
  takes 50 s on TensorFlow 2 and saves 19 ms of 86 per token of 32 samples; TensorFlow 1 is not done
  with it in 8 minutes.

  Attributes:
    num_samples: the fewest.
    hidden_size: the largest.
    layer_tokens: the most layers times tokens.
  """
  num_samples: int
  hidden_size: float
  layer_tokens: int


COMPILED_JOBS = (CompiledJobs(2000, 256, 8000) if tf.version.VERSION.startswith('1.')
                 else CompiledJobs(200, float('inf'), 50000))


class Sample(NamedTuple):
  """One mesh drawn from the models.

  Attributes:
    index: its number; with the seed and the weights it decides the mesh.
    class_id: class it was drawn for, or None.
    tries: how often it was drawn until it completed, or in vain.
    completed: whether both models drew their STOP.
    vertices: float32 [V, 3] as (x, y, z), z up, in [-0.5, 0.5], or where the given ones are.
    faces: lists of vertex indices.
    face_tokens: int32 [F], all that was drawn of the faces, STOP included. `faces` lacks those of
      fewer than three corners, these tokens do not.
  """
  index: int
  class_id: Optional[int]
  tries: int
  completed: bool
  vertices: np.ndarray
  faces: list
  face_tokens: np.ndarray

  @property
  def num_tokens(self):
    """Tokens of the mesh, both STOPs included."""
    return vertex_sequence_length(len(self.vertices)) + len(self.face_tokens)


class _Draw(NamedTuple):
  """A sample to be drawn: its number, its class (or None) and how often it was drawn before."""
  index: int
  class_id: Optional[int]
  attempt: int


class Sampler:
  """Builds the sampling graph of a fixed batch size once, to be run for any number of samples.

  Args:
    models: (VertexModel, FaceModel).
    batch_size: samples drawn at a time.
    sampling: SamplingConfig.
    recenter: move the centre of each bounding box to 0, for models trained with shifts.
    fixed_length: run every loop to its end, so that the graph is static everywhere, as an Ascend
      NPU needs it; the samples are the same.
    compile_loops: compile the decoding loops with XLA at the first batch; the samples are the same
      up to rounding.
    given: data.GivenVertices that every sample has; None: all are drawn.

  Raises:
    ValueError: the models have no room for the given vertices.
  """

  def __init__(self, models, batch_size, sampling=SamplingConfig(), recenter=False,
               fixed_length=False, compile_loops=False, given=None):
    self._batch_size, self._given = batch_size, given
    vertex_model, face_model = models
    check_room(given, vertex_model.config, face_model.config)
    drawing_models = [face_model] if given and given.whole else models
    conditional = [model.config for model in drawing_models if model.config.class_conditional]
    self._num_classes = conditional[0].num_classes if conditional else 0
    steps = (vertex_sequence_length(vertex_model.config.max_num_input_verts),
             face_model.config.max_seq_length)
    self._noise = [tf.placeholder(tf.float32, [batch_size, length]) for length in steps]
    self._labels = tf.placeholder(tf.int32, [batch_size])
    drawing = {'temperature': sampling.temperature, 'top_k': sampling.top_k,
               'top_p': sampling.top_p, 'only_return_complete': False,
               'fixed_length': fixed_length, 'compile_loop': compile_loops,
               'mask_invalid': sampling.mask_invalid}
    if given and given.whole:
      vertices = _complete_vertices(given, batch_size)
    else:
      vertices = vertex_model.sample(
          batch_size, {'class_label': self._labels}, recenter_verts=recenter, noise=self._noise[0],
          static_batch=True, prefix=given and given.bins[None], **drawing)
    faces = face_model.sample(
        dict(vertices, class_label=self._labels), noise=self._noise[1], **drawing)
    self._outputs = {
        'completed': vertices['completed'] & faces['completed'],
        'vertices': vertices['vertices'], 'num_vertices': vertices['num_vertices'],
        'faces': faces['faces'], 'num_face_indices': faces['num_face_indices']}

  def sample(self, session, num_samples, seed, class_ids=None, max_tries=1, shards=1):
    """Yields `Sample`s 0 ... num_samples - 1, batch by batch; those drawn again come later.

    Args:
      session: tf.Session with the weights.
      num_samples: how many.
      seed: int >= 0; sample i is a function of (weights, seed, i, its class).
      class_ids: class of each sample; None takes all classes in turn.
      max_tries: how often a sample is drawn until it is complete.
      shards: batches that are drawn at the same time, on a core each.
    """
    if class_ids is None:
      class_ids = classes_in_turn(num_samples, self._num_classes)
    waiting = collections.deque(
        _Draw(index, class_id, 0) for index, class_id in enumerate(class_ids[:num_samples]))
    # In the order of their start, so that the batches of those drawn again are always the same.
    running = collections.deque()
    with futures.ThreadPoolExecutor(shards) as pool:
      while waiting or running:
        while waiting and len(running) < shards:
          draws = [waiting.popleft() for _ in range(min(self._batch_size, len(waiting)))]
          running.append(pool.submit(self._draw, session, seed, draws))
        for draw, sample in running.popleft().result():
          if sample.completed or sample.tries >= max_tries:
            yield sample
          else:
            waiting.append(draw._replace(attempt=draw.attempt + 1))

  def _draw(self, session, seed, draws):
    """[(draw, Sample)] of up to a batch of draws."""
    outputs = session.run(self._outputs, self._feed(seed, draws))
    return [(draw, self._mesh(draw, {key: value[row] for key, value in outputs.items()}))
            for row, draw in enumerate(draws)]

  def _mesh(self, draw, row):
    vertices = row['vertices'][:row['num_vertices']]
    if self._given:
      vertices = self._given.place(vertices)
    face_tokens = row['faces'][:row['num_face_indices']]
    return Sample(draw.index, draw.class_id, draw.attempt + 1, bool(row['completed']), vertices,
                  data.unflatten_faces(face_tokens), face_tokens)

  def _feed(self, seed, draws):
    rows = draws + draws[-1:] * (self._batch_size - len(draws))
    feed = {self._labels: [draw.class_id or 0 for draw in rows]}
    for placeholder, stream in zip(self._noise, (VERTEX_NOISE_STREAM, FACE_NOISE_STREAM)):
      feed[placeholder] = uniform_noise(
          seed, [draw.index for draw in rows], placeholder.shape.as_list()[1], stream,
          [draw.attempt for draw in rows])
    return feed


def check_room(given, vertex_config, face_config):
  """Checks that models of these configs have room for a mesh with these vertices (or None).

  Raises:
    ValueError: the mesh cannot end within their limits, or its bins are not theirs.
  """
  if given is None:
    return
  if given.quantization_bits != face_config.quantization_bits:
    raise ValueError('the given vertices have bins of {} bits, the models of {}'.format(
        given.quantization_bits, face_config.quantization_bits))
  count, most = len(given.bins), vertex_config.max_num_input_verts
  if not given.whole and count > most:
    raise ValueError('{} vertices are given, but the vertex model draws at most {}'.format(
        count, most))
  if count + 1 > face_config.max_seq_length:
    raise ValueError('{} vertices are given, whose faces take at least {} tokens, but the face '
                     'model draws at most {}'.format(count, count + 1, face_config.max_seq_length))


def _complete_vertices(given, batch_size):
  """What `VertexModel.sample` returns, of vertices that are all given."""
  vertices = data.dequantize_verts(given.bins, given.quantization_bits)
  return {'completed': tf.ones([batch_size], tf.bool),
          'vertices': tf.tile(tf.constant(vertices)[None], [batch_size, 1, 1]),
          'vertices_mask': tf.ones([batch_size, len(vertices)]),
          'num_vertices': tf.fill([batch_size], len(vertices))}


def classes_in_turn(num_samples, num_classes):
  """The class ids 0, 1, ... in turn; None for each sample without classes."""
  return [index % num_classes if num_classes else None for index in range(num_samples)]


def compiles(mode, machine, num_samples, run_config):
  """Whether the loops are compiled.

  Args:
    mode: 'on', 'off', or 'auto': where compilation saves more time than it takes.
    machine: hw.Machine.
    num_samples: how many will be drawn.
    run_config: RunConfig of the models.

  Raises:
    ValueError: an unknown mode; 'on' where graphs are compiled by the device.
  """
  if mode not in COMPILE_MODES:
    raise ValueError('compile mode {!r}: choose from {}'.format(mode, ', '.join(COMPILE_MODES)))
  if machine.static_shapes and mode == 'on':
    raise ValueError('--compile on: the {} compiles every graph itself; leave it out'.format(
        machine.device.name.upper()))
  if mode == 'auto':
    vertices, faces = run_config.vertex_model, run_config.face_model
    hidden_size = max(vertices.decoder_config.hidden_size, faces.decoder_config.hidden_size)
    layer_tokens = (
        vertices.decoder_config.num_layers * vertex_sequence_length(vertices.max_num_input_verts)
        + faces.decoder_config.num_layers * faces.max_seq_length)
    return (machine.device.name == CPU and num_samples >= COMPILED_JOBS.num_samples
            and hidden_size <= COMPILED_JOBS.hidden_size
            and layer_tokens <= COMPILED_JOBS.layer_tokens)
  return mode == 'on'
