"""The checkout these tests belong to, and copies of it."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def source_files():
  """Paths, relative to ROOT, of the files git tracks or would offer to track.

  Outside a git checkout (an unpacked archive): all files but hidden ones and build products.
  """
  listing = subprocess.run(
      ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=str(ROOT),
      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
  paths = {pathlib.Path(name) for name in listing.stdout.decode().split('\0') if name}
  if not paths:
    skipped = ('__pycache__', 'build', 'dist', 'output')
    relative = (path.relative_to(ROOT) for path in ROOT.rglob('*'))
    paths = {path for path in relative
             if not any(part.startswith('.') or part in skipped for part in path.parts)}
  return sorted(path for path in paths if (ROOT / path).is_file())


def copy_checkout(destination):
  """Copies the source files to a new folder; returns how many."""
  paths = source_files()
  for path in paths:
    target = pathlib.Path(destination) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(ROOT / path), str(target))
  return len(paths)


def run_python(*arguments, cwd=ROOT, search_path=()):
  """Runs this interpreter in a process of its own; fails with what it printed.

  Args:
    *arguments: its command line.
    cwd: the folder to run in.
    search_path: folders where it looks for modules before those of the installation.

  Returns:
    Its standard output.
  """
  __tracebackhide__ = True
  env = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, search_path)))
  done = subprocess.run([sys.executable] + [str(argument) for argument in arguments],
                        cwd=str(cwd), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        universal_newlines=True)
  assert done.returncode == 0, '\n'.join([str(arguments), done.stdout, done.stderr])
  return done.stdout
