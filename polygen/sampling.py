"""The sampler: both models, their noise and batching -> meshes, and their files."""
import collections
import json
import os
from concurrent import futures
from typing import NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from . import data
from .config import COMPILE_MODES, SamplingConfig
from .hw import CPU
from .models.noise import uniform_noise
from .tokens import FACE_NOISE_STREAM, VERTEX_NOISE_STREAM, vertex_sequence_length


MAX_PICTURED_MESHES = 8
MAX_PICTURED_SAMPLES = 64

# Samples drawn at a time: more rows hardly cost more per step, but more memory.
MAX_BATCH_SIZE = 16
# Batches drawn at the same time, on a core each; each takes the memory of one.
MAX_SHARDS = 4



class CompiledJobs(NamedTuple):
  """The jobs whose loops are worth compiling, as measured on CPUs.

  The toy config compiles in about 10 s on TensorFlow 2 and 100 s on TensorFlow 1, and saves 0.1 to
  0.2 s per sample; both grow with the layers and with the length of the sequences. A face model
  of the published size, 14 layers x 2800 tokens, takes 50 s on TensorFlow 2 and saves 27 ms of 60
  per token; TensorFlow 1 is not done with it in 8 minutes.

  Attributes:
    num_samples: the fewest.
    hidden_size: the largest.
    layer_tokens: the most layers times tokens.
  """
  num_samples: int
  hidden_size: float
  layer_tokens: int


COMPILED_JOBS = (CompiledJobs(1000, 256, 8000) if tf.version.VERSION.startswith('1.')
                 else CompiledJobs(200, float('inf'), 50000))


class Sample(NamedTuple):
  """One mesh drawn from the models.

  Attributes:
    index: its number; with the seed and the weights it decides the mesh.
    class_id: class it was drawn for, or None.
    tries: how often it was drawn until it completed, or in vain.
    completed: whether both models drew their STOP.
    vertices: float32 [V, 3] as (x, y, z), z up, in [-0.5, 0.5].
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
  """

  def __init__(self, models, batch_size, sampling=SamplingConfig(), recenter=False,
               fixed_length=False, compile_loops=False):
    self._batch_size = batch_size
    vertex_model, face_model = models
    conditional = [model.config for model in models if model.config.class_conditional]
    self._num_classes = conditional[0].num_classes if conditional else 0
    steps = (vertex_sequence_length(vertex_model.config.max_num_input_verts),
             face_model.config.max_seq_length)
    self._noise = [tf.placeholder(tf.float32, [batch_size, length]) for length in steps]
    self._labels = tf.placeholder(tf.int32, [batch_size])
    drawing = {'temperature': sampling.temperature, 'top_k': sampling.top_k,
               'top_p': sampling.top_p, 'only_return_complete': False,
               'fixed_length': fixed_length, 'compile_loop': compile_loops}
    vertices = vertex_model.sample(
        batch_size, {'class_label': self._labels}, recenter_verts=recenter, noise=self._noise[0],
        static_batch=True, **drawing)
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
    return [(draw, _mesh(draw, {key: value[row] for key, value in outputs.items()}))
            for row, draw in enumerate(draws)]

  def _feed(self, seed, draws):
    rows = draws + draws[-1:] * (self._batch_size - len(draws))
    feed = {self._labels: [draw.class_id or 0 for draw in rows]}
    for placeholder, stream in zip(self._noise, (VERTEX_NOISE_STREAM, FACE_NOISE_STREAM)):
      feed[placeholder] = uniform_noise(
          seed, [draw.index for draw in rows], placeholder.shape.as_list()[1], stream,
          [draw.attempt for draw in rows])
    return feed


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


def check_unused(folder):
  """Raises a FileExistsError if there is anything in the folder."""
  if os.path.isdir(folder) and os.listdir(folder):
    raise FileExistsError('{} is not empty and nothing is overwritten: choose another folder'
                          .format(folder))


class SampleFiles:
  """A new folder of samples: sample_000.obj, ... and samples.json, whole after every `write`.

      with SampleFiles(folder, seed, classes) as files:
        files.write(sample)

  Args:
    folder: must be missing or empty.
    seed: the samples are drawn with.
    classes: class names.

  Raises:
    FileExistsError: there is something in the folder.
    OSError: it cannot be written; so do `write` and the end.
  """

  def __init__(self, folder, seed, classes=()):
    check_unused(folder)
    os.makedirs(folder, exist_ok=True)
    self._folder, self._seed, self._classes = folder, seed, classes
    self._entries = []
    self._list, self._list_end = None, 0

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused_exception):
    if self._list is None:
      if kind is not None:
        return  # nothing was drawn: the folder stays empty
      self._open()
    with self._list:
      entries, self._entries, self._list_end = self._entries, [], 0
      self._list.seek(0)
      self._list.write('[]\n')
      for entry in sorted(entries, key=lambda entry: entry['index']):
        self._append(entry)
      self._list.truncate()

  def write(self, sample):
    """Writes a Sample and lists it; at the end the list is sorted by number."""
    if self._list is None:
      self._open()
    name = 'sample_{:03d}.obj'.format(sample.index)
    data.write_obj(sample.vertices, sample.faces, os.path.join(self._folder, name))
    self._append({
        'file': name, 'seed': self._seed, 'index': sample.index,
        'class': None if sample.class_id is None else self._classes[sample.class_id],
        'vertices': len(sample.vertices), 'faces': len(sample.faces), 'tries': sample.tries,
        'completed': sample.completed})
    self._list.flush()

  def _open(self):
    self._list = open(os.path.join(self._folder, data.SAMPLES_FILE), 'w', encoding='utf-8',
                      newline='\n')

  def _append(self, entry):
    """Puts an entry in place of the end of the list, and the end behind it."""
    self._list.seek(self._list_end)
    self._list.write((',\n' if self._entries else '[\n') + json.dumps(entry))
    self._list_end = self._list.tell()
    self._list.write('\n]\n')
    self._entries.append(entry)


def write_picture(samples, path, num_completed, num_samples, training_meshes=(),
                  quantization_bits=8):
  """Writes a contact sheet of the first samples, below the first training meshes if there are any.

  Args:
    samples: Samples.
    path: of the PNG.
    training_meshes: processed meshes.
    quantization_bits: of these.

  Raises:
    ImportError: matplotlib is missing; the message says how to get it.
  """
  rows = []
  if training_meshes:
    rows.append(('Training meshes', [_floats(mesh, quantization_bits)
                                     for mesh in training_meshes[:MAX_PICTURED_MESHES]]))
  rows.append((_samples_title(num_completed, num_samples),
               [{'vertices': sample.vertices, 'faces': sample.faces}
                for sample in samples[:MAX_PICTURED_SAMPLES]]))
  data.write_contact_sheet(path, rows)


def _samples_title(num_completed, num_samples):
  if num_samples <= MAX_PICTURED_SAMPLES:
    return 'Samples ({} of {} completed)'.format(num_completed, num_samples)
  return 'Samples (first {} of {}; {} completed)'.format(
      MAX_PICTURED_SAMPLES, num_samples, num_completed)


def write_picture_if_possible(samples, path, write_line, *counts_training_meshes_and_bits):
  """`write_picture`; without matplotlib one line says how to get it."""
  try:
    write_picture(samples, path, *counts_training_meshes_and_bits)
  except ImportError as error:
    write_line('No picture: {}'.format(error))


def _floats(mesh, quantization_bits):
  return {'vertices': data.dequantize_verts(mesh['vertices'], quantization_bits),
          'faces': data.unflatten_faces(mesh['faces'])}


def _mesh(draw, row):
  face_tokens = row['faces'][:row['num_face_indices']]
  return Sample(draw.index, draw.class_id, draw.attempt + 1, bool(row['completed']),
                row['vertices'][:row['num_vertices']], data.unflatten_faces(face_tokens),
                face_tokens)
