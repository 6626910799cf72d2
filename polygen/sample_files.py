"""The files of samples: meshes, their list, a report and a picture."""
import json
import os

import numpy as np

from . import data


MAX_PICTURED_MESHES = 8
MAX_PICTURED_SAMPLES = 64


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
    mesh_format: one of data.FORMATS.

  Raises:
    FileExistsError: there is something in the folder.
    OSError: it cannot be written; so do `write` and the end.
    ValueError, ImportError: meshes cannot be written in this format.
  """

  def __init__(self, folder, seed, classes=(), mesh_format='obj'):
    check_unused(folder)
    data.require_format(mesh_format)
    os.makedirs(folder, exist_ok=True)
    self._folder, self._seed, self._classes = folder, seed, classes
    self._mesh_format = mesh_format
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
    """Writes a Sample and lists it; at the end the list is sorted by number.

    Returns:
      data.MeshStatistics of the sample.
    """
    if self._list is None:
      self._open()
    name = 'sample_{:03d}.{}'.format(sample.index, self._mesh_format)
    data.write_mesh(sample.vertices, sample.faces, os.path.join(self._folder, name))
    statistics = data.mesh_statistics(sample.vertices, sample.faces)
    self._append(dict({
        'file': name, 'seed': self._seed, 'index': sample.index,
        'class': None if sample.class_id is None else self._classes[sample.class_id],
        'vertices': len(sample.vertices), 'faces': len(sample.faces), 'tries': sample.tries,
        'completed': sample.completed}, **_further(statistics)))
    self._list.flush()
    return statistics

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


def _further(statistics):
  """What the list says of a mesh beside the numbers of vertices and faces."""
  values = statistics._asdict()
  del values['num_vertices'], values['num_faces']
  return values


def report(statistics):
  """Lines that sum up data.MeshStatistics of several meshes."""
  if not statistics:
    return []
  means = data.MeshStatistics(*np.mean(statistics, axis=0).tolist())
  return [
      'Means of {} meshes: {:.5g} vertices, {:.5g} faces, degree {:.3g}, edge length {:.3g}, '
      'face area {:.3g}'.format(
          len(statistics), means.num_vertices, means.num_faces, means.mean_degree,
          means.mean_edge_length, means.mean_face_area),
      'Open edges {:.3g}, duplicate faces {:.3g}, unreferenced vertices {:.3g}; '
      'watertight: {} of {}'.format(
          means.num_open_edges, means.num_duplicate_faces, means.num_unreferenced_vertices,
          sum(mesh.watertight for mesh in statistics), len(statistics))]


def write_picture(samples, path, num_completed, num_samples, training_meshes=(),
                  quantization_bits=8):
  """Writes a contact sheet of the first samples, below some training meshes if there are any.

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
                                     for mesh in _spread(training_meshes)]))
  rows.append((_samples_title(num_completed, num_samples),
               [{'vertices': sample.vertices, 'faces': sample.faces}
                for sample in samples[:MAX_PICTURED_SAMPLES]]))
  data.write_contact_sheet(path, rows)


def _spread(meshes):
  """At most MAX_PICTURED_MESHES from all over a sequence, whose classes may follow each other."""
  count = min(len(meshes), MAX_PICTURED_MESHES)
  return [meshes[number * len(meshes) // count] for number in range(count)]


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
