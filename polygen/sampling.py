"""The sampler: both models, their noise and batching -> meshes, and their files."""
import json
import os
from typing import NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from . import data
from .config import SamplingConfig
from .models.noise import uniform_noise
from .tokens import FACE_NOISE_STREAM, VERTEX_NOISE_STREAM, vertex_sequence_length


MAX_PICTURED_MESHES = 8
MAX_PICTURED_SAMPLES = 64

# Samples drawn at a time: more rows hardly cost more per step, but more memory.
MAX_BATCH_SIZE = 16


class Sample(NamedTuple):
  """One mesh drawn from the models.

  Attributes:
    index: its number; with the seed and the weights it decides the mesh.
    class_id: class it was drawn for, or None.
    completed: whether both models drew their STOP.
    vertices: float32 [V, 3] as (x, y, z), z up, in [-0.5, 0.5].
    faces: lists of vertex indices.
    face_tokens: int32 [F], all that was drawn of the faces, STOP included. `faces` lacks those of
      fewer than three corners, these tokens do not.
  """
  index: int
  class_id: Optional[int]
  completed: bool
  vertices: np.ndarray
  faces: list
  face_tokens: np.ndarray


class Sampler:
  """Builds the sampling graph of a fixed batch size once, to be run for any number of samples.

  Args:
    models: (VertexModel, FaceModel).
    batch_size: samples drawn at a time.
    sampling: SamplingConfig.
    recenter: move the centre of each bounding box to 0, for models trained with shifts.
    fixed_length: run every loop to its end, so that the graph is static everywhere, as an Ascend
      NPU needs it; the samples are the same.
  """

  def __init__(self, models, batch_size, sampling=SamplingConfig(), recenter=False,
               fixed_length=False):
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
               'fixed_length': fixed_length}
    vertices = vertex_model.sample(
        batch_size, {'class_label': self._labels}, recenter_verts=recenter, noise=self._noise[0],
        static_batch=True, **drawing)
    faces = face_model.sample(
        dict(vertices, class_label=self._labels), noise=self._noise[1], **drawing)
    self._outputs = {
        'completed': vertices['completed'] & faces['completed'],
        'vertices': vertices['vertices'], 'num_vertices': vertices['num_vertices'],
        'faces': faces['faces'], 'num_face_indices': faces['num_face_indices']}

  def sample(self, session, num_samples, seed, class_ids=None):
    """Yields `Sample`s 0 ... num_samples - 1, batch by batch.

    Args:
      session: tf.Session with the weights.
      num_samples: how many.
      seed: int >= 0; sample i is a function of (weights, seed, i, its class).
      class_ids: class of each sample; None takes all classes in turn.
    """
    if class_ids is None:
      class_ids = classes_in_turn(num_samples, self._num_classes)
    for start in range(0, num_samples, self._batch_size):
      indices = range(start, start + self._batch_size)
      labels = [class_ids[min(index, num_samples - 1)] or 0 for index in indices]
      outputs = session.run(self._outputs, self._feed(labels, indices, seed))
      for row, index in enumerate(indices[:num_samples - start]):
        yield _mesh(index, class_ids[index], {key: value[row] for key, value in outputs.items()})

  def _feed(self, labels, indices, seed):
    feed = {self._labels: labels}
    for placeholder, stream in zip(self._noise, (VERTEX_NOISE_STREAM, FACE_NOISE_STREAM)):
      feed[placeholder] = uniform_noise(seed, indices, placeholder.shape.as_list()[1], stream)
    return feed


def classes_in_turn(num_samples, num_classes):
  """The class ids 0, 1, ... in turn; None for each sample without classes."""
  return [index % num_classes if num_classes else None for index in range(num_samples)]


def check_unused(folder):
  """Raises a FileExistsError if there is anything in the folder."""
  if os.path.isdir(folder) and os.listdir(folder):
    raise FileExistsError('{} is not empty and nothing is overwritten: choose another folder'
                          .format(folder))


def write_samples(samples, folder, seed, classes=()):
  """Writes sample_000.obj, ... and samples.json into a new folder.

  Args:
    samples: Samples.
    folder: must be missing or empty.
    seed: they were drawn with.
    classes: class names.

  Raises:
    FileExistsError: there is something in the folder.
    OSError: it cannot be written.
  """
  check_unused(folder)
  os.makedirs(folder, exist_ok=True)
  entries = []
  for sample in samples:
    name = 'sample_{:03d}.obj'.format(sample.index)
    data.write_obj(sample.vertices, sample.faces, os.path.join(folder, name))
    entries.append({
        'file': name, 'seed': seed, 'index': sample.index,
        'class': None if sample.class_id is None else classes[sample.class_id],
        'vertices': len(sample.vertices), 'faces': len(sample.faces),
        'completed': sample.completed})
  with open(os.path.join(folder, data.SAMPLES_FILE), 'w', encoding='utf-8') as file:
    json.dump(entries, file, indent=2)
    file.write('\n')


def write_picture(samples, path, training_meshes=(), quantization_bits=8):
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
  rows.append((_samples_title(samples), [{'vertices': sample.vertices, 'faces': sample.faces}
                                         for sample in samples[:MAX_PICTURED_SAMPLES]]))
  data.write_contact_sheet(path, rows)


def _samples_title(samples):
  completed = sum(sample.completed for sample in samples)
  if len(samples) <= MAX_PICTURED_SAMPLES:
    return 'Samples ({} of {} completed)'.format(completed, len(samples))
  return 'Samples (first {} of {}; {} completed)'.format(
      MAX_PICTURED_SAMPLES, len(samples), completed)


def write_picture_if_possible(samples, path, write_line, *training_meshes_and_bits):
  """`write_picture`; without matplotlib one line says how to get it."""
  try:
    write_picture(samples, path, *training_meshes_and_bits)
  except ImportError as error:
    write_line('No picture: {}'.format(error))


def _floats(mesh, quantization_bits):
  return {'vertices': data.dequantize_verts(mesh['vertices'], quantization_bits),
          'faces': data.unflatten_faces(mesh['faces'])}


def _mesh(index, class_id, row):
  face_tokens = row['faces'][:row['num_face_indices']]
  return Sample(index, class_id, bool(row['completed']), row['vertices'][:row['num_vertices']],
                data.unflatten_faces(face_tokens), face_tokens)
