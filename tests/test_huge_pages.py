"""Commands that compute with models start again with huge pages, once, as the same command."""
import os
import subprocess
import sys

import pytest

from checkout import ROOT
from polygen.hw import huge_pages

PROGRAM = '''
import os, sys
from polygen import cli

def main():
  block = b'x' * 2 ** 24   # not an array: numpy asks for huge pages itself
  used = next(line.split()[1] for line in open('/proc/self/smaps_rollup') if 'AnonHuge' in line)
  print(os.getpid(), int(used) // 1024, os.environ.get('GLIBC_TUNABLES'), sys.flags.utf8_mode,
        sys.argv[1:])

if __name__ == '__main__':
  print('started', flush=True)
  cli.run_command('program', main, {})
'''


def run(folder, spec='__spec__', **variables):
  """(process id, lines that it printed) of the program as `python -X utf8 -m program a ''`."""
  (folder / 'program.py').write_text(PROGRAM.format(spec), encoding='utf-8')
  environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(folder)]))
  environment.pop(huge_pages.TUNABLES, None)
  environment.update(variables)
  process = subprocess.Popen(
      [sys.executable, '-X', 'utf8', '-m', 'program', 'a b', ''], env=environment,
      stdout=subprocess.PIPE, universal_newlines=True)
  printed, _ = process.communicate(timeout=60)
  assert process.returncode == 0
  return process.pid, printed.splitlines()


needs_huge_pages = pytest.mark.skipif(
    not huge_pages._on_request(),
    reason='glibc 2.35 with huge pages on request (madvise) is missing')


@needs_huge_pages
@pytest.mark.parametrize('before, after', [
    ({}, 'glibc.malloc.hugetlb=1'),
    ({'GLIBC_TUNABLES': 'glibc.malloc.perturb=0'},
     'glibc.malloc.perturb=0:glibc.malloc.hugetlb=1')])
def test_the_same_command_has_huge_pages(tmp_path, before, after):
  pid, lines = run(tmp_path, **before)
  assert lines[:2] == ['started'] * 2 and len(lines) == 3
  number, used, tunables, utf8, arguments = lines[2].split(maxsplit=4)
  assert int(number) == pid and tunables == after
  assert int(used) >= 12
  assert utf8 == '1' and arguments == "['a b', '']"


@needs_huge_pages
@pytest.mark.parametrize('spec, variables', [
    ('__spec__', {'GLIBC_TUNABLES': 'glibc.malloc.hugetlb=0'}), ('None', {}), ('os.__spec__', {})])
def test_who_does_without(tmp_path, spec, variables):
  pid, lines = run(tmp_path, spec, **variables)
  assert lines[0] == 'started' and len(lines) == 2
  number, used, tunables, _ = lines[1].split(maxsplit=3)
  assert int(number) == pid and int(used) == 0
  assert tunables == variables.get('GLIBC_TUNABLES', 'None')


def test_nothing_starts_again_elsewhere(monkeypatch):
  def fail(*unused):
    raise AssertionError('started again')

  monkeypatch.setattr(huge_pages.os, 'execve', fail)
  monkeypatch.delenv(huge_pages.TUNABLES, raising=False)
  spec = sys.modules['__main__'].__spec__ or os.__spec__
  monkeypatch.setattr(sys.modules['__main__'], '__spec__', spec)
  monkeypatch.setattr(huge_pages, '_on_request', lambda: False)
  huge_pages.restart_with_huge_pages(spec)
  if os.path.exists('/proc/self/cmdline'):
    monkeypatch.setattr(huge_pages, '_on_request', lambda: True)
    with pytest.raises(AssertionError, match='started again'):
      huge_pages.restart_with_huge_pages(spec)


@pytest.mark.parametrize('version, setting, expected', [
    ('glibc 2.36', 'always [madvise] never', True), ('glibc 2.35', 'always [madvise] never', True),
    ('glibc 2.34', 'always [madvise] never', False), ('glibc 2.36', '[always] madvise never', False),
    ('glibc 2.36', 'always madvise [never]', False), ('glibc 2.36', None, False),
    ('musl', 'always [madvise] never', False), (None, 'always [madvise] never', False)])
def test_where_they_come_on_request(monkeypatch, tmp_path, version, setting, expected):
  path = tmp_path / 'enabled'
  if setting:
    path.write_text(setting + '\n', encoding='ascii')
  monkeypatch.setattr(huge_pages, '_LINUX_SETTING', str(path))

  def confstr(unused_name):
    if version is None:
      raise ValueError('unrecognized configuration name')
    return version

  monkeypatch.setattr(huge_pages.os, 'confstr', confstr, raising=False)
  assert huge_pages._on_request() is expected
