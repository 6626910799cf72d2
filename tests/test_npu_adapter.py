"""The import ladder, choosing the NPU, and the fake adapter of these tests itself."""
import inspect
import os
import subprocess
import sys

import pytest
import tensorflow.compat.v1 as tf

import fake_adapter
import fake_ascend
import tiny
from checkout import run_python
from polygen import cli, hw, sample, train
from polygen.hw import devices, npu
from polygen.hw.devices import Device

NPU = Device('npu', 'test')
VERSION_OF = {'npu_bridge': '1.15.0', 'npu_device': '2.6.5'}

# From the contract.
SIGNATURES = {
    'npu_config_proto': '(config_proto=None)',
    'FixedLossScaleManager': '(loss_scale, enable_overflow_check=True)',
    'ExponentialUpdateLossScaleManager':
        '(init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, incr_ratio=2, '
        'decr_ratio=0.8)',
    'NPULossScaleOptimizer': '(opt, loss_scale_manager, is_distributed=False)',
    'NPUOptimizer':
        '(opt, loss_scale_manager=None, is_distributed=False, is_loss_scale=False, '
        'is_tailing_optimization=False, name=None)',
    'NPUDistributedOptimizer': '(optimizer, is_weight_update_sharding=False, name=None)',
    'NPUBroadcastGlobalVariablesHook': '(root_rank=None, index=None)',
    'util.set_iteration_per_loop': '(sess, train_op, iterations_per_loop=1)',
    'npu_scope.keep_dtype_scope': '()',
    'hccl_ops.broadcast':
        "(tensor, root_rank, fusion=2, fusion_id=0, group='hccl_world_group')",
}
MISSING_ON_2_6_5 = {'FixedLossScaleManager', 'ExponentialUpdateLossScaleManager',
                    'NPULossScaleOptimizer'}


def modules_of(version):
  """(npu_init, hccl.manage.api or None) of the fake for a version; while it is installed."""
  if version == '1.15.0':
    from hccl.manage import api
    from npu_bridge import npu_init
    return npu_init, api
  from npu_device.compat.v1 import npu_init
  return npu_init, None


def failure(call, *args):
  """The one line of the ValueError of a call."""
  with pytest.raises(ValueError) as caught:
    call(*args)
  line = str(caught.value)
  assert line and '\n' not in line
  return line


# The fake.

@pytest.mark.parametrize('version', fake_adapter.VERSIONS)
def test_the_fake_has_the_names_and_signatures_of_the_contract(version):
  names = set(SIGNATURES) - (MISSING_ON_2_6_5 if version == '2.6.5' else set())
  with fake_adapter.installed(version):
    module, api = modules_of(version)
    public = {name for name in vars(module) if not name.startswith('_')}
    assert public == {name.split('.')[0] for name in names}
    for name in names:
      value = module
      for part in name.split('.'):
        value = getattr(value, part)
      assert str(inspect.signature(value)) == SIGNATURES[name], name
    if api is not None:
      assert {name for name in vars(api) if not name.startswith('_')} == {
          'get_rank_size', 'get_rank_id'}
      assert str(inspect.signature(api.get_rank_size)) == '()'
      assert str(inspect.signature(api.get_rank_id)) == '()'
      assert (api.get_rank_size(), api.get_rank_id()) == (1, 0)
  assert not [name for name in sys.modules if name.split('.')[0] in fake_adapter.PACKAGES]


def test_the_fake_says_that_it_is_one():
  files = [path for folder in fake_adapter.FOLDERS.values() for path in folder.rglob('*.py')]
  assert len(files) > 5
  for path in files + [fake_adapter.TESTS / 'fake_ascend.py']:
    assert path.read_text().startswith('"""A FAKE'), path
  assert 'never compared' in fake_ascend.__doc__


@pytest.mark.parametrize('call', [
    lambda fake, adam: fake.npu_config_proto(config=tf.ConfigProto()),
    lambda fake, adam: fake.npu_config_proto('config'),
    lambda fake, adam: fake.NPULossScaleOptimizer(adam),
    lambda fake, adam: fake.NPULossScaleOptimizer(
        optimizer=adam, loss_scale_manager=fake.FixedLossScaleManager(1.)),
    lambda fake, adam: fake.NPULossScaleOptimizer(adam, 1024.),
    lambda fake, adam: fake.NPULossScaleOptimizer('adam', fake.FixedLossScaleManager(1.)),
    lambda fake, adam: fake.NPUOptimizer(adam, loss_scale=1.),
    lambda fake, adam: fake.FixedLossScaleManager(1., True, 1),
    lambda fake, adam: fake.ExponentialUpdateLossScaleManager(1.),
    lambda fake, adam: fake.NPUDistributedOptimizer(opt=adam),
    lambda fake, adam: fake.util.set_iteration_per_loop(None, tf.no_op(), 2),
    lambda fake, adam: fake.util.set_iteration_per_loop(tf.Session(), tf.no_op(), 0),
    lambda fake, adam: fake.hccl_ops.broadcast([adam], rank=0)])
def test_the_fake_rejects_anything_else(call):
  with tf.Graph().as_default(), pytest.raises((TypeError, ValueError)):
    call(fake_ascend, tf.train.AdamOptimizer(0.1))


def test_the_fake_adds_its_optimizer_once():
  added = fake_ascend.npu_config_proto()
  options = added.graph_options.rewrite_options
  assert [custom.name for custom in options.custom_optimizers] == ['NpuOptimizer']
  assert (options.remapping, options.memory_optimization) == (2, 2)
  again = fake_ascend.npu_config_proto(config_proto=added)
  assert len(again.graph_options.rewrite_options.custom_optimizers) == 1


class Scale:
  """A manager by duck type that notes what it is told."""

  def __init__(self, scale):
    self._scale = scale
    self.told = []

  def get_loss_scale(self):
    return tf.constant(self._scale)

  def update_loss_scale(self, finite):
    self.told.append(finite)
    return tf.no_op()


def descend(factors, status=fake_ascend.all_finite, version='1.15.0', before=None):
  """Steps down sum(w * w * factor) from w = [1, 2].

  Args:
    factors: one per step.
    status: injected.
    version: of TensorFlow, which decides the adapter.
    before: function (adam, variables) called before the updates are built.

  Returns:
    (final w, final step, gradients of w at each step, names of all variables).
  """
  manager = Scale(2. ** 10)
  with fake_adapter.installed(version), fake_ascend.float_status(status), (
      tf.Graph().as_default()):
    factor = tf.placeholder(tf.float32, [])
    weights = tf.get_variable('w', initializer=[1., 2.], use_resource=True)
    adam = tf.train.AdamOptimizer(0.1)
    step = tf.train.get_or_create_global_step()
    if before is not None:
      before(adam, [weights])
    optimizer = hw.load_adapter().wrap_optimizer(adam, manager)
    gradients = optimizer.compute_gradients(
        tf.reduce_sum(weights * weights * factor), var_list=[weights])
    update = optimizer.apply_gradients(gradients, global_step=step)
    names = [variable.op.name for variable in tf.global_variables()]
    found = []
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      for value in factors:
        found.append(session.run(gradients[0][0], {factor: value}).tolist())
        session.run(update, {factor: value})
      weights, step = session.run([weights, step])
  assert len(manager.told) == 1
  return weights, step, found, names


@pytest.mark.parametrize('version', fake_adapter.VERSIONS)
def test_the_wrapped_optimizer_scales_and_skips(version):
  weights, step, gradients, _ = descend([1., 1.], version=version)
  assert gradients[0] == [2., 4.] and step == 2 and (weights < [1., 2.]).all()
  weights, step, _, _ = descend([1.], lambda unused_gradients: tf.constant(False), version)
  assert weights.tolist() == [1., 2.] and step == 0
  weights, step, _, _ = descend([float('inf'), 1.], version=version)
  assert step == 1 and (weights < [1., 2.]).all() and (weights > [0., 1.]).all()


def test_slots_created_before_keep_their_names():
  plain = descend([1.])[-1]
  created = descend([1.], before=lambda adam, variables: adam._create_slots(variables))[-1]
  assert {'beta1_power', 'beta2_power', 'w/Adam', 'w/Adam_1'} <= set(created)
  if tf.__version__.startswith('1.'):  # newer conds do not rename
    assert {'cond/beta1_power', 'cond/beta2_power'} <= set(plain)


def test_gradients_that_are_none_are_rejected():
  with tf.Graph().as_default():
    variables = [tf.get_variable(name, initializer=1., use_resource=True) for name in 'ab']
    optimizer = fake_ascend.NPULossScaleOptimizer(
        tf.train.AdamOptimizer(0.1), fake_ascend.FixedLossScaleManager(2.))
    gradients = optimizer.compute_gradients(variables[0] ** 2, variables)
    with pytest.raises(ValueError, match='None'):
      optimizer.apply_gradients(gradients)
    optimizer.apply_gradients(gradients[:1])


def test_the_exponential_manager():
  with tf.Graph().as_default():
    manager = fake_ascend.ExponentialUpdateLossScaleManager(8., 2)
    finite = tf.placeholder(tf.bool, [])
    scale, update = manager.get_loss_scale(), manager.update_loss_scale(finite)
    scales = []
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      for value in (True, True, False, True, False, False):
        session.run(update, {finite: value})
        scales.append(float(session.run(scale)))
  assert scales == pytest.approx([8., 16., 16., 16., 16., 12.8])


def test_off_device_one_call_is_one_step():
  with fake_adapter.installed(), tf.Graph().as_default(), tf.Session() as session:
    count = tf.get_variable('count', initializer=0, use_resource=True)
    looped = hw.load_adapter().set_iteration_per_loop(
        session, train_op=count.assign_add(1).op, iterations_per_loop=7)
    session.run(tf.global_variables_initializer())
    session.run(looped)
    assert session.run(count) == 1


# The ladder.

@pytest.mark.parametrize('name', sorted(VERSION_OF))
def test_the_adapter_of_each_version(name):
  with fake_adapter.installed(VERSION_OF[name]):
    adapter = hw.load_adapter()
    assert adapter.name == name and adapter is hw.load_adapter()
    others = set(VERSION_OF) - {name}
    assert name in sys.modules and not others & set(sys.modules)
    if name == 'npu_device':
      assert sys.modules['npu_device.compat'].calls == ['enable_v1']


@pytest.mark.parametrize('version', ['1.15.5', '1.14.0', '2.6.0', '2.21.0', '2.6.5rc1', ''])
def test_other_versions_are_refused(version):
  with fake_adapter.installed('1.15.0'), fake_adapter.tensorflow(version):
    expected = 'Ascend needs TensorFlow 1.15.0 or 2.6.5, not ' + version
    assert failure(hw.load_adapter) == expected
    assert expected in failure(hw.choose_device, 'npu')
    assert 'npu_bridge' not in sys.modules


def test_the_installed_version():
  assert npu.tensorflow_version() == tf.__version__ and tf.__version__[0] in '12'


@pytest.mark.parametrize('name', sorted(VERSION_OF))
def test_a_missing_adapter(name):
  with fake_adapter.tensorflow(VERSION_OF[name]):
    line = failure(hw.choose_device, 'npu')
    assert line.startswith('device npu: {} is missing'.format(name)) and 'CANN' in line
    assert all(choice in line for choice in hw.DEVICE_CHOICES)


@pytest.mark.parametrize('name', sorted(VERSION_OF))
@pytest.mark.parametrize('statement, words', [
    ('import libge_runner', ['ModuleNotFoundError', 'libge_runner']),
    ('raise ImportError("libhccl.so: cannot open\\n  shared object file")',
     ['ImportError', 'libhccl.so: cannot open shared object file']),
    ('raise OSError("no driver")', ['OSError', 'no driver']),
    ('raise RuntimeError("device busy")', ['RuntimeError', 'device busy']),
    ('', ['npu_init'])])
def test_an_adapter_that_cannot_be_imported(name, statement, words, tmp_path):
  (tmp_path / name).mkdir()
  (tmp_path / name / '__init__.py').write_text(statement)
  with fake_adapter.installed(VERSION_OF[name], tmp_path):
    line = failure(hw.choose_device, 'npu')
  assert '{} cannot be imported'.format(name) in line or name + '.' in line
  assert all(word in line or name == 'npu_device' and word == 'npu_init' for word in words)


def test_an_adapter_without_a_name_that_is_needed(tmp_path):
  (tmp_path / 'npu_bridge').mkdir()
  (tmp_path / 'npu_bridge' / '__init__.py').write_text('')
  (tmp_path / 'npu_bridge' / 'npu_init.py').write_text('util = npu_config_proto = None')
  with fake_adapter.installed('1.15.0', tmp_path):
    assert 'NPULossScaleOptimizer' in failure(hw.load_adapter)


def test_faults_of_another_kind_are_not_hidden(tmp_path):
  (tmp_path / 'npu_bridge').mkdir()
  (tmp_path / 'npu_bridge' / '__init__.py').write_text('1 / 0')
  with fake_adapter.installed('1.15.0', tmp_path), pytest.raises(ZeroDivisionError):
    hw.load_adapter()


# Choosing.

@pytest.fixture
def machine(monkeypatch, tmp_path):
  """Function (number of NPUs, number of GPUs) that makes choose_device see those."""
  def see(num_npus, num_gpus):
    for number in range(num_npus):
      (tmp_path / 'davinci{}'.format(number)).write_text('')
    (tmp_path / 'davinci_manager').write_text('')
    assert devices.NPU_FILES == '/dev/davinci[0-9]*'
    monkeypatch.setattr(devices, 'NPU_FILES', str(tmp_path / 'davinci[0-9]*'))
    monkeypatch.setattr(devices, 'count_gpus', lambda: num_gpus)
  return see


@pytest.mark.parametrize('num_gpus, expected', [(0, 'cpu'), (1, 'gpu')])
def test_auto_imports_nothing_where_there_is_no_npu(machine, num_gpus, expected):
  machine(0, num_gpus)
  with fake_adapter.installed():
    device = hw.choose_device('auto')
    assert 'npu_bridge' not in sys.modules
  assert device.name == expected and 'davinci' not in device.reason


@pytest.mark.parametrize('version', fake_adapter.VERSIONS)
def test_auto_takes_the_npu_that_works(machine, version):
  machine(2, 1)
  with fake_adapter.installed(version):
    device = hw.choose_device('auto')
    assert device.name == 'npu' and hw.load_adapter().name in device.reason


@pytest.mark.parametrize('num_gpus, expected', [(0, 'cpu'), (1, 'gpu')])
def test_auto_says_why_it_does_not_take_an_npu(machine, num_gpus, expected):
  machine(1, num_gpus)
  with fake_adapter.tensorflow('1.15.0'):
    device = hw.choose_device('auto')
  assert device.name == expected
  assert 'davinci devices are there, but npu_bridge is missing' in device.reason
  with fake_adapter.tensorflow('2.21.0'):
    assert '1.15.0 or 2.6.5, not 2.21.0' in hw.choose_device('auto').description


@pytest.mark.parametrize('requested', ['cpu', 'gpu'])
def test_other_devices_never_import_the_adapter(machine, requested):
  machine(1, 1)
  with fake_adapter.installed():
    assert hw.choose_device(requested).name == requested
    assert 'npu_bridge' not in sys.modules


def test_the_requested_npu_needs_no_device_files(machine):
  machine(0, 1)
  with fake_adapter.installed():
    device = hw.choose_device('npu')
  assert device.name == 'npu' and 'npu_bridge' in device.description


WITH_FAKE = """
import sys
from polygen import hw
from polygen.hw import npu
assert 'npu_bridge' not in sys.modules and 'tensorflow' not in sys.modules
npu.tensorflow_version = lambda: '1.15.0'
device = hw.choose_device('npu')
import tensorflow.compat.v1 as tf
with tf.Graph().as_default():
  doubled = tf.constant([1., 2.]) * 2.
  with tf.Session(config=hw.session_config(device, hw.parse_precision('mix', device))) as session:
    print(device.description, session.run(doubled).tolist())
"""


def test_the_fake_in_a_process_of_its_own():
  printed = run_python('-c', WITH_FAKE, search_path=fake_adapter.search_path('1.15.0'))
  assert 'Device: npu' in printed and 'npu_bridge' in printed and '[2.0, 4.0]' in printed


# The commands.

def command_error(capsys, prog, main, flags):
  """What a command prints on standard error before it exits with code 2."""
  with pytest.raises(SystemExit) as caught:
    cli.run_command(prog, lambda: main(flags))
  assert caught.value.code == 2
  shown = capsys.readouterr()
  assert shown.err.startswith('{}: error: device npu: '.format(prog))
  assert shown.err.count('\n') == 1 and shown.err.endswith('\n')
  return shown.err


@pytest.mark.parametrize('version, words', [
    ('1.15.0', 'npu_bridge is missing'), ('2.6.5', 'npu_device is missing'),
    ('2.21.0', 'needs TensorFlow 1.15.0 or 2.6.5')])
def test_train_without_an_adapter_writes_nothing(capsys, tiny_meshes, tmp_path, version, words):
  flags = tiny.train_flags(tiny_meshes, tmp_path / 'run', '--device', 'npu')
  with fake_adapter.tensorflow(version):
    assert words in command_error(capsys, 'polygen.train', train.main, flags)
  assert list(tmp_path.iterdir()) == []


def test_sample_without_an_adapter_writes_nothing(capsys, tiny_run, tmp_path):
  before = tiny.files(tiny_run)
  assert before
  for flags in ([], ['--out', str(tmp_path / 'samples')]):
    with fake_adapter.tensorflow('1.15.0'):
      assert 'npu_bridge is missing' in command_error(
          capsys, 'polygen.sample', sample.main,
          ['--run_path', tiny_run, '--device', 'npu'] + flags)
    assert tiny.files(tiny_run) == before and list(tmp_path.iterdir()) == []
    assert sorted(os.listdir(tiny_run)) == sorted({name.split('/')[0] for name in before})


def test_train_as_a_program_without_an_adapter(tiny_meshes, tmp_path):
  """On the installed TensorFlow, whichever it is."""
  done = subprocess.run(
      [sys.executable, '-m', 'polygen.train', '--device', 'npu', '--data_path', tiny_meshes,
       '--output_path', str(tmp_path / 'run')], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      universal_newlines=True, cwd=str(fake_adapter.TESTS.parent))
  assert done.returncode == 2 and list(tmp_path.iterdir()) == []
  line = done.stderr.splitlines()[-1]
  assert line.startswith('polygen.train: error: device npu: ')
  assert ('npu_bridge' if tf.__version__ == '1.15.0' else
          'npu_device' if tf.__version__ == '2.6.5' else 'Ascend needs') in line
