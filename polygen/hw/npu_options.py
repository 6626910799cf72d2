"""The options of the Ascend adapter: names, types, legal values.

The adapter reads them from a map of `AttrValue`s. It ignores an unknown name and a value in the
wrong arm without a word, and other devices accept anything, so everything is checked here.
"""
import os
import re
from typing import Callable, NamedTuple

from .npu_modes import MIXED_MODES, PRECISION_MODES, PRECISION_MODES_V2

MAX_INT = 2 ** 31 - 1
PRECISION_OPTIONS = ('precision_mode', 'precision_mode_v2')
BOOLEANS = {'true': True, '1': True, 'false': False, '0': False}


class NpuOption(NamedTuple):
  """One option.

  Attributes:
    arm: the field of AttrValue that the adapter reads: 'b', 'i' or 's'.
    legal: completes 'must be ...'.
    parse: function text -> bool, int or str; raises ValueError on an illegal one.
    help: what it does.
    reads_file: whether the value is the path of a file that must exist.
  """
  arm: str
  legal: str
  parse: Callable
  help: str
  reads_file: bool = False


def _flag(text):
  def parse(value):
    if value.lower() not in BOOLEANS:
      raise ValueError
    return BOOLEANS[value.lower()]
  return NpuOption('b', 'true or false', parse, text)


def _number(lowest, highest, text):
  def parse(value):
    if not re.fullmatch('[0-9]{1,10}', value) or not lowest <= int(value) <= highest:
      raise ValueError
    return int(value)
  return NpuOption('i', 'a whole number from {} to {}'.format(lowest, highest), parse, text)


def _choice(values, text):
  def parse(value):
    if value not in values:
      raise ValueError
    return value
  return NpuOption('s', 'one of ' + ', '.join(values), parse, text)


def _parse_text(value):
  value.encode('utf-8')  # a UnicodeEncodeError is a ValueError
  if not value.strip() or not value.isprintable():
    raise ValueError
  return value


def _text(legal, text):
  return NpuOption('s', legal, _parse_text, text)


def _file(text):
  return NpuOption('s', 'the path of a file', _parse_text, text, reads_file=True)


def _parse_steps(value):
  if not re.fullmatch('[0-9]+(-[0-9]+)?([|][0-9]+(-[0-9]+)?)*', value):
    raise ValueError
  return value


NPU_OPTIONS = {
    'use_off_line': _flag('compute on the NPU; false computes on the host'),
    'precision_mode': _choice(PRECISION_MODES, 'number formats'),
    'precision_mode_v2': _choice(PRECISION_MODES_V2, 'number formats, newer names'),
    'modify_mixlist': _file('changes which operations a mixed mode computes in float32'),
    'op_precision_mode': _file('precision or speed, per operation'),
    'enable_data_pre_proc': _flag('run the input pipeline beside the NPU'),
    'iterations_per_loop': _number(1, MAX_INT, 'training steps per call'),
    'mix_compile_mode': _flag('leave what the NPU cannot compute to the host'),
    'graph_run_mode': _number(0, 1, '0: inference, 1: training'),
    'fusion_switch_file': _file('switches fusions of the compiler on and off'),
    'dynamic_input': _flag('allow inputs of changing shape'),
    'hcom_parallel': _flag('exchange gradients while others are computed'),
    'session_device_id': _number(0, MAX_INT, 'which NPU of this machine'),
    'enable_dump': _flag('write the inputs and outputs of operations to dump_path'),
    'dump_path': _text('the path of a folder', 'where dumps go'),
    'dump_step': NpuOption('s', 'steps like 0|5|10-12', _parse_steps, 'which steps are dumped'),
    'dump_mode': _choice(('input', 'output', 'all'), 'what is dumped of an operation'),
    'profiling_mode': _flag('record how long operations take'),
    'profiling_options': _text('a text', 'what is recorded, as the manual of CANN says'),
    'deterministic': _number(0, 1, '1: the same result in every run'),
}
REFUSED_OPTIONS = {
    'jit_compile': 'its type changed between versions of the adapter, and one of them would ignore '
                   'it silently; leave it out',
}
# The adapter computes on the NPU only with this one; everything else is left as the adapter has it.
DEFAULT_OPTIONS = {'use_off_line': True}


def parse_npu_options(texts):
  """Reads options from texts; touches no files and needs no adapter.

  Args:
    texts: iterable of 'name=value', e.g. ['iterations_per_loop=10', 'enable_data_pre_proc=true'].
      The last of several for one name wins.

  Returns:
    dict {name: bool, int or str}.

  Raises:
    ValueError: a name is unknown, a value illegal, or two options exclude each other.
  """
  options = dict(_parse_option(text) for text in texts)
  _check_together(options)
  return options


def _parse_option(text):
  name, equals, value = text.partition('=')
  if not equals:
    raise ValueError('npu_option {!r}: must be name=value'.format(text))
  if name in REFUSED_OPTIONS:
    raise ValueError('npu_option {}: {}'.format(name, REFUSED_OPTIONS[name]))
  if name not in NPU_OPTIONS:
    raise ValueError('unknown npu_option {!r}: choose one of {}'.format(
        name, ', '.join(NPU_OPTIONS)))
  option = NPU_OPTIONS[name]
  try:
    return name, option.parse(value)
  except ValueError:
    raise ValueError('npu_option {} must be {}, not {!r}'.format(
        name, option.legal, value)) from None


def _check_together(options):
  several_steps = options.get('iterations_per_loop', 1) > 1
  if all(name in options for name in PRECISION_OPTIONS):
    raise ValueError('npu_option precision_mode excludes precision_mode_v2: give one of them')
  if options.get('mix_compile_mode') and several_steps:
    raise ValueError('npu_option mix_compile_mode=true needs iterations_per_loop=1')
  if several_steps and not options.get('enable_data_pre_proc'):
    raise ValueError('npu_option iterations_per_loop={} needs enable_data_pre_proc=true'.format(
        options['iterations_per_loop']))
  if options.get('enable_dump') and 'dump_path' not in options:
    raise ValueError('npu_option enable_dump=true needs dump_path=FOLDER')


def complete_npu_options(options, precision):
  """The options of an NPU session: defaults, precision and those of the user.

  Args:
    options: dict, from `parse_npu_options`.
    precision: a `Precision`.

  Returns:
    dict {name: bool, int or str}; paths are absolute.

  Raises:
    ValueError: an option contradicts the precision, or a file it names is missing.
  """
  complete = dict(DEFAULT_OPTIONS)
  if precision.npu_option is not None:
    for name in PRECISION_OPTIONS:
      if name in options:
        raise ValueError('npu_option {}={} and --precision_mode both choose the precision ({}={}): '
                         'leave the npu_option out, or add --precision_mode default'.format(
                             name, options[name], *precision.npu_option))
    name, value = precision.npu_option
    complete[name] = value
  complete.update(options)
  modes = [complete[name] for name in PRECISION_OPTIONS if name in complete]
  if 'modify_mixlist' in complete and not set(modes) & set(MIXED_MODES):
    raise ValueError('npu_option modify_mixlist needs a mixed precision (one of {}), not {}'.format(
        ', '.join(MIXED_MODES), ', '.join(modes) or "the device's default"))
  for name, value in options.items():
    if NPU_OPTIONS[name].reads_file and not os.path.isfile(value):
      raise ValueError('npu_option {}: there is no file {}'.format(name, value))
    if NPU_OPTIONS[name].reads_file or name == 'dump_path':
      complete[name] = os.path.abspath(value)
  return complete
