"""What is finished, on disk: an append-only file that survives a kill at any moment.

    file     MAGIC settings | record | record | ... | torn record
    record   length, checksum | length of JSON, JSON of {file, size, time, result} | arrays

Records come in the order in which files are finished. A torn last record is cut off and redone.
"""
import json
import os
import struct
import zlib
from typing import NamedTuple

import numpy as np

from .one_file import FileResult

MAGIC = b'polygen preparation 1\n'
_HEADER = struct.Struct('<QI')
_JSON_LENGTH = struct.Struct('<I')
_ARRAY = np.dtype('<i4')


class FileVersion(NamedTuple):
  """Tells whether a file is the one that was read: bytes, and nanoseconds of its last change."""
  size: int
  time: int


def file_version(path):
  """The FileVersion of a file; one that no file has, where it cannot be told."""
  try:
    found = os.stat(path)
  except OSError:
    return FileVersion(-1, -1)
  return FileVersion(found.st_size, found.st_mtime_ns)


class Journal:
  """An open journal; close it. One process at a time may hold it.

  Args:
    path: of the file; made if missing.
    settings: dict of JSON values that the results depend on.

  Raises:
    ValueError: it was written with other settings, or another process holds it.
    OSError: it cannot be written.
  """

  def __init__(self, path, settings):
    self._file = open(path, 'a+b')
    try:
      _lock(self._file, path)
      self._records = self._recover(MAGIC + json.dumps(settings, sort_keys=True).encode() + b'\n',
                                    path)
    except BaseException:
      self._file.close()
      raise

  def __enter__(self):
    return self

  def __exit__(self, *unused_exception):
    self._file.close()

  def finished(self):
    """Yields (file name, FileVersion, reason or None, place) of every record."""
    for place in self._records:
      entry, _ = self._read(place)
      yield entry['file'], FileVersion(entry['size'], entry['time']), entry['reason'], place

  def append(self, name, version, result):
    """Adds the FileResult of a file; returns its place."""
    entry = dict(result._asdict(), file=name, size=version.size, time=version.time)
    entry['meshes'] = [[len(mesh['vertices']), len(mesh['faces'])] for mesh in result.meshes]
    text = json.dumps(entry).encode()
    arrays = b''.join(np.asarray(mesh[key], _ARRAY).tobytes()
                      for mesh in result.meshes for key in ('vertices', 'faces'))
    payload = _JSON_LENGTH.pack(len(text)) + text + arrays
    place = self._file.seek(0, os.SEEK_END)
    self._file.write(_HEADER.pack(len(payload), zlib.crc32(payload)) + payload)
    self._file.flush()
    return place

  def result(self, place, with_meshes=True):
    """The FileResult at a place; without its meshes, `meshes` are only their
    (vertices, face tokens)."""
    entry, arrays = self._read(place)
    meshes = entry['meshes']
    if with_meshes:
      meshes = _meshes(meshes, np.frombuffer(arrays, _ARRAY))
    return FileResult(**{name: entry[name] for name in FileResult._fields if name != 'meshes'},
                      meshes=tuple(meshes))

  def _read(self, place):
    """(JSON entry, bytes of the arrays)."""
    self._file.seek(place)
    length, checksum = _HEADER.unpack(self._file.read(_HEADER.size))
    payload = self._file.read(length)
    if len(payload) < length or zlib.crc32(payload) != checksum:
      raise ValueError('the journal is damaged: start again with a new folder')
    start = _JSON_LENGTH.size + _JSON_LENGTH.unpack_from(payload)[0]
    return json.loads(payload[_JSON_LENGTH.size:start].decode()), payload[start:]

  def _recover(self, head, path):
    """Places of the whole records of a file with this head; cuts off what is torn."""
    end = self._file.seek(0, os.SEEK_END)
    self._file.seek(0)
    found = self._file.read(min(end, len(head)))
    if found != head[:len(found)]:
      raise ValueError(f'{path}: this folder holds an unfinished preparation with other settings, '
                       'of another folder or by another version; give the '
                       'same ones to finish it, or another OUT_DIR')
    if len(found) < len(head):
      self._file.truncate(0)
      self._file.write(head)
      self._file.flush()
      return []
    places, place = [], len(head)
    while place + _HEADER.size <= end:
      self._file.seek(place)
      length, checksum = _HEADER.unpack(self._file.read(_HEADER.size))
      following = place + _HEADER.size + length
      if following > end or zlib.crc32(self._file.read(length)) != checksum:
        break
      places.append(place)
      place = following
    self._file.truncate(place)
    return places


def _meshes(lengths, flat):
  meshes, start = [], 0
  for num_vertices, num_tokens in lengths:
    middle = start + 3 * num_vertices
    meshes.append({'vertices': flat[start:middle].reshape(-1, 3).astype(np.int32),
                   'faces': flat[middle:middle + num_tokens].astype(np.int32)})
    start = middle + num_tokens
  return meshes


def _lock(file, path):
  """Keeps other processes out until this one ends, where the system can do that."""
  try:
    import fcntl
  except ImportError:
    return
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    raise ValueError(f'{path}: another preparation is writing to this folder') from None
  except OSError:
    return  # a file system without locks
