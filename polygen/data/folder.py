"""Finding and loading the meshes of a data folder.

    meshes/cube.obj          flat files: one class per file, named by its stem
    meshes/cone.obj
    shapes/chair/a.obj       subfolders: one class each, files at any depth below
    shapes/chair/old/b.obj
    shapes/table/c.obj

Where a folder has both, each flat file is still a class by its stem and each subfolder a class by
its name (a file chair.obj beside chair/ joins that class). Hidden files and folders are ignored,
and so are subfolders without mesh files.
"""
import hashlib
import os
from typing import NamedTuple, Sequence, Tuple

import numpy as np

from . import reading
from . import shapes
from . import transforms

MESH_FOLDER = 'meshes'
SAMPLES_FILE = 'samples.json'  # sampling writes it beside its OBJ files
DIGEST_LENGTH = 16


class MeshSet(NamedTuple):
  """Processed meshes with their classes."""
  meshes: Sequence[dict]     # {'vertices': int32 [V, 3] bins, 'faces': int32 [F] tokens}
  labels: np.ndarray         # int32 [n], positions in `classes`
  names: Tuple[str, ...]     # paths relative to the folder, with '/', sorted; () if unknown
  classes: Tuple[str, ...]   # names in the order of their ids
  flat: bool                 # some file lies directly in the folder
  digest: str                # a short text that differs if any vertex, face or label does

  @property
  def lengths(self):
    """int64 [n, 2]: numbers of vertices and of face tokens of each mesh."""
    if hasattr(self.meshes, 'lengths'):
      return self.meshes.lengths
    return np.array([(len(mesh['vertices']), len(mesh['faces'])) for mesh in self.meshes],
                    np.int64).reshape(-1, 2)


def digest_of(meshes, labels):
  """The digest of a MeshSet."""
  digest = hashlib.sha256(np.asarray(labels, np.int32).tobytes())
  for mesh in meshes:
    for key in ('vertices', 'faces'):
      array = np.asarray(mesh[key], np.int32)
      digest.update(np.array(array.shape, np.int32).tobytes() + array.tobytes())
  return digest.hexdigest()[:DIGEST_LENGTH]


def find_data(data_path=None):
  """The folder that holds the meshes; None where the generator has to make them.

  Args:
    data_path: the folder itself, or the parent of `meshes/`, which is taken if the only other mesh
      files below data_path are samples. None: `meshes/` beside the package, if it is there.

  Raises:
    FileNotFoundError, NotADirectoryError: data_path is no folder.
    ValueError: there is no mesh file in it, or `meshes/` may as well be one class of several.
  """
  if data_path is None:
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    beside = os.path.join(os.path.dirname(package), MESH_FOLDER)
    return beside if os.path.isdir(beside) and _mesh_files(beside) else None
  data_path = os.fspath(data_path)
  if not os.path.exists(data_path):
    raise FileNotFoundError(f'{data_path}: no such data folder; give one that holds mesh files')
  if not os.path.isdir(data_path):
    raise NotADirectoryError(f'{data_path}: not a folder; give the one that holds the mesh files')
  names = list(_mesh_files(data_path))
  if not names:
    raise ValueError(f'{data_path}: no mesh file in this folder or below')
  others = [name for name in names if not name.startswith(MESH_FOLDER + '/')]
  if len(others) == len(names) or any('/' not in name for name in others):
    return data_path
  for name in others:
    if not os.path.exists(os.path.join(data_path, os.path.dirname(name), SAMPLES_FILE)):
      raise ValueError(
          f'{data_path}: mesh files in {MESH_FOLDER}/ and elsewhere ({name}); give the folder '
          f'{os.path.join(data_path, MESH_FOLDER)} to train on those alone, or rename it to train '
          f'on all folders as classes')
  return os.path.join(data_path, MESH_FOLDER)


def load_mesh_set(data_path=None, quantization_bits=8, max_num_vertices=None,
                  max_face_tokens=None):
  """Loads and processes every mesh of a data folder.

  Args:
    data_path: see `find_data`.
    quantization_bits: bits per coordinate.
    max_num_vertices: most vertices a processed mesh may have; None for any number.
    max_face_tokens: most face tokens; None for any number.

  Raises:
    What `find_data` raises; ValueError for a broken file or a mesh over a limit.
  """
  folder = find_data(data_path)
  if folder is None:
    primitives = {name + '.obj': mesh for name, mesh in shapes.primitive_meshes().items()}
    files = {name: os.path.splitext(name)[0] for name in sorted(primitives)}
    meshes = tuple(transforms.process_mesh(*primitives[name], quantization_bits=quantization_bits)
                   for name in files)
  else:
    files = _mesh_files(folder)
    meshes = tuple(transforms.load_process_mesh(os.path.join(folder, name), quantization_bits)
                   for name in files)
  names = tuple(files)
  classes = tuple(sorted(set(files.values())))
  ids = {name: number for number, name in enumerate(classes)}
  labels = np.array([ids[files[name]] for name in names], np.int32)
  mesh_set = MeshSet(meshes, labels, names, classes, any('/' not in name for name in names),
                     digest_of(meshes, labels))
  check_limits(mesh_set, max_num_vertices, max_face_tokens)
  return mesh_set


def check_limits(mesh_set, max_num_vertices=None, max_face_tokens=None):
  """Raises a ValueError if a mesh is larger than the limits, or the set is empty."""
  if not len(mesh_set.meshes):
    raise ValueError('there are no meshes to train on')
  for counts, unit, limit_name, limit in zip(
      mesh_set.lengths.T, ('vertices', 'face tokens'), ('max_num_vertices', 'max_face_tokens'),
      (max_num_vertices, max_face_tokens)):
    if limit is not None and counts.max() > limit:
      worst = int(counts.argmax())
      name = mesh_set.names[worst] if mesh_set.names else f'mesh {worst}'
      raise ValueError(f'{name}: {counts[worst]} {unit} are more than the limit {limit_name} '
                       f'= {limit}; raise it with --{limit_name} {counts[worst]}')


def _mesh_files(folder):
  """{relative path: class name} of the mesh files of a folder, sorted by path."""
  files = {name: os.path.splitext(name)[0] for name in _mesh_names(folder)}
  for class_name in _visible(folder):
    top = os.path.join(folder, class_name)
    if not os.path.isdir(top):
      continue
    for root, folders, _ in os.walk(top):
      folders[:] = [name for name in folders if not name.startswith('.')]
      below = os.path.relpath(root, folder).replace(os.sep, '/')
      files.update((below + '/' + name, class_name) for name in _mesh_names(root))
  return {name: files[name] for name in sorted(files)}


def _mesh_names(folder):
  """Names of the mesh files that lie directly in a folder."""
  return [name for name in _visible(folder)
          if reading.is_mesh_name(name) and os.path.isfile(os.path.join(folder, name))]


def _visible(folder):
  return sorted(name for name in os.listdir(folder) if not name.startswith('.'))
