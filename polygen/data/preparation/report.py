"""report.json: what became of every file, and the sums of it."""
import collections
import json
import os

REPORT_FILE = 'report.json'


class Report:
  """Written entry by entry, so that it needs no memory; `with` ends the file.

      {"files": [
      {"file": "chair/a.obj", "status": "kept", "class": "chair", "split": "train", ...},
      {"file": "chair/b.obj", "status": "skipped", "reason": "broken file", "message": ...}],
      "summary": {"kept": 1, "skipped": {"broken file": 1}, ...}}

  Args:
    folder: where report.json goes.
  """

  def __init__(self, folder):
    self._path = os.path.join(folder, REPORT_FILE)
    self._file = open(self._path + '.new', 'w', encoding='utf-8')
    self._kept, self._examples, self._dropped = 0, collections.Counter(), 0
    self._skipped = collections.Counter()
    self._is_first = True
    self._file.write('{"files": [')

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused_exception):
    if kind is None:
      self._file.write('],\n"summary": {}}}\n'.format(json.dumps(self.summary())))
    self._file.close()
    if kind is None:
      os.replace(self._path + '.new', self._path)

  def add(self, name, result, label):
    """Adds the FileResult of a file; `label` is its class."""
    if result.reason:
      self._skipped[result.reason] += 1
      entry = {'status': 'skipped', 'reason': result.reason, 'message': result.message}
    else:
      entry = {'status': 'kept', 'class': label, 'split': result.split,
               'first_example': self._examples[result.split], 'examples': len(result.meshes)}
      if result.dropped_copies:
        entry['dropped_copies'] = result.dropped_copies
      self._kept += 1
      self._examples[result.split] += len(result.meshes)
      self._dropped += result.dropped_copies
    self._file.write((',\n' if not self._is_first else '\n') + json.dumps(
        dict({'file': name}, **entry, **result.numbers)))
    self._is_first = False

  def summary(self):
    """The sums so far."""
    return {'kept': self._kept, 'skipped': dict(sorted(self._skipped.items())),
            'examples': dict(sorted(self._examples.items())), 'dropped_copies': self._dropped}
