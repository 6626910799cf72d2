"""Prepares a folder of meshes: every file once, in any order; the arrays always in the same one."""
import functools
import os
from typing import NamedTuple

import numpy as np

from . import journal as journals
from . import labels
from . import pool
from . import tree
from .. import reading
from .one_file import FileResult, prepare_file
from .report import Report
from .settings import SPLITS, PrepareSettings, checked_settings
from .store import (
    CLASSES_FILE, PREPARED_FILE, SplitWriter, is_prepared, read_json, write_json)

JOURNAL_FILE = 'unfinished.journal'
# What may go well when it is tried again; the journal does not make these final.
PASSING_REASONS = ('not readable', 'out of memory', 'crashed')
DIED = FileResult('crashed', 'the process that read it died, perhaps for lack of memory')


class PrepareResult(NamedTuple):
  """What became of the files.

  Attributes:
    summary: 'kept', 'skipped' {reason: files}, 'examples' {split: meshes}, 'dropped_copies'.
    num_classes: of the kept files.
    longest: most vertices and most face tokens of a mesh.
    was_prepared: whether all of it was done before.
  """
  summary: dict
  num_classes: int
  longest: tuple
  was_prepared: bool


def prepare(in_folder, out_folder, settings=PrepareSettings(), workers=0, on_file=None):
  """Reads every mesh below a folder and writes a prepared folder (see store.py).

  May be killed at any time: called again, it goes on, and ends with the same bytes.

  Args:
    in_folder: the meshes.
    out_folder: missing, empty, or what an earlier call with the same arguments has left.
    settings: PrepareSettings.
    workers: processes that are spawned: a script must guard its entry point by
      `if __name__ == '__main__'`. 0: everything happens in this one, which a deadly file then ends.
    on_file: function (files done, files in all, files skipped so far), called at the start and
      after every file.

  Returns:
    PrepareResult.

  Raises:
    ValueError: a setting without sense, a folder that holds something else, or no mesh at all.
    OSError: the folders cannot be read or written.
    ImportError: there are files that need trimesh, which is missing.
    RuntimeError: no worker can start.
  """
  settings = checked_settings(settings)
  identity = dict(settings._asdict(), split=list(settings.split))
  if is_prepared(out_folder):
    return _prepared_before(out_folder, identity, os.path.abspath(in_folder))
  files = tree.mesh_files(in_folder)
  if not files:
    raise ValueError(f'{in_folder}: no mesh file in this folder or below')
  reading.require_readers(file.name for file in files)
  _check_own(out_folder)
  os.makedirs(out_folder, exist_ok=True)
  path = os.path.join(out_folder, JOURNAL_FILE)
  with journals.Journal(path, dict(identity, in_folder=os.path.abspath(in_folder))) as journal:
    places = _work(in_folder, files, settings, workers, journal, on_file or (lambda *_: None))
    result = _assemble(in_folder, out_folder, files, settings, journal, places)
  os.remove(path)
  return result


def _prepared_before(out_folder, identity, in_folder):
  description = read_json(os.path.join(out_folder, PREPARED_FILE))
  journal = os.path.join(out_folder, JOURNAL_FILE)
  if os.path.exists(journal):  # killed between the last two steps
    os.remove(journal)
  if description['settings'] != identity or description['in_folder'] != in_folder:
    raise ValueError(f'{out_folder} holds meshes prepared with other settings or from another '
                     'folder: choose another OUT_DIR')
  return PrepareResult(description['summary'], description['num_classes'],
                       tuple(description['longest']), True)


def _check_own(folder):
  """A folder with anything in it must have been begun by `prepare`."""
  if os.path.isdir(folder) and os.listdir(folder) and not os.path.exists(
      os.path.join(folder, JOURNAL_FILE)):
    raise ValueError(f'{folder} is not empty and nothing is overwritten: choose another OUT_DIR')


def _work(in_folder, files, settings, workers, journal, on_file):
  """Prepares what the journal lacks; the place of each file's result, int64 [files].

  A file that has changed since counts as not done, and one whose trouble may have passed.
  """
  places, is_skipped = np.full(len(files), -1, np.int64), np.zeros(len(files), bool)
  numbers = {file.name: number for number, file in enumerate(files)}
  for name, version, reason, place in journal.finished():
    if name in numbers and reason not in PASSING_REASONS and (
        version == journals.file_version(os.path.join(in_folder, name))):
      places[numbers[name]], is_skipped[numbers[name]] = place, bool(reason)
  del numbers
  done, skipped = int((places >= 0).sum()), int(is_skipped.sum())
  on_file(done, len(files), skipped)
  left = np.flatnonzero(places < 0).tolist()
  work = functools.partial(_prepare_numbered, in_folder, settings)
  items = ((number, files[number], journals.file_version(
      os.path.join(in_folder, files[number].name))) for number in left)
  for (number, file, version), result in pool.in_processes(
      work, items, min(workers, len(left)), lambda unused_item: DIED):
    places[number] = journal.append(file.name, version, result)
    done, skipped = done + 1, skipped + bool(result.reason)
    on_file(done, len(files), skipped)
  return places


def _prepare_numbered(in_folder, settings, item):
  _, file, _ = item
  if file.problem:
    return FileResult('not readable', file.problem)
  return prepare_file(os.path.join(in_folder, file.name), settings)


def _assemble(in_folder, out_folder, files, settings, journal, places):
  """Writes the arrays, classes and the report in the order of the files."""
  label_of = functools.partial(
      labels.label_of, folder_name=os.path.basename(os.path.abspath(in_folder)))
  sums, longest, found, flat = _count(files, journal, places, label_of)
  names, ids = labels.class_ids(found)
  writers = {split: SplitWriter(os.path.join(out_folder, split), sums[split], settings)
             for split in SPLITS}
  try:
    with Report(out_folder) as report:
      for file, place in zip(files, places):
        result, label = journal.result(place), label_of(file.name)
        name = names[ids[label]] if not result.reason else None
        report.add(file.name, result, name)
        for mesh in result.meshes:
          writers[result.split].write(mesh, ids[label])
  finally:
    for writer in writers.values():
      writer.close()
  write_json(names, os.path.join(out_folder, CLASSES_FILE))
  summary = report.summary()
  write_json({
      'settings': dict(settings._asdict(), split=list(settings.split)),
      'in_folder': os.path.abspath(in_folder), 'summary': summary, 'num_classes': len(found),
      'longest': longest, 'flat': flat,
      'digests': {split: writers[split].digest() for split in SPLITS},
  }, os.path.join(out_folder, PREPARED_FILE))
  return PrepareResult(summary, len(found), tuple(longest), False)


def _count(files, journal, places, label_of):
  """({split: [meshes, vertices, face tokens]}, the longest mesh, labels, whether a file lies
  directly in the folder) of the kept files."""
  sums = {split: np.zeros(3, np.int64) for split in SPLITS}
  longest, found, flat = np.zeros(2, np.int64), set(), False
  for file, place in zip(files, places):
    result = journal.result(place, with_meshes=False)
    if result.reason:
      continue
    lengths = np.array(result.meshes, np.int64)
    sums[result.split] += [len(lengths), *lengths.sum(axis=0)]
    longest = np.maximum(longest, lengths.max(axis=0))
    found.add(label_of(file.name))
    flat = flat or '/' not in file.name
  return ({split: total.tolist() for split, total in sums.items()}, longest.tolist(), found,
          flat)
