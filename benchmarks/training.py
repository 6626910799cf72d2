"""The toy run: its step, its start, its memory, and all of it. Each in a process of its own."""
import os
import subprocess
import sys
import tempfile
import time

from . import unit

STEPS = 80
PUBLISHED = {'Loss (vertices)': 0.0184, 'Loss (faces)': 0.0197}


def step():
  """Mean seconds of a training step of both models on the four meshes, after the first."""
  def work():
    from polygen import train
    with tempfile.TemporaryDirectory() as folder:
      return train.main(['--output_path', os.path.join(folder, 'run'), '--training_steps',
                         str(STEPS), '--num_samples', '0']).step_time

  return unit.measured(work, steps=STEPS)


def start():
  """Seconds from the start of the process to the end of its first training step."""
  with _Run('--training_steps', '2', '--log_steps', '1', '--num_samples', '0') as run:
    seconds = next(seconds for seconds, line in run.lines() if line.startswith('Step 1/'))
  return unit.Measurement(seconds)


def memory():
  """Peak resident MB of the training process, and of one that only imports TensorFlow."""
  with tempfile.TemporaryDirectory() as folder:
    return unit.peak_memory('from polygen import train; train.main({!r})'.format([
        '--output_path', os.path.join(folder, 'run'), '--training_steps', str(STEPS)]))


def whole_run():
  """Seconds of all 5000 steps with samples every 500, and until the published losses."""
  before = unit.unit_seconds()
  with _Run() as run:
    losses, step_number, reached = {}, 0, None
    for seconds, line in run.lines():
      words = line.split()
      if line.startswith('Step ') and '/' in words[1]:
        step_number = int(words[1].split('/')[0])
      elif line.startswith('Loss ('):
        losses[' '.join(words[:2])] = float(words[2])
      if reached is None and len(losses) == 2 and all(
          losses[name] <= limit for name, limit in PUBLISHED.items()):
        reached = seconds, step_number
      last = seconds
  unit_seconds = (before + unit.unit_seconds()) / 2
  details = {'seconds_to_published_losses': None, 'losses': losses}
  if reached:
    details.update(seconds_to_published_losses=round(reached[0], 1), step=reached[1],
                   units_to_published_losses=round(reached[0] / unit_seconds))
  return unit.Measurement(last, unit_seconds, details)


class _Run:
  """`polygen.train` in a new process and folder, with the time of every line it prints."""

  def __init__(self, *flags):
    self._flags = flags

  def __enter__(self):
    self._folder = tempfile.TemporaryDirectory()
    self._start = time.perf_counter()
    self._process = subprocess.Popen(
        [sys.executable, '-m', 'polygen.train', '--output_path',
         os.path.join(self._folder.name, 'run')] + list(self._flags),
        stdout=subprocess.PIPE, universal_newlines=True)
    return self

  def lines(self):
    """Yields (seconds since the start, line)."""
    for line in self._process.stdout:
      yield time.perf_counter() - self._start, line.rstrip('\n')
    if self._process.wait():
      raise RuntimeError('polygen.train ended with exit code {}'.format(self._process.returncode))

  def __exit__(self, *unused_exception):
    self._process.kill()
    self._process.communicate()
    self._folder.cleanup()
