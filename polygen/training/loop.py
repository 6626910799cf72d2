"""The training loop: steps, and hooks at regular steps."""
import time
from typing import Callable, NamedTuple, Sequence

from .losses import Losses


class Hook(NamedTuple):
  """Calls `function(step)` whenever `every` more steps are done, and after the last one."""
  every: int
  function: Callable[[int], None]


class StepResult(NamedTuple):
  """Losses of floats before the update; the number of updates left out by loss scaling so far."""
  losses: Losses
  skipped_updates: int


class StepTimer:
  """Mean duration in seconds of the runs after the first, which also warms up."""

  def __init__(self):
    self._durations_sum = 0.
    self._count = 0

  def add(self, seconds):
    """Counts one run."""
    self._count += 1
    if self._count > 1:
      self._durations_sum += seconds

  @property
  def mean(self):
    """The mean; nan before the second run."""
    return self._durations_sum / (self._count - 1) if self._count > 1 else float('nan')


def train(session, step, start_step, stop_step, on_step, hooks: Sequence[Hook] = (),
          steps_per_run=1):
  """Runs steps start_step + 1 ... stop_step.

  Args:
    session: tf.Session, the iterator of the batch initialised at `start_step`.
    step: TrainingStep.
    start_step: steps done before.
    stop_step: step number to end at.
    on_step: function (step number, StepResult), after each session.run.
    hooks: Hooks.
    steps_per_run: steps that `step.train` does in one session.run (hw.Machine.looped).

  Returns:
    The mean time of a step in seconds, without hooks and without the first session.run.

  Raises:
    ValueError: the steps are no multiple of steps_per_run.
  """
  if (stop_step - start_step) % steps_per_run:
    raise ValueError('{} steps are to be done, which is no multiple of iterations_per_loop {}'
                     .format(stop_step - start_step, steps_per_run))
  timer = StepTimer()
  fetches = [step.train, step.losses, step.skipped_updates]
  for number in range(start_step + steps_per_run, stop_step + 1, steps_per_run):
    start = time.perf_counter()
    _, losses, skipped = session.run(fetches)
    timer.add(time.perf_counter() - start)
    on_step(number, StepResult(Losses(*map(float, losses)), int(skipped)))
    for hook in hooks:
      if is_due(number, hook.every, steps_per_run) or number == stop_step:
        hook.function(number)
  return timer.mean / steps_per_run


def is_due(number, every, steps_per_run=1):
  """Whether a multiple of `every` is among the last `steps_per_run` steps up to `number`."""
  return number % every < steps_per_run
