"""Laws of polygen.hw: devices, precision, session configuration."""
import os
import platform

import pytest
import tensorflow.compat.v1 as tf

from checkout import run_python
from polygen import hw
from polygen.hw import devices
from polygen.hw.devices import Device
from polygen.hw.npu_modes import PRECISION_MODES, PRECISION_MODES_V2

CPU = Device('cpu', 'test')
GPU = Device('gpu', 'test')
NPU = Device('npu', 'test')
LINUX_WITH_GLIBC = platform.libc_ver()[0] == 'glibc' and os.path.exists('/proc/self/status')
LEGAL_MODES = ('mix', 'default', '', 'float32', 'float16', 'bfloat16')


@pytest.mark.parametrize('num_gpus, requested, expected', [
    (0, 'auto', 'cpu'), (0, 'cpu', 'cpu'),
    (2, 'auto', 'gpu'), (2, 'gpu', 'gpu'), (2, 'cpu', 'cpu')])
def test_choose_device(monkeypatch, num_gpus, requested, expected):
  monkeypatch.setattr(devices, 'count_npus', lambda: 0)
  monkeypatch.setattr(devices, 'count_gpus', lambda: num_gpus)
  device = hw.choose_device(requested)
  assert device.name == expected
  assert expected in device.description and device.reason in device.description
  assert '\n' not in device.description


def test_cpu_never_looks_for_gpus(monkeypatch):
  def fail():
    raise AssertionError('looked for GPUs')
  monkeypatch.setattr(devices, 'count_gpus', fail)
  assert hw.choose_device('cpu').name == 'cpu'


def test_gpu_without_gpu_is_an_error(monkeypatch):
  monkeypatch.setattr(devices, 'count_gpus', lambda: 0)
  with pytest.raises(ValueError, match='no GPU') as caught:
    hw.choose_device('gpu')
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['', 'GPU', 'tpu', None])
def test_unknown_device_lists_the_legal_ones(name):
  with pytest.raises(ValueError) as caught:
    hw.choose_device(name)
  assert all(choice in str(caught.value) for choice in hw.DEVICE_CHOICES)


DETECTION_LEAVES_NO_TRACE = """
import os
import tensorflow.compat.v1 as tf
from polygen import hw
eager, environment = tf.executing_eagerly(), dict(os.environ)
device = hw.choose_device('auto')
hw.session_config(device, hw.parse_precision('mix', device))
assert tf.executing_eagerly() == eager and dict(os.environ) == environment
assert not tf.get_default_graph().get_operations()
# TensorFlow refuses this once devices are initialised:
tf.config.threading.set_inter_op_parallelism_threads(3)
assert tf.config.threading.get_inter_op_parallelism_threads() == 3
print('no trace')
"""


def test_detection_initialises_nothing():
  assert 'no trace' in run_python('-c', DETECTION_LEAVES_NO_TRACE)


@pytest.mark.parametrize('device, mode, name', [
    (CPU, 'mix', 'float32'), (GPU, 'mix', 'float16'), (NPU, 'mix', 'allow_mix_precision'),
    (CPU, 'default', 'float32'), (GPU, 'default', 'float32'), (NPU, 'default', 'default'),
    (CPU, '', 'float32'), (GPU, '', 'float32'), (NPU, '', 'default'),
    (CPU, 'float32', 'float32'), (GPU, 'float32', 'float32'), (NPU, 'float32', 'force_fp32'),
    (CPU, 'float16', 'float16'), (GPU, 'float16', 'float16'), (NPU, 'float16', 'float16'),
    (CPU, 'bfloat16', 'bfloat16'), (GPU, 'bfloat16', 'bfloat16'), (NPU, 'bfloat16', 'bfloat16')])
def test_every_precision_mode_says_what_it_is(device, mode, name):
  precision = hw.parse_precision(mode, device)
  assert precision.name == name
  assert name in precision.description and precision.reason in precision.description
  assert '\n' not in precision.description and '{' not in precision.description


@pytest.mark.parametrize('device', [CPU, GPU, NPU])
def test_default_precision_is_legal(device):
  assert hw.parse_precision(hw.DEFAULT_PRECISION, device)


@pytest.mark.parametrize('device, mode', [
    (device, mode) for device in (CPU, GPU, NPU) for mode in ('MIX', 'float64', ' ', None)
] + [(CPU, 'fp16'), (GPU, 'allow_mix_precision')])
def test_unknown_precision_lists_the_legal_ones(device, mode):
  with pytest.raises(ValueError) as caught:
    hw.parse_precision(mode, device)
  legal = LEGAL_MODES + (PRECISION_MODES + PRECISION_MODES_V2 if device == NPU else ())
  assert all(spelling in str(caught.value) for spelling in legal)
  assert "''" in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('cores, threads', [(1, 1), (2, 1), (8, 4)])
def test_a_session_on_a_cpu_divides_its_cores_where_it_is_told_to(cores, threads, monkeypatch):
  monkeypatch.setattr(hw.session, 'num_cores', lambda: cores)
  machine = hw.choose_machine('cpu')
  owner, guest = machine.session_config(2), machine.session_config()
  assert (owner.inter_op_parallelism_threads, owner.intra_op_parallelism_threads) == (2, threads)
  assert (guest.inter_op_parallelism_threads, guest.intra_op_parallelism_threads) == (0, 0)
  for config in (owner, guest):
    assert config.graph_options.rewrite_options.disable_meta_optimizer
    assert config.graph_options.place_pruned_graph
  gpu = hw.Device('gpu', 'a test')
  precision = hw.parse_precision('float32', gpu)
  assert hw.session_config(gpu, precision, (), 2) == hw.session_config(gpu, precision)


def test_session_config_of_each_device():
  cpu, gpu = (hw.session_config(device, hw.parse_precision('float32', device))
              for device in (CPU, GPU))
  assert cpu.allow_soft_placement and gpu.allow_soft_placement
  assert dict(cpu.device_count) == {'GPU': 0} and 'GPU' not in gpu.device_count
  assert gpu.gpu_options.allow_growth and not cpu.gpu_options.allow_growth
  for config in (cpu, gpu):
    options = config.graph_options.rewrite_options
    assert options.auto_mixed_precision == options.OFF


def test_a_session_runs_on_the_chosen_device():
  device = hw.choose_device('cpu')
  with tf.Graph().as_default():
    doubled = tf.constant([1., 2.]) * 2.
    config = hw.session_config(device, hw.parse_precision('mix', device))
    with tf.Session(config=config) as session:
      assert not [d for d in session.list_devices() if d.device_type == 'GPU']
      assert session.run(doubled).tolist() == [2., 4.]


def test_a_new_graph_looks_up_no_signatures():
  run_python('-c', '''
import tensorflow.compat.v1 as tf
from polygen import hw
ours, theirs = hw.new_graph(), tf.Graph()
assert not hasattr(ours.create_op, '__wrapped__')
assert hasattr(theirs.create_op, '__wrapped__') or tf.version.VERSION >= '2'
with ours.as_default(), tf.Session() as session:
  total = tf.constant(2.) + tf.constant(3.)
  assert session.run(total) == 5
assert total.graph is ours and len(ours.get_operations()) == 3
''')


FREED_MEMORY = '''
import numpy as np
from polygen import hw

def resident():
  return int(open('/proc/self/status').read().split('VmRSS:')[1].split()[0]) // 1024

blocks = [np.ones(12000) for _ in range(1000)]   # too small for pages of their own
del blocks[:-1]                                  # the last one keeps the heap where it is
before = resident()
hw.release_memory()
print(before - resident())
'''


@pytest.mark.skipif(not LINUX_WITH_GLIBC, reason='glibc on Linux is missing')
def test_freed_memory_goes_back_to_the_system():
  assert int(run_python('-c', FREED_MEMORY)) > 60


FAULTS = '''
import resource
import numpy as np
from polygen import hw

def step():
  arrays = [np.ones(2 ** 17) for _ in range(64)]   # 64 MB

def faults():
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

{}
step()
before = faults()
for _ in range(10):
  step()
print(faults() - before)
'''


@pytest.mark.skipif(not LINUX_WITH_GLIBC, reason='glibc on Linux is missing')
def test_steps_find_the_memory_of_the_last_one():
  fresh, kept = [int(run_python('-c', FAULTS.format(line))) for line in ('', 'hw.set_up_heap()')]
  assert fresh > 1000
  assert kept < 100
