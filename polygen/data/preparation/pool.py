"""Work on many files in several processes, each of which may die without harm to the rest."""
import collections
import multiprocessing
import os
import signal
import threading
import time
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool

WAITING_PER_WORKER = 4
SECONDS_BETWEEN_LOOKS = 1.


def in_processes(function, items, workers, on_death):
  """Yields (item, function(item)) as they are finished, in any order.

  Args:
    function: of one argument; it and its results can be pickled.
    items: iterable, read as far as there is work to do.
    workers: processes; 0 does everything in this one.
    on_death: function item -> result, for an item that killed its process.

  Raises:
    RuntimeError: no process can start.
  """
  if not workers:
    for item in items:
      yield item, function(item)
    return
  items, suspects = iter(items), collections.deque()
  while True:
    try:
      yield from _until_death(function, items, workers, suspects)
      return
    except BrokenProcessPool:
      # Any item in work may have done it: each gets a process of its own.
      while suspects:
        item = suspects.popleft()
        try:
          yield from _until_death(function, iter([item]), 1, collections.deque())
        except BrokenProcessPool:
          yield item, on_death(item)


def _until_death(function, items, workers, working):
  """The same, until a process dies; `working` then holds the items without a result."""
  # Spawned, not forked: a program with threads (TensorFlow's) may call this.
  with futures.ProcessPoolExecutor(
      workers, multiprocessing.get_context('spawn'), _start_worker, (os.getpid(),)) as pool:
    pending = {}
    try:
      _check_start(pool)
      while True:
        for item in items:
          working.append(item)
          pending[pool.submit(function, item)] = item
          if len(pending) >= workers * WAITING_PER_WORKER:
            break
        if not pending:
          return
        done, _ = futures.wait(pending, return_when=futures.FIRST_COMPLETED)
        for future in done:
          result = future.result()
          item = pending.pop(future)
          working.remove(item)
          yield item, result
    except BaseException:  # a death, Ctrl-C, or the caller has enough: no more of this work is used
      for future in pending:
        future.cancel()
      for process in list((pool._processes or {}).values()):  # no public call before Python 3.14
        process.terminate()
      raise


def _check_start(pool):
  """Tells processes that cannot start from those that an item killed."""
  try:
    pool.submit(os.getpid).result()
  except BrokenProcessPool:
    raise RuntimeError(
        "worker processes cannot start: a script that asks for some must guard its entry point by "
        "if __name__ == '__main__', or do without (workers=0)") from None


def _start_worker(parent):
  """Leaves Ctrl-C to the parent, and ends this process when the parent is gone, even if killed."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_end_without, args=(parent,), daemon=True).start()


def _end_without(parent):
  while os.getppid() == parent:
    time.sleep(SECONDS_BETWEEN_LOOKS)
  os._exit(1)
