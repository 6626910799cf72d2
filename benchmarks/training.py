"""The toy run: its step, its start, its memory, and all of it. Each in a process of its own."""
import functools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from . import unit

STEPS = 300
UNIT_STEPS = 500  # of the whole run, between two measurements of the unit
PUBLISHED = {'Loss (vertices)': 0.0184, 'Loss (faces)': 0.0197}


def step():
  """Mean seconds of a training step of both models on the four meshes, after the first."""
  def work():
    with _Run('--training_steps', str(STEPS), '--num_samples', '0') as run:
      return next(float(line.split()[1]) for _, line in run.lines()
                  if line.startswith('StepTime:'))

  return unit.measured(work, steps=STEPS)


def start():
  """Seconds from the start of the process to the end of its first training step."""
  with _Run('--training_steps', '1', '--num_samples', '0') as run:
    seconds = next(seconds for seconds, line in run.lines() if line.startswith('Step 1/'))
  imported = unit.timed(lambda: subprocess.run(
      [sys.executable, '-c', 'import tensorflow'], check=True, stderr=subprocess.DEVNULL))
  return unit.Measurement(seconds, None, {'import_tensorflow_seconds': round(imported, 1)})


def memory():
  """Peak resident MB of the training process, and of one that only imports TensorFlow."""
  with tempfile.TemporaryDirectory() as folder:
    return unit.peak_memory(
        'from polygen import cli, train; cli.run_command("", lambda: train.main({!r}))'.format([
            '--output_path', os.path.join(folder, 'run'), '--training_steps', str(STEPS)]))


@functools.lru_cache(maxsize=None)
def _whole_run():
  """(seconds, unit seconds, details) of all 5000 steps with samples every 500.

  The unit is measured ten times on the way, while the run stands still: in so many minutes a
  machine may become half as fast, or twice.
  """
  with _Run() as run:
    losses, step_number, reached, units = {}, 0, None, []
    for seconds, line in run.lines():
      words = line.split()
      if line.startswith('Step ') and '/' in words[1]:
        step_number, losses = int(words[1].split('/')[0]), {}
        if step_number % UNIT_STEPS == 0:
          units.append(run.standing_still(unit.unit_seconds))
      elif line.startswith('Loss ('):
        losses[' '.join(words[:2])] = float(words[2])
      if reached is None and len(losses) == len(PUBLISHED) and all(
          losses[name] <= limit for name, limit in PUBLISHED.items()):
        reached = seconds, step_number
      last = seconds
  return last, statistics.mean(units), losses, reached


def whole_run():
  """Seconds of all 5000 steps with samples every 500."""
  seconds, unit_seconds, losses, _ = _whole_run()
  return unit.Measurement(seconds, unit_seconds, losses)


def published_losses():
  """Seconds of the same run until both losses that it prints are the published ones or less."""
  _, unit_seconds, losses, reached = _whole_run()
  if reached is None:
    return unit.Measurement(float('inf'), unit_seconds, losses)
  return unit.Measurement(reached[0], unit_seconds, {'step': reached[1]})


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
    """Yields (seconds since the start, those of `standing_still` left out; line)."""
    for line in self._process.stdout:
      yield time.perf_counter() - self._start, line.rstrip('\n')
    if self._process.wait():
      raise RuntimeError('polygen.train ended with exit code {}'.format(self._process.returncode))

  def standing_still(self, work):
    """The result of `work()`, for which the run is halted."""
    start = time.perf_counter()
    self._process.send_signal(signal.SIGSTOP)
    try:
      return work()
    finally:
      self._process.send_signal(signal.SIGCONT)
      self._start += time.perf_counter() - start

  def __exit__(self, *unused_exception):
    self._process.kill()
    self._process.communicate()
    self._folder.cleanup()
