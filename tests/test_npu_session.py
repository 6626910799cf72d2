"""The session configuration of an NPU, field by field, and its effect off-device."""
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from google.protobuf import text_format

import fake_adapter
from polygen import hw
from polygen.hw import npu
from polygen.hw.devices import Device

CPU = Device('cpu', 'test')
GPU = Device('gpu', 'test')
NPU = Device('npu', 'test')

# memory_optimization is a number in the contract: 2, whose name in this field is MANUAL.
MIXED_CONFIG = """
allow_soft_placement: true
graph_options {
  optimizer_options { global_jit_level: OFF }
  rewrite_options {
    remapping: OFF
    memory_optimization: 2
    custom_optimizers {
      name: "NpuOptimizer"
      parameter_map { key: "use_off_line" value { b: true } }
      parameter_map { key: "precision_mode" value { s: "allow_mix_precision" } }
    }
  }
}
"""
DEFAULT_CONFIG = MIXED_CONFIG.replace(
    '      parameter_map { key: "precision_mode" value { s: "allow_mix_precision" } }\n', '')
OPTIONS_CONFIG = DEFAULT_CONFIG.replace('value { b: true } }\n', """value { b: true } }
      parameter_map { key: "precision_mode_v2" value { s: "mixed_bfloat16" } }
      parameter_map { key: "iterations_per_loop" value { i: 100 } }
      parameter_map { key: "enable_data_pre_proc" value { b: true } }
      parameter_map { key: "hcom_parallel" value { b: false } }
""")
OPTIONS = ('iterations_per_loop=100', 'enable_data_pre_proc=true', 'hcom_parallel=false')


def config_of(text):
  return text_format.Parse(text, tf.ConfigProto())


@pytest.mark.parametrize('mode, options, expected', [
    ('mix', (), MIXED_CONFIG), ('allow_mix_precision', (), MIXED_CONFIG),
    ('default', (), DEFAULT_CONFIG), ('', (), DEFAULT_CONFIG),
    ('mixed_bfloat16', OPTIONS, OPTIONS_CONFIG),
    ('default', OPTIONS + ('precision_mode_v2=mixed_bfloat16',), OPTIONS_CONFIG)])
def test_the_exact_config(mode, options, expected):
  assert MIXED_CONFIG != DEFAULT_CONFIG != OPTIONS_CONFIG
  precision = hw.parse_precision(mode, NPU)
  assert hw.npu_session_config(precision, options) == config_of(expected)
  for version in fake_adapter.VERSIONS:
    with fake_adapter.installed(version):
      config = hw.session_config(NPU, precision, options)
      assert config == config_of(expected)
      assert config.SerializeToString(deterministic=True) == (
          config_of(expected).SerializeToString(deterministic=True))


def test_every_mode_of_the_adapter_reaches_its_option():
  modes = npu_modes()
  assert len(modes) == 14
  for mode, names in modes:
    config = hw.npu_session_config(hw.parse_precision(mode, NPU))
    optimizer, = config.graph_options.rewrite_options.custom_optimizers
    found = {name: value.s for name, value in optimizer.parameter_map.items()
             if name.startswith('precision')}
    assert len(found) == 1 and set(found) <= set(names)
    assert list(found.values()) == [mode.encode()]


def npu_modes():
  """(mode, the options it is legal for) of every mode of both options."""
  from polygen.hw.npu_modes import PRECISION_MODES, PRECISION_MODES_V2
  return [(mode, [name for name, modes in (('precision_mode', PRECISION_MODES),
                                           ('precision_mode_v2', PRECISION_MODES_V2))
                  if mode in modes]) for mode in PRECISION_MODES + PRECISION_MODES_V2]


def test_configs_are_new_ones():
  precision = hw.parse_precision('mix', NPU)
  first, second = hw.npu_session_config(precision), hw.npu_session_config(precision)
  first.allow_soft_placement = False
  assert second.allow_soft_placement


@pytest.mark.parametrize('in_place', [True, False])
def test_an_adapter_that_changes_the_config_is_refused(in_place, monkeypatch):
  def changing(config_proto=None):
    config = config_proto if in_place else tf.ConfigProto.FromString(
        config_proto.SerializeToString())
    config.graph_options.rewrite_options.loop_optimization = 2
    return config
  adapter = npu.NpuAdapter('npu_other', changing, None, None)
  monkeypatch.setattr('polygen.hw.session.load_adapter', lambda: adapter)
  with pytest.raises(ValueError, match='npu_other changes') as caught:
    hw.session_config(NPU, hw.parse_precision('mix', NPU))
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('device', [CPU, GPU])
@pytest.mark.parametrize('mode', ['mix', 'default', 'float32', 'float16'])
def test_other_devices_check_the_options_and_ignore_them(device, mode):
  precision = hw.parse_precision(mode, device)
  plain = hw.session_config(device, precision)
  assert hw.session_config(device, precision, OPTIONS) == plain
  assert hw.session_config(device, precision, ('fusion_switch_file=missing.cfg',)) == plain
  assert not plain.graph_options.rewrite_options.custom_optimizers
  with pytest.raises(ValueError, match='no_such_option'):
    hw.session_config(device, precision, ('no_such_option=1',))


@pytest.mark.parametrize('device', [CPU, GPU])
@pytest.mark.parametrize('mode', ['mix', 'default', 'float32', 'float16', 'bfloat16'])
def test_the_graph_rewrite_is_on_where_the_precision_asks_for_it(device, mode):
  precision = hw.parse_precision(mode, device)
  options = hw.session_config(device, precision).graph_options.rewrite_options
  assert options.auto_mixed_precision == (options.ON if precision.graph_rewrite else options.OFF)


def test_the_graph_rewrite_of_a_gpu():
  precisions = [hw.parse_precision(mode, GPU) for mode in ('mix', 'float32')]
  assert [precision.graph_rewrite for precision in precisions] == [True, False]


def operations_run(config):
  """Types of the operations that a session runs for two layers, after all rewriting."""
  with tf.Graph().as_default():
    inputs = tf.placeholder(tf.float32, [4, 8])
    hidden = inputs
    for layer in range(2):
      kernel = tf.get_variable('kernel_{}'.format(layer), [8, 8], use_resource=True)
      bias = tf.get_variable('bias_{}'.format(layer), [8], use_resource=True)
      hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(hidden, kernel), bias))
    metadata = tf.RunMetadata()
    with tf.Session(config=config) as session:
      session.run(tf.global_variables_initializer())
      session.run(tf.identity(hidden), {inputs: np.ones([4, 8], np.float32)},
                  tf.RunOptions(output_partition_graphs=True), metadata)
  # Some CPUs have oneDNN's kernels of the same operations: _MklMatMul, _MklNativeFusedMatMul.
  return [re.sub('^_(Mkl(Native)?)?', '', node.op)
          for graph in metadata.partition_graphs for node in graph.node]


def test_nothing_is_fused_under_the_config_of_an_npu():
  config = hw.npu_session_config(hw.parse_precision('mix', NPU))
  operations = operations_run(config)
  assert operations.count('MatMul') == operations.count('Relu') == 2
  assert not [operation for operation in operations if 'Fused' in operation]


def test_without_it_layers_are_fused():
  """So the law above can fail, on a CPU too."""
  config = hw.npu_session_config(hw.parse_precision('mix', NPU))
  rewrite_options = config.graph_options.rewrite_options
  rewrite_options.remapping = rewrite_options.ON
  assert 'FusedMatMul' in operations_run(config)
