"""Pages of 2 MB for the heap of a command, where glibc and Linux give them on request."""
import os
import sys

TUNABLES, HUGE_PAGES = 'GLIBC_TUNABLES', 'glibc.malloc.hugetlb'  # a variable, and a name in it

_FIRST_GLIBC = (2, 35)  # that knows the name
_LINUX_SETTING = '/sys/kernel/mm/transparent_hugepage/enabled'


def restart_with_huge_pages(spec):
  """Starts this process again with huge pages for its heap; returns where that is of no use.

  The weights, activations and caches of a model are read from end to end in every step; in pages of
  4 KB a processor looks up more addresses than it can remember. glibc reads its choice when a
  process starts, hence the restart, which keeps its number, its arguments and its files. Set
  GLIBC_TUNABLES=glibc.malloc.hugetlb=0 to do without.

  Args:
    spec: `__spec__` of the module that is run by `python -m`; of any other nothing is restarted.
  """
  # Not __name__: runpy gives that to any module.
  program = getattr(sys.modules['__main__'], '__spec__', None)
  if not spec or not program or spec.name != program.name or not _on_request():
    return
  environment = environment_with_huge_pages(os.environ)
  if environment is None:
    return
  try:
    with open('/proc/self/cmdline', 'rb') as file:
      _, *arguments = file.read()[:-1].split(b'\0')
    os.execve(sys.executable, [sys.executable] + arguments, environment)
  except OSError:  # not allowed here: as before, only slower
    pass


def environment_with_huge_pages(environment):
  """A copy of the environment that asks for them; None if it already says yes or no."""
  tunables = environment.get(TUNABLES, '')
  if HUGE_PAGES in tunables:
    return None
  return dict(environment, **{
      TUNABLES: ':'.join(filter(None, [tunables, HUGE_PAGES + '=1']))})


def _on_request():
  """Whether memory that asks for huge pages, and no other, has them, and glibc can ask."""
  try:
    name, version = os.confstr('CS_GNU_LIBC_VERSION').split()
    with open(_LINUX_SETTING, encoding='ascii') as file:
      requested = '[madvise]' in file.read()
  except (OSError, ValueError, AttributeError):  # another system or C library
    return False
  return requested and name == 'glibc' and tuple(
      int(number) for number in version.split('.')[:2]) >= _FIRST_GLIBC
