"""The validation losses of a run: shown, kept in its folder, written for TensorBoard."""
import json
import os
import time

from .losses import LOSS_NAMES


class ValidationCurve:
  """Points of a run, one line of JSON each: step, seconds of training, bits per vertex.

  A continued run loses the points behind the checkpoint that it starts from; they come again.

  Args:
    path: of the file; made with the first point.
    start_step: steps done before.
    start_time: time.time() at which this part of the run began.
    writer: summaries.ScalarWriter.
    write_line: function that shows a line.

  Attributes:
    last: the last Evaluation of this part, or None.
  """

  def __init__(self, path, start_step, start_time, writer, write_line):
    self._path, self._writer, self._write_line = path, writer, write_line
    points = [point for point in read_points(path) if point['step'] <= start_step]
    if os.path.exists(path):
      with open(path + '.new', 'w', encoding='utf-8') as file:
        file.writelines(map(_line, points))
      os.replace(path + '.new', path)
    self._start_time = start_time - (points[-1]['seconds'] if points else 0.)
    self.last = None

  def add(self, step, found):
    """Takes the Evaluation after a step."""
    bits = {LOSS_NAMES[part]: value for part, value in found.bits_per_vertex().items()}
    self._write_line('Step {}: {} validation meshes, bits per vertex: {}'.format(
        step, found.num_meshes, found.bits_line()))
    self._writer.write(step, {'validation/bits_per_vertex/' + name: value
                              for name, value in bits.items()})
    with open(self._path, 'a', encoding='utf-8') as file:
      file.write(_line({'step': step, 'seconds': round(time.time() - self._start_time, 1),
                        'bits_per_vertex': bits}))
    self.last = found


def read_points(path):
  """The points of a file, dicts; none if it is missing. A torn last line is left out."""
  if not os.path.exists(path):
    return []
  with open(path, encoding='utf-8') as file:
    return [json.loads(line) for line in file if line.endswith('}\n')]


def _line(point):
  return json.dumps(point) + '\n'
