"""Laws of polygen.cli: flags, one-line errors, exit codes, progress."""
import argparse
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from hypothesis import given, settings, strategies as st

from checkout import ROOT, run_python
from polygen import cli
from polygen.hw import heap


def build_parser():
  parser = cli.ArgumentParser(prog='polygen.demo', description='A demonstration.')
  parser.add_argument('--training_steps', type=cli.positive_int, default=5000, metavar='N',
                      help='updates per model')
  parser.add_argument('--data-path', '--datapath', metavar='DIR', help='folder of meshes')
  parser.add_argument('--keep', action='store_true', help='keep all')
  parser.add_argument('rest', nargs='*')
  cli.add_machine_flags(parser)
  cli.add_seed_flag(parser, 0, 'decides the order of the data')
  return parser


def error_of(capsys, arguments):
  """The line that parsing the arguments ends with."""
  with pytest.raises(SystemExit) as caught:
    build_parser().parse_args(arguments)
  assert caught.value.code == 2
  streams = capsys.readouterr()
  assert streams.out == '' and streams.err.count('\n') == 1
  prefix = 'polygen.demo: error: '
  assert streams.err.startswith(prefix)
  return streams.err[len(prefix):].rstrip('\n')


@settings(max_examples=50, deadline=None)
@given(name=st.sampled_from(['training_steps', 'data_path', 'precision_mode']),
       dashed=st.booleans(), joined=st.booleans(), value=st.integers(1, 10 ** 6))
def test_underscore_and_dash_are_alike(name, dashed, joined, value):
  flag = '--' + (name.replace('_', '-') if dashed else name)
  given_arguments = ['{}={}'.format(flag, value)] if joined else [flag, str(value)]
  assert str(getattr(build_parser().parse_args(given_arguments), name)) == str(value)


@settings(max_examples=100, deadline=None)
@given(value=st.text(st.characters(blacklist_categories=('Cs', 'Cc'))).filter(
    lambda value: value != '--'))  # which argparse drops
def test_values_are_untouched(value):
  assert build_parser().parse_args(['--data-path=' + value]).data_path == value
  if not value.startswith('-'):
    assert build_parser().parse_args(['--datapath', value]).data_path == value
  assert build_parser().parse_args(['--', '--a-b' + value]).rest == ['--a-b' + value]


def test_defaults():
  args = build_parser().parse_args([])
  assert (args.training_steps, args.data_path, args.seed) == (5000, None, 0)
  assert (args.device, args.precision_mode) == ('auto', 'mix')
  assert build_parser().parse_args(['--precision_mode=']).precision_mode == ''


def test_help_shows_defaults(capsys):
  with pytest.raises(SystemExit) as caught:
    build_parser().parse_args(['--help'])
  assert caught.value.code == 0
  text = ' '.join(capsys.readouterr().out.split())
  assert 'updates per model (default: 5000)' in text
  assert 'decides the order of the data (default: 0)' in text
  assert '(default: mix)' in text and '(default: auto)' in text
  assert 'default: None' not in text and 'default: False' not in text


@pytest.mark.parametrize('arguments, words', [
    (['--device', 'tpu'], ['--device', 'tpu', 'auto', 'cpu', 'gpu']),
    (['--no-such-flag'], ['no_such_flag']),
    (['--training', '5'], ['--training']),
    (['--training-steps=0'], ['--training_steps', 'positive whole number', "'0'"]),
    (['--training-steps=ten'], ['--training_steps', 'positive whole number', "'ten'"]),
    (['--training-steps'], ['--training_steps', 'expected one argument']),
    (['--training-steps=1.5'], ['positive whole number', "'1.5'"]),
    (['--training-steps=nan'], ['positive whole number', "'nan'"]),
    (['--seed=-1'], ['from 0 to 4294967295']),
    (['--seed=' + '9' * 400], ['from 0 to'])])
def test_bad_flags_are_one_line(capsys, arguments, words):
  line = error_of(capsys, arguments)
  assert all(word in line for word in words), line


@settings(max_examples=100, deadline=None)
@given(value=st.integers())
def test_number_types_accept_exactly_their_range(value):
  for parse, legal in ((cli.positive_int, value > 0), (cli.seed, 0 <= value <= cli.MAX_SEED)):
    if legal:
      assert parse(str(value)) == value
    else:
      with pytest.raises(argparse.ArgumentTypeError):
        parse(str(value))


def failing(error):
  def main():
    with cli.user_errors():
      raise error
  return main


@pytest.mark.parametrize('error, line', [
    (ValueError('no meshes in x'), 'no meshes in x'),
    (ValueError('two\n  lines\n'), 'two lines'),
    (ValueError(), 'ValueError'),
    (FileNotFoundError(2, 'No such file or directory', 'a/b'), 'a/b: No such file or directory'),
    (OSError('disk gone'), 'disk gone'),
    (UnicodeDecodeError('utf-8', b'\xff', 0, 1, 'invalid start byte'), None),
    (ImportError('needs matplotlib: pip install "polygen[plot]"'),
     'needs matplotlib: pip install "polygen[plot]"')])
def test_user_errors_are_one_line_and_exit_code_2(capsys, error, line):
  with pytest.raises(SystemExit) as caught:
    cli.run_command('polygen.demo', failing(error))
  assert caught.value.code == 2
  shown = capsys.readouterr().err
  assert shown.startswith('polygen.demo: error: ') and shown.count('\n') == 1
  assert line is None or shown == 'polygen.demo: error: {}\n'.format(line)


@pytest.mark.parametrize('error', [
    RuntimeError('a fault'), KeyError('a fault'), ModuleNotFoundError('gone', name='numpy')])
def test_faults_of_the_program_keep_their_traceback(error):
  with pytest.raises(type(error)):
    cli.run_command('polygen.demo', failing(error))


def test_errors_outside_user_stages_are_not_hidden():
  def main():
    raise ValueError('a fault')
  with pytest.raises(ValueError):
    cli.run_command('polygen.demo', main)


def test_interrupt_ends_with_130_and_one_line(capsys):
  with pytest.raises(SystemExit) as caught:
    cli.run_command('polygen.demo', failing(KeyboardInterrupt()))
  assert caught.value.code == 130
  assert capsys.readouterr().err == 'polygen.demo: interrupted\n'


def test_success_returns():
  assert cli.run_command('polygen.demo', lambda: None) is None


def test_cli_does_not_load_tensorflow():
  output = run_python('-c', 'import polygen.cli, sys; print("tensorflow" in sys.modules)')
  assert output.split() == ['False']


def test_progress_prints_plain_lines_without_a_terminal(capsys):
  with cli.Progress(total=7, initial=1, line_every=3) as progress:
    for _ in range(6):
      progress.advance({'Loss (vertices)': 0.5, 'Loss (faces)': 12.25})
    progress.write('a line of its own')
  streams = capsys.readouterr()
  lines = streams.out.splitlines()
  values = ['Loss (vertices) 0.5', 'Loss (faces) 12.25']
  assert [line.split(',')[0] for line in lines] == [
      'Step 3/7', *values, 'Step 6/7', *values, 'Step 7/7', *values, 'a line of its own']
  assert all('steps/s' in line for line in lines[:9:3])
  assert streams.err == '' and '\r' not in streams.out


ON_A_TERMINAL = """
from polygen import cli
with cli.Progress(total=3) as progress:
  for step in range(3):
    progress.advance({'vertices': 0.5})
  progress.write('a line of its own')
"""


def test_progress_is_a_bar_on_a_terminal():
  """The program's standard error is a pseudo-terminal, its standard output a pipe."""
  parent, child = pty.openpty()
  fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack('4H', 24, 100, 0, 0))
  done = subprocess.run([sys.executable, '-c', ON_A_TERMINAL], cwd=str(ROOT), check=True,
                        stdout=subprocess.PIPE, stderr=child, universal_newlines=True)
  os.close(child)
  bar = os.read(parent, 1 << 16).decode()
  os.close(parent)
  assert done.stdout == 'a line of its own\n'
  assert '\r' in bar and '3/3' in bar and 'vertices=0.5' in bar


@pytest.mark.skipif(sys.version_info < (3, 8), reason='importlib.metadata came with Python 3.8')
@pytest.mark.parametrize('version, expected', [
    ('2.6.5', False), ('2.8.0', False), ('2.9.0', True), ('2.10.1', True), ('2.21.0', True)])
def test_onednn_is_asked_for_where_it_is_no_experiment(monkeypatch, version, expected):
  import importlib.metadata
  monkeypatch.setattr(importlib.metadata, 'version', lambda package: version)
  assert cli._onednn_is_mature() == expected


def test_onednn_is_left_alone_where_the_version_is_unknown(monkeypatch):
  monkeypatch.setitem(sys.modules, 'importlib.metadata', None)
  assert not cli._onednn_is_mature()


def test_a_command_runs_with_another_c_library(monkeypatch):
  def missing(name):
    raise OSError(name + ': cannot open shared object file')

  monkeypatch.setattr(heap.ctypes, 'CDLL', missing)
  ran = []
  cli.run_command('polygen.demo', lambda: ran.append(True))
  assert ran == [True]
