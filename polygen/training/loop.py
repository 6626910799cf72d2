"""The training loop: steps, and hooks at regular steps."""
import time
from typing import Callable, NamedTuple, Sequence


class Hook(NamedTuple):
  """Calls `function(step)` after every step divisible by `every`, and after the last one."""
  every: int
  function: Callable[[int], None]


class StepTimer:
  """Mean duration in seconds of the steps after the first, which also warms up."""

  def __init__(self):
    self._durations_sum = 0.
    self._count = 0

  def add(self, seconds):
    """Counts one step."""
    self._count += 1
    if self._count > 1:
      self._durations_sum += seconds

  @property
  def mean(self):
    """The mean; nan before the second step."""
    return self._durations_sum / (self._count - 1) if self._count > 1 else float('nan')


def train(session, step, start_step, stop_step, on_step, hooks: Sequence[Hook] = ()):
  """Runs steps start_step + 1 ... stop_step.

  Args:
    session: tf.Session, the iterator of the batch initialised at `start_step`.
    step: TrainingStep.
    start_step: steps done before.
    stop_step: step number to end at.
    on_step: function (step number, Losses of floats before its update), after each step.
    hooks: Hooks.

  Returns:
    The mean time of a step in seconds, without hooks and without the first step.
  """
  timer = StepTimer()
  run = session.make_callable([step.train, step.losses.vertices, step.losses.faces])
  for number in range(start_step + 1, stop_step + 1):
    start = time.perf_counter()
    _, vertices, faces = run()
    timer.add(time.perf_counter() - start)
    on_step(number, type(step.losses)(float(vertices), float(faces)))
    for hook in hooks:
      if number % hook.every == 0 or number == stop_step:
        hook.function(number)
  return timer.mean
