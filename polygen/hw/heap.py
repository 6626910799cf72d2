"""The heap of glibc; with another C library these functions do nothing to it."""
import ctypes
import gc

from .devices import num_cores

_M_ARENA_MAX = -8  # of malloc.h


def share_arenas():
  """Lets the threads of this process share as many arenas of memory as there are cores.

  glibc would make eight per core, and each keeps what its threads have freed: with TensorFlow 1.15
  a tenth of the memory of a training.
  """
  _call('mallopt', _M_ARENA_MAX, num_cores())


def release_memory():
  """Gives back to the system what has been freed, between pieces of work that use it otherwise."""
  gc.collect()
  _call('malloc_trim', 0)


def _call(name, *arguments):
  try:
    getattr(ctypes.CDLL('libc.so.6'), name)(*arguments)
  except (OSError, AttributeError):  # another C library
    pass
