"""What the commands share: flags, one-line errors, exit codes, progress.

A command `polygen/NAME.py` is built like this:

    def main(argv=None):
      args = build_parser().parse_args(argv)
      with user_errors():          # only around what reads the user's input
        config = ...
      train(config)

    if __name__ == '__main__':
      run_command('polygen.NAME', main)

Importing this module does not load TensorFlow, so `--help` answers at once.
"""
import argparse
import contextlib
import gc
import logging
import os
import sys
import time

from .hw import DEFAULT_PRECISION, DEVICE_CHOICES, set_up_heap

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
MAX_SEED = 2 ** 32 - 1

# Of Python's collector; TensorFlow's import takes a tenth less than with 700 new objects.
GARBAGE_THRESHOLDS = (20000, 10, 10)

FIRST_MATURE_ONEDNN = (2, 9)  # the TensorFlow that uses it by default where it can


class CommandError(Exception):
  """An error the user can mend; its text is the one line to show."""


@contextlib.contextmanager
def user_errors(*kinds):
  """Turns errors that users cause into a `CommandError`.

  These are the given kinds, by default ValueError and OSError, and the ImportErrors this package
  raises itself when an optional library is missing. (Python's own carry a module name: those are
  faults of the installation and keep their traceback.)
  """
  try:
    yield
  except ImportError as error:
    if error.name is not None:
      raise
    raise CommandError(one_line(error)) from error
  except (kinds or (ValueError, OSError)) as error:
    raise CommandError(one_line(error)) from error


def one_line(error):
  """The text of an exception on one line, never empty."""
  if isinstance(error, OSError) and error.strerror and error.filename is not None:
    return '{}: {}'.format(error.filename, error.strerror)
  lines = (line.strip() for line in str(error).splitlines())
  return ' '.join(line for line in lines if line) or type(error).__name__


def run_command(prog, main):
  """Runs `main()` as a program: exit code 2 and one line for a `CommandError`, 130 for Ctrl-C.

  This process is the command's own, so TensorFlow is told here (and in no library call) to use
  oneDNN, which halves the time of a step on CPUs for which it is off by default, not to load Keras,
  which takes a second, and to keep deprecation warnings to itself. Garbage is looked for less often
  and freed memory kept, here alone too: both belong to the process.
  """
  gc.set_threshold(*GARBAGE_THRESHOLDS)
  set_up_heap()
  if _onednn_is_mature():
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
  os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')  # only ever loaded when it is used
  logging.getLogger('tensorflow').setLevel(logging.ERROR)
  try:
    main()
  except CommandError as error:
    _exit_with_line(prog, 'error: {}'.format(error), EXIT_USER_ERROR)
  except KeyboardInterrupt:
    _exit_with_line(prog, 'interrupted', EXIT_INTERRUPTED)


def _onednn_is_mature():
  """Whether TensorFlow is known to be 2.9 or later: before, oneDNN was an experiment, and 2.6.5
  crashes with it. On Python 3.7, where nothing tells the version without importing TensorFlow, its
  own choice stands."""
  try:
    from importlib.metadata import PackageNotFoundError, version
  except ImportError:
    return False
  for package in ('tensorflow', 'tensorflow-cpu'):
    try:
      return tuple(map(int, version(package).split('.')[:2])) >= FIRST_MATURE_ONEDNN
    except PackageNotFoundError:
      continue
  return False


def _exit_with_line(prog, text, exit_code):
  sys.stdout.flush()
  sys.stderr.write('{}: {}\n'.format(prog, text))
  sys.exit(exit_code)


class _HelpFormatter(argparse.HelpFormatter):
  """Adds the default to the help of every flag that has one."""

  def _get_help_string(self, action):
    no_default = (None, False, '', argparse.SUPPRESS)
    if (any(action.default is value for value in no_default) or action.default == []
        or '%(default)' in action.help):
      return action.help
    return action.help + ' (default: %(default)s)'


class ArgumentParser(argparse.ArgumentParser):
  """Long flags take `_` and `-` alike; an error is one line and exit code 2.

  Args:
    prog: the name that errors start with, e.g. 'polygen.train'.
    description: what the command does.
  """

  def __init__(self, prog, description):
    super().__init__(prog=prog, description=description, allow_abbrev=False,
                     formatter_class=_HelpFormatter)

  def add_argument(self, *names, **options):
    return super().add_argument(*map(_with_underscores, names), **options)

  def parse_known_args(self, args=None, namespace=None):
    args = list(sys.argv[1:] if args is None else args)
    end = args.index('--') if '--' in args else len(args)
    args[:end] = map(_with_underscores, args[:end])
    return super().parse_known_args(args, namespace)

  def error(self, message):
    _exit_with_line(self.prog, 'error: ' + message, EXIT_USER_ERROR)


def _with_underscores(argument):
  """'--data-path=a-b' -> '--data_path=a-b'; anything but a long flag is returned as it is."""
  if not argument.startswith('--'):
    return argument
  name, equals, value = argument[2:].partition('=')
  return '--' + name.replace('-', '_') + equals + value


def add_machine_flags(parser):
  """Adds --device, --precision_mode and --npu_option, for `hw.choose_machine`."""
  parser.add_argument('--device', choices=DEVICE_CHOICES, default=DEVICE_CHOICES[0],
                      help='where to run')
  parser.add_argument('--precision_mode', default=DEFAULT_PRECISION, metavar='MODE',
                      help='mix: mixed precision where this device gains from it; float32; float16 '
                      'or bfloat16: operands of matrix products rounded; on an NPU any mode of its '
                      'adapter')
  parser.add_argument('--npu_option', action='append', default=[], metavar='NAME=VALUE',
                      help='an option of the Ascend adapter, e.g. deterministic=1; may be repeated')


def add_seed_flag(parser, default, text):
  """Adds --seed; `text` says what it decides."""
  parser.add_argument('--seed', type=seed, default=default, metavar='N', help=text)


def _whole_number(is_legal, text):
  """A flag type: `is_legal` tests the number, `text` completes 'must be ...'."""
  def parse(argument):
    try:
      value = int(argument)
      legal = is_legal(value)
    except ValueError:
      legal = False
    if not legal:
      raise argparse.ArgumentTypeError('must be {}, not {!r}'.format(text, argument))
    return value
  return parse


positive_int = _whole_number(lambda value: value > 0, 'a positive whole number')
seed = _whole_number(lambda value: 0 <= value <= MAX_SEED,
                     'a whole number from 0 to {}'.format(MAX_SEED))


class Progress:
  """A tqdm bar on a terminal; elsewhere plain lines on standard output.

      with Progress(total=5000, initial=1200) as progress:
        for step in range(1200, 5000):
          progress.advance({'Loss (vertices)': 0.51, 'Loss (faces)': 0.32})
          progress.write('a line of its own')

  Args:
    total: the number of steps of the whole run.
    initial: how many of them earlier runs have done.
    line_every: without a terminal, lines are printed at every step divisible by this, and at the
      last one: the step, then each value.
    unit: what a step is called.
  """

  def __init__(self, total, initial=0, line_every=100, unit='step'):
    self._total, self._initial, self._line_every = total, initial, line_every
    self._unit = unit
    self._step = initial
    self._start = time.time()
    self._bar = None
    if sys.stderr.isatty():
      import tqdm
      self._bar = tqdm.tqdm(total=total, initial=initial, unit=unit, dynamic_ncols=True)

  def __enter__(self):
    return self

  def __exit__(self, *unused_exception):
    if self._bar is not None:
      self._bar.close()

  def advance(self, values=None, steps=1):
    """Counts steps; `values` {name: number} are shown with them."""
    self._step += steps
    if self._bar is not None:
      self._bar.set_postfix({name: '{:.4g}'.format(value)
                             for name, value in (values or {}).items()}, refresh=False)
      self._bar.update(steps)
    elif self._step % self._line_every < steps or self._step == self._total:
      speed = (self._step - self._initial) / max(time.time() - self._start, 1e-9)
      self.write('{} {}/{}, {:.3g} {}s/s'.format(
          self._unit.capitalize(), self._step, self._total, speed, self._unit))
      for name, value in (values or {}).items():
        self.write('{} {:.6g}'.format(name, value))

  def write(self, line):
    """Prints a line on standard output without tearing the bar."""
    if self._bar is not None:
      self._bar.write(line)
    else:
      print(line, flush=True)
