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
    workers: processes; 1 does everything in this one.
    on_death: function item -> result, for an item that killed its process.
  """
  if workers == 1:
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
    finally:
      for future in pending:
        future.cancel()


def _start_worker(parent):
  """Leaves Ctrl-C to the parent, and ends this process when the parent is gone, even if killed."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_end_without, args=(parent,), daemon=True).start()


def _end_without(parent):
  while os.getppid() == parent:
    time.sleep(SECONDS_BETWEEN_LOOKS)
  os._exit(1)
