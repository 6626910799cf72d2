"""A prepared folder: flat arrays per split, read through memory maps.

    train/ validation/ test/
      vertices.npy         uint8, 16 or 32 [sum of V, 3]   (x, y, z) bins of all meshes, joined
      faces.npy            uint8, 16 or 32 [sum of F]      face tokens of all meshes, joined
      vertex_offsets.npy   int64 [n + 1]             mesh i: vertices offsets[i] to offsets[i + 1]
      face_offsets.npy     int64 [n + 1]             and face tokens likewise
      classes.npy          int32 [n]                 class of each mesh
    classes.json           names of the classes in the order of their ids
    prepared.json          settings, counts, digests; written last, so a folder that has it is whole
    report.json            what became of every file
"""
import collections
import hashlib
import json
import os
from typing import NamedTuple

import numpy as np

from ..folder import DIGEST_LENGTH, MeshSet
from .settings import SPLITS, PrepareSettings

PREPARED_FILE = 'prepared.json'
CLASSES_FILE = 'classes.json'


class PreparedMeshes(collections.abc.Sequence):
  """Processed meshes by index, read from disk when asked for.

  Args:
    folder: of a split.
  """

  def __init__(self, folder):
    self._vertices, self._faces = (_mapped(folder, name) for name in ('vertices', 'faces'))
    self._vertex_offsets, self._face_offsets = (
        np.load(os.path.join(folder, name + '.npy')) for name in ('vertex_offsets', 'face_offsets'))

  def __len__(self):
    return len(self._vertex_offsets) - 1

  def __getitem__(self, index):
    if isinstance(index, slice):
      return [self[number] for number in range(*index.indices(len(self)))]
    index = range(len(self))[index]
    first, last = self._vertex_offsets[index:index + 2]
    start, end = self._face_offsets[index:index + 2]
    return {'vertices': np.asarray(self._vertices[first:last], np.int32),
            'faces': np.asarray(self._faces[start:end], np.int32)}

  @property
  def lengths(self):
    """int64 [n, 2]: numbers of vertices and of face tokens."""
    return np.stack([np.diff(self._vertex_offsets), np.diff(self._face_offsets)], axis=-1)


class PreparedSet(NamedTuple):
  """A prepared folder, opened.

  Attributes:
    train, validation, test: MeshSets; the last two may be empty.
    settings: PrepareSettings.
  """
  train: MeshSet
  validation: MeshSet
  test: MeshSet
  settings: PrepareSettings


def is_prepared(folder):
  """Whether a folder is a prepared one, whole."""
  return os.path.isfile(os.path.join(folder, PREPARED_FILE))


def open_prepared(folder):
  """The PreparedSet of a folder that `prepare` has written.

  Raises:
    OSError, ValueError: it is not whole.
  """
  description, classes = (read_json(os.path.join(folder, name))
                          for name in (PREPARED_FILE, CLASSES_FILE))
  try:
    settings = PrepareSettings(**description['settings'])
    sets = [_mesh_set(folder, split, classes, description) for split in SPLITS]
  except (KeyError, TypeError) as error:
    raise ValueError(f'{folder}: {PREPARED_FILE} lacks {error}: prepare the meshes again')
  return PreparedSet(*sets, settings._replace(split=tuple(settings.split)))


def read_json(path):
  """The content of a JSON file; a ValueError names it if it is none."""
  with open(path, encoding='utf-8') as file:
    try:
      return json.load(file)
    except ValueError as error:
      raise ValueError(f'{path}: not valid JSON: {error}') from None


def write_json(value, path):
  """Writes a JSON file, whole or not at all."""
  with open(path + '.new', 'w', encoding='utf-8') as file:
    json.dump(value, file, indent=2)
    file.write('\n')
  os.replace(path + '.new', path)


def _mesh_set(folder, split, classes, description):
  path = os.path.join(folder, split)
  return MeshSet(PreparedMeshes(path), np.load(os.path.join(path, 'classes.npy')), (),
                 tuple(classes), description['flat'], description['digests'][split])


def _mapped(folder, name):
  path = os.path.join(folder, name + '.npy')
  if os.path.getsize(path) > _header_length(path):
    return np.load(path, mmap_mode='r')
  return np.load(path)  # nothing in it: no map can be made


def _header_length(path):
  with open(path, 'rb') as file:
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    return file.tell()


class SplitWriter:
  """Writes the arrays of one split, mesh by mesh; close it.

  Args:
    folder: of the split; made if missing, files in it are replaced.
    lengths: (meshes, vertices, face tokens) that are to come.
    settings: PrepareSettings.
  """

  def __init__(self, folder, lengths, settings):
    os.makedirs(folder, exist_ok=True)
    num_meshes, num_vertices, num_tokens = lengths
    columns = {
        'vertices': (np.min_scalar_type(2 ** settings.quantization_bits - 1), (num_vertices, 3)),
        # Tokens below the number of vertices and special tokens.
        'faces': (np.min_scalar_type(settings.max_vertices + 2), (num_tokens,)),
        'vertex_offsets': (np.int64, (num_meshes + 1,)),
        'face_offsets': (np.int64, (num_meshes + 1,)),
        'classes': (np.int32, (num_meshes,))}
    self._arrays = {name: _ArrayWriter(os.path.join(folder, name + '.npy'), *column)
                    for name, column in columns.items()}
    self._ends = [0, 0]
    self._write_offsets()

  def close(self):
    """Ends the files."""
    for array in self._arrays.values():
      array.close()

  def write(self, mesh, class_id):
    """Adds a processed mesh."""
    for number, key in enumerate(('vertices', 'faces')):
      self._arrays[key].append(mesh[key])
      self._ends[number] += len(mesh[key])
    self._arrays['classes'].append([class_id])
    self._write_offsets()

  def digest(self):
    """A short text that differs if any number does."""
    digest = hashlib.sha256()
    for name in sorted(self._arrays):
      digest.update(self._arrays[name].digest())
    return digest.hexdigest()[:DIGEST_LENGTH]

  def _write_offsets(self):
    for name, end in zip(('vertex_offsets', 'face_offsets'), self._ends):
      self._arrays[name].append([end])


class _ArrayWriter:
  """An .npy file of known shape, filled from its start."""

  def __init__(self, path, dtype, shape):
    self._dtype, self._digest = np.dtype(dtype), hashlib.sha256()
    self._file = open(path, 'wb')
    np.lib.format.write_array_header_1_0(self._file, {
        'descr': np.lib.format.dtype_to_descr(self._dtype), 'fortran_order': False, 'shape': shape})

  def append(self, values):
    data = np.asarray(values, self._dtype).tobytes()
    self._file.write(data)
    self._digest.update(data)

  def digest(self):
    return self._digest.digest()

  def close(self):
    self._file.close()
