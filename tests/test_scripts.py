"""scripts/: what they print and write on a CPU, in a copy of the checkout, called from elsewhere.

One training is real. Elsewhere the interpreter is a shell script that prints how it was called.
"""
import os
import shutil
import subprocess
import sys

import pytest

import tiny
from checkout import ROOT, copy_checkout

NETWORK = 'Polygen_for_TensorFlow'
COMPILED = 'The model has been compiled on the Ascend AI processor'
NOT_USED = "haven't used Ascend NPU"
TRAININGS = ['train_full_1p.sh', 'train_performance_1p.sh']

# Called as -c CODE ROOT FLAGS...
ECHO = '''#!/bin/sh
shift 3
echo "flags: $*"
echo "working directory: $PWD"
echo "environment: ${TF_CPP_MIN_LOG_LEVEL-unset} $RANK_ID/$RANK_SIZE ${JOB_ID:?}"
echo "$MESSAGE" >&2
exit "$CODE"
'''

pytestmark = pytest.mark.skipif(shutil.which('bash') is None, reason='bash is missing')


class Scripts:
  """A checkout beside the folder `caller`, in which its scripts are called."""

  def __init__(self, path):
    self.root, self.caller, self.echo = path / 'checkout', path / 'caller', path / 'echo'
    assert copy_checkout(self.root) > 10
    tiny.write_meshes(self.caller / 'data')
    self.echo.write_text(ECHO)
    self.echo.chmod(0o755)

  def output(self, device_id):
    return self.root / 'scripts' / 'output' / str(device_id)

  def log(self, device_id, suffix=''):
    """Lines of the log of a training."""
    name = 'train_{}.log{}'.format(device_id, suffix)
    return (self.output(device_id) / name).read_text().splitlines()

  def run(self, name, *arguments, python=sys.executable, device_id=0, **environment):
    """Runs scripts/NAME; returns (exit code, lines of output, lines of errors)."""
    env = dict(os.environ, PYTHON=str(python), ASCEND_DEVICE_ID=str(device_id), **environment)
    done = subprocess.run(
        ['bash', '../checkout/scripts/' + name] + list(arguments), cwd=str(self.caller), env=env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

  def call(self, name, *arguments, code=0, message='', **options):
    """The same with the interpreter that prints how it was called."""
    return self.run(name, *arguments, python=self.echo, CODE=str(code), MESSAGE=message, **options)


@pytest.fixture(scope='module')
def scripts(tmp_path_factory):
  return Scripts(tmp_path_factory.mktemp('scripts'))


@pytest.fixture(scope='module')
def training(scripts):
  """Lines of a real training on device 3, then of one without data, which fails."""
  first = scripts.run(
      'train_full_1p.sh', '--data-path=../caller/data', '--training_steps=4', '--batch-size', '2',
      '--precision_mode=mix', '--device', 'cpu', '--', '--num_samples', '0', *tiny.SIZE_FLAGS,
      device_id=3)
  assert first[0] == 0, '\n'.join(first[1] + first[2])
  return first[1], scripts.run('train_performance_1p.sh', '--datapath', 'nowhere', device_id=3)


def value(lines, prefix):
  """The text after a prefix, in the last line that has it."""
  return [line[len(prefix):] for line in lines if line.startswith(prefix)][-1]


def test_figures_are_those_of_the_training(training):
  lines, _ = training
  step_time = float(value(lines, 'StepTime: '))
  assert float(value(lines, 'Final Performance sec/step : ')) == step_time > 0
  images = float(value(lines, 'Final Performance images/sec : '))
  assert images == pytest.approx(2 / step_time, rel=1e-4)
  assert value(lines, 'E2E Training Duration sec : ') == value(lines, 'TimetoTrain: ')
  assert lines[-1] == NOT_USED


def test_case_log(scripts, training):
  lines, _ = training
  case_name = NETWORK + '_bs2_1p_acc'
  text = (scripts.output(3) / (case_name + '.log')).read_text()
  figures = dict(line.split(' = ') for line in text.splitlines())
  assert list(figures) == ['Network', 'RankSize', 'BatchSize', 'DeviceType', 'CaseName',
                           'ActualFPS', 'TrainingTime', 'ActualLoss', 'E2ETrainingTime']
  assert list(figures.values())[:5] == [NETWORK, '1', '2', os.uname().machine, case_name]
  assert figures['ActualFPS'] == value(lines, 'Final Performance images/sec : ')
  milliseconds = 1000 * float(value(lines, 'StepTime: '))
  assert float(figures['TrainingTime']) == pytest.approx(milliseconds)
  loss = sum(float(value(lines, 'Loss ({}) '.format(name))) for name in ('vertices', 'faces'))
  assert float(figures['ActualLoss']) == pytest.approx(loss, rel=1e-5) and loss > 0
  assert figures['E2ETrainingTime'] == value(lines, 'TimetoTrain: ')


def test_the_log_is_what_was_shown_and_the_run_lies_beside_it(scripts, training):
  lines, _ = training
  log = scripts.log(3, '.1')
  assert log == lines[:len(log)] and 'StepTime: ' in '\n'.join(log)
  assert value(log, 'Run folder: ') == str(scripts.output(3) / 'run')
  assert (scripts.output(3) / 'run' / 'checkpoints' / 'model-4.index').is_file()
  assert [path.name for path in scripts.caller.iterdir()] == ['data']


def test_a_failing_training_is_one_line_and_no_figures(scripts, training):
  """That line came on standard error and is in the log."""
  code, lines, errors = training[1]
  message = 'polygen.train: error: nowhere: no such data folder; give one that holds mesh files'
  assert code == 2 and lines == scripts.log(3) and lines.count(message) == 1
  assert errors == ['Training ended with exit code 2; its output is in {}'.format(
      scripts.output(3) / 'train_3.log')]
  assert not [line for line in lines if line.startswith(('Final', 'E2E', NOT_USED))]
  assert not list(scripts.output(3).glob('*_perf.log'))


def test_output_is_not_tracked():
  lines = (ROOT / '.gitignore').read_text().splitlines()
  assert 'output/' in lines


@pytest.mark.parametrize('name, defaults', list(zip(TRAININGS, [
    [], ['--training_steps=200', '--num_samples=1']])))
def test_flags_are_passed_on_in_every_spelling(scripts, name, defaults):
  """`_` and `-`, `=` and a space; polygen.train has the defaults, the last of two flags counts."""
  published = ['--data_path=../meshes', '--training-steps=5000', '--precision_mode=mix']
  code, lines, _ = scripts.call(
      name, *published, '--npu-option', 'a=b-c', '--npu_option=d=e f', '--train-steps', '7',
      '--output-path', 'my runs', '--', '--hidden-size', '8', TF_CPP_MIN_LOG_LEVEL='3')
  assert code == 0
  assert value(lines, 'flags: ') == ' '.join(defaults + [
      '--output_path=my runs', '--data_path=../meshes', '--training_steps=5000',
      '--precision_mode=mix', '--npu_option=a=b-c', '--npu_option=d=e f', '--training_steps=7',
      '--hidden-size 8'])
  assert value(lines, 'working directory: ') == os.path.realpath(str(scripts.caller))
  assert value(lines, 'environment: ').startswith('unset 0/1 ')


def test_each_run_has_a_folder_and_a_log_of_its_own(scripts):
  (scripts.output(5) / 'run').mkdir(parents=True)
  for message in ('first', 'second', 'third'):
    _, lines, _ = scripts.call('train_full_1p.sh', device_id=5, message=message)
    assert value(lines, 'flags: ') == '--output_path={}'.format(scripts.output(5) / 'run_2')
  assert [scripts.log(5, suffix)[-1] for suffix in ('.1', '.2', '')] == ['first', 'second', 'third']


@pytest.mark.parametrize('message, notice', [
    ('', NOT_USED), (COMPILED, 'used Ascend NPU (in the log: {})'.format(COMPILED))])
def test_notice_and_no_figures_without_a_step(scripts, message, notice):
  """As of a run that was finished before."""
  for name in TRAININGS:
    code, lines, _ = scripts.call(name, message='I 10:20 ' + message)
    assert code == 0 and 'I 10:20 ' + message in scripts.log(0)
    assert lines[-2:] == ['Nothing was trained: there are no figures', notice]


def test_exit_code_of_the_training(scripts):
  code, lines, _ = scripts.call('train_full_1p.sh', code=7, message='why')
  assert code == 7 and lines[-1] == 'why'


@pytest.mark.parametrize('name', TRAININGS + ['model_test.sh'])
def test_help_and_errors_of_the_user(scripts, name):
  code, lines, errors = scripts.run(name, '--help')
  assert code == 0 and not errors and any('--device DEVICE' in line for line in lines)
  for arguments, message in [
      (['--no-such-flag=1'], 'unknown flag --no-such-flag; --help lists the flags'),
      (['--no_such_flag'], 'unknown flag --no_such_flag; --help lists the flags'),
      (['word'], "unexpected argument 'word'; --help lists the flags"),
      (['--device', '--help'], 'flag --device needs a value'),
      (['--device'], 'flag --device needs a value'),
      (['--python=nowhere/python'],
       "there is no 'nowhere/python': name the interpreter with --python")]:
    code, lines, errors = scripts.run(name, *arguments)
    assert (code, lines, errors) == (2, [], ['{}: error: {}'.format(name, message)])
  code, _, errors = scripts.run(name, device_id='a/b')
  assert code == 2 and 'ASCEND_DEVICE_ID' in errors[0] and len(errors) == 1


def test_model_test_runs_on_the_chosen_device(scripts):
  """Only that of the golden cases which needs no model."""
  code, lines, _ = scripts.run('model_test.sh', '--device=cpu', '--', '-k', 'cases_are_there')
  assert code == 0 and lines[-1] == NOT_USED
  assert 'Device: cpu (as requested)' in lines and '1 passed' in lines[-2]
  code, _, errors = scripts.run('model_test.sh', '--device=tpu')
  assert code == 2 and errors == [
      "model_test.sh: error: --device must be auto, cpu, gpu or npu, not 'tpu'"]
