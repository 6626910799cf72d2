"""The training loop: steps, and hooks at regular steps."""
import time
from typing import Callable, Dict, NamedTuple, Sequence


class Hook(NamedTuple):
  """Calls `function(step)` whenever `every` more steps are done, and after the last one."""
  every: int
  function: Callable[[int], None]


class StepResult(NamedTuple):
  """{part: loss} before the update; the number of updates left out by loss scaling so far."""
  losses: Dict[str, float]
  skipped_updates: int


class StepTimer:
  """Mean duration in seconds of the steps after the first session.run, which also warms up."""

  def __init__(self):
    self._is_warm = False
    self._seconds = 0.
    self._steps = 0

  def add(self, seconds, steps):
    """Counts one session.run."""
    if self._is_warm:
      self._seconds += seconds
      self._steps += steps
    self._is_warm = True

  @property
  def mean(self):
    """The mean; nan before the second session.run."""
    return self._seconds / self._steps if self._steps else float('nan')


def train(session, step, start_step, stop_step, on_step, hooks: Sequence[Hook] = (),
          steps_per_run=1):
  """Runs steps start_step + 1 ... stop_step.

  Args:
    session: tf.Session, the iterator of the micro-batches initialised at `start_step`.
    step: TrainingStep.
    start_step: steps done before.
    stop_step: step number to end at.
    on_step: function (step number, steps done, StepResult), after each session.run.
    hooks: Hooks.
    steps_per_run: steps that `step.train` may do in one session.run (hw.Machine.looped); if it is
      not 1, `step.global_step` tells how many they were.

  Returns:
    The mean time of a step in seconds, without hooks and without the first session.run.
  """
  timer = StepTimer()
  fetches = [step.train, step.losses, step.skipped_updates]
  number = start_step
  while number < stop_step:
    start = time.perf_counter()
    before = [session.run([step.accumulate, step.losses])[1]
              for _ in range(step.num_micro_batches - 1)]
    _, last, skipped = session.run(fetches)
    seconds = time.perf_counter() - start
    done = 1 if steps_per_run == 1 else int(session.run(step.global_step)) - number
    number += done
    timer.add(seconds, done)
    on_step(number, done, StepResult(
        {part: sum(float(losses[part]) for losses in before + [last]) for part in last},
        int(skipped)))
    for hook in hooks:
      if is_due(number, done, hook.every) or number >= stop_step:
        hook.function(number)
  return timer.mean


def is_due(number, done, every):
  """Whether a multiple of `every` is among the last `done` steps up to `number`."""
  return number % every < done
