"""One mesh file -> its examples, or the reason why there are none."""
import hashlib
import os
import stat
from typing import NamedTuple, Tuple

import numpy as np

from .. import planar
from .. import reading
from .. import statistics
from .. import transforms
from .. import variation
from .settings import SPLITS

MAX_MESSAGE_LENGTH = 300
# Of the squared diagonal of the bounding box: float32 noise of a mesh without area is below it.
MIN_AREA = 1e-12


class FileResult(NamedTuple):
  """What became of a file; plain values and int32 arrays.

  Attributes:
    reason: None for a kept file, else a word or two, the same for all files of one trouble.
    message: the whole story of a skipped file.
    numbers: {'vertices': ..., 'face_tokens': ...} as far as known.
    split: one of SPLITS, None for a skipped file.
    meshes: processed meshes: the mesh itself, then varied copies.
    dropped_copies: varied copies beyond the limits or without a face.
  """
  reason: str = None
  message: str = None
  numbers: dict = {}
  split: str = None
  meshes: Tuple[dict, ...] = ()
  dropped_copies: int = 0


class Skipped(Exception):
  """Raised to skip a file: (reason, message, numbers)."""


def prepare_file(path, settings):
  """The FileResult of a file: whatever goes wrong is a reason to skip it.

  Args:
    path: of the file.
    settings: PrepareSettings.

  Raises:
    ImportError: trimesh is missing: no fault of the file.
  """
  try:
    return _prepare(path, settings)
  except Skipped as skipped:
    reason, message, numbers = skipped.args
  except ImportError:
    raise
  except OSError as error:
    reason, message, numbers = 'not readable', error.strerror or str(error), {}
  except MemoryError:
    reason, message, numbers = 'out of memory', 'the file needs more memory than there is', {}
  except Exception as error:  # a fault of this project must not end the work of hours
    reason, message, numbers = 'unexpected error', f'{type(error).__name__}: {error}', {}
  return FileResult(reason, message[:MAX_MESSAGE_LENGTH], numbers)


def _prepare(path, settings):
  digest = _digest(path, settings)
  try:
    vertices, faces = reading.read_mesh(path)
  except ValueError as error:
    raise Skipped('broken file', _without_path(error, path), {})
  _check_area(vertices, faces)
  merged = _merged(vertices, faces, settings.merge_planar)
  mesh = _processed(vertices, merged, settings)
  split = split_of(digest, settings.split)
  copies = []
  if split == SPLITS[0]:
    copies = [_varied(vertices, faces, settings, digest, copy) for copy in range(settings.augment)]
  kept = [copy for copy in copies if copy is not None]
  return FileResult(None, None, _numbers(mesh), split, (mesh, *kept), len(copies) - len(kept))


def _digest(path, settings):
  """SHA-256 of the seed and the content of a regular file of bounded size."""
  found = os.stat(path)
  if not stat.S_ISREG(found.st_mode):
    raise Skipped('not readable', 'this is not a regular file', {})
  size_mb = found.st_size / 1e6
  if size_mb > settings.max_file_mb:
    raise Skipped('file too large', f'{size_mb:.1f} MB are more than max_file_mb = '
                  f'{settings.max_file_mb:g}', {'megabytes': round(size_mb, 1)})
  digest = hashlib.sha256(b'%d ' % settings.seed)
  with open(path, 'rb') as file:
    for block in iter(lambda: file.read(1 << 20), b''):
      digest.update(block)
  return digest.digest()


def split_of(digest, shares):
  """The split that a content belongs to, whatever other files there are.

  Args:
    digest: 32 evenly spread bytes.
    shares: of SPLITS, summing to 1.
  """
  place = int.from_bytes(digest[:8], 'big') / 2. ** 64
  for name, end in zip(SPLITS, np.cumsum(shares)):
    if place < end:
      return name
  return [name for name, share in zip(SPLITS, shares) if share][-1]  # the sum may lack 1e-6


def _check_area(vertices, faces):
  used = np.unique(np.concatenate([np.asarray(face, np.int64) for face in faces]))
  box = np.ptp(np.asarray(vertices, np.float64)[used], axis=0)
  area = statistics.total_area(vertices, faces)
  if not area > MIN_AREA * np.sum(box ** 2):
    raise Skipped('no area', 'all faces together have no area', {'vertices': len(vertices)})


def _merged(vertices, faces, degrees):
  return planar.merge_planar(vertices, faces, degrees) if degrees else faces


def _processed(vertices, faces, settings):
  """The processed mesh; raises Skipped if it is beyond the limits or nothing is left."""
  try:
    mesh = transforms.process_mesh(vertices, faces, settings.quantization_bits)
  except ValueError as error:
    raise Skipped('nothing left', str(error), {'vertices': len(vertices)})
  numbers = _numbers(mesh)
  for key, limit_name, reason in (('vertices', 'max_vertices', 'too many vertices'),
                                  ('face_tokens', 'max_face_tokens', 'too many face tokens')):
    limit = getattr(settings, limit_name)
    if numbers[key] > limit:
      raise Skipped(reason, f'{numbers[key]} are more than {limit_name} = {limit}', numbers)
  return mesh


def _varied(vertices, faces, settings, digest, copy):
  """A varied copy, a function of content, seed and number; None if it does not fit."""
  rng = np.random.Generator(np.random.Philox(
      key=np.frombuffer(digest[8:24], np.uint64), counter=[0, 0, 0, copy]))
  varied = variation.vary(vertices, rng)
  angle = variation.random_merge_angle(rng)
  try:
    return _processed(varied, planar.merge_planar(varied, faces, angle), settings)
  except Skipped:
    return None


def _numbers(mesh):
  return {'vertices': len(mesh['vertices']), 'face_tokens': len(mesh['faces'])}


def _without_path(error, path):
  """The message of a reader without the name of the file it starts with."""
  text = str(error)
  return text[len(path):].lstrip(':, ') if text.startswith(path) else text
