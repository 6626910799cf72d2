"""Training and sampling through the (fake) adapter of an Ascend NPU."""
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fake_adapter
import fake_ascend
import tiny
from polygen import checkpoint, cli, hw, sample, train


def npu_train(meshes, path, *flags):
  return train.main(tiny.train_flags(meshes, path, '--device', 'npu', *flags))


def contents(path):
  """{name: array} of the last checkpoint of a run."""
  reader = tf.train.load_checkpoint(checkpoint.RunFolder(str(path)).latest_checkpoint())
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.fixture(scope='module')
def npu_run(tiny_meshes, tmp_path_factory):
  """(folder, result) of 4 steps through the adapter, 2 in each call."""
  path = tmp_path_factory.mktemp('npu') / 'run'
  with fake_adapter.installed():
    result = npu_train(tiny_meshes, path, '--npu_option', 'iterations_per_loop=2', '--npu_option',
                       'enable_data_pre_proc=true', '--num_samples', '1')
  return path, result


def test_a_run_through_the_adapter(npu_run):
  path, result = npu_run
  assert result.step == 4 and np.isfinite(result.evaluation.losses).all()
  # The fake does one step per call, so 2 calls of "2 steps" count 2.
  found = contents(path)
  assert found['global_step'] == 2 and result.skipped_updates == 0
  stored = checkpoint.RunFolder(str(path)).read_config()
  assert stored.npu_options == ('iterations_per_loop=2', 'enable_data_pre_proc=true')
  assert os.listdir(os.path.join(str(path), 'samples', 'step_000004'))


def test_checkpoints_have_the_names_of_other_devices(npu_run, tiny_run):
  shapes = [{name: (value.shape, value.dtype) for name, value in contents(path).items()}
            for path in (npu_run[0], tiny_run)]
  assert len(shapes[0]) > 200 and shapes[0] == shapes[1]


@pytest.mark.parametrize('version', fake_adapter.VERSIONS)
def test_an_overflow_that_the_device_reports_leaves_the_weights_alone(
    tiny_meshes, tmp_path, version):
  """The gradients themselves are finite: the status is the device's."""
  def overflow(gradients):
    assert len(gradients) > 60
    return tf.constant(False)

  with fake_adapter.installed(version), fake_ascend.float_status(overflow):
    result = npu_train(tiny_meshes, tmp_path / 'run', '--training_steps', '2', '--num_samples', '0')
  assert result.skipped_updates == 2
  found = contents(tmp_path / 'run')
  slots = [value for name, value in found.items() if name.endswith(('/Adam', '/Adam_1'))]
  assert len(slots) > 60 and not any(value.any() for value in slots)
  assert found['global_step'] == 2
  assert found['loss_scale/scale'] == 2 ** 15 / 4


def test_a_run_of_another_device_is_sampled_with_equal_tokens(tiny_run, tmp_path, capsys):
  meshes = {}
  for device in ('npu', 'cpu'):
    with fake_adapter.installed():
      sample.main(['--run_path', tiny_run, '--num_samples', '3', '--seed', '5', '--device', device,
                   '--out', str(tmp_path / device), '--top_p', '1'])
    assert 'Device: ' + device in capsys.readouterr().out
    meshes[device] = {name: content for name, content in tiny.files(tmp_path / device).items()
                      if not name.endswith('.png')}
  assert len(meshes['npu']) == 4 and meshes['npu'] == meshes['cpu']


def test_steps_that_do_not_fill_a_loop_are_refused_at_once(tiny_meshes, tmp_path):
  with fake_adapter.installed(), pytest.raises(cli.CommandError, match='iterations_per_loop 3'):
    npu_train(tiny_meshes, tmp_path / 'run', '--npu_option', 'iterations_per_loop=3',
              '--npu_option', 'enable_data_pre_proc=true')
  assert not (tmp_path / 'run').exists()


def test_force_fp32_needs_no_loss_scale():
  with fake_adapter.installed():
    machine = hw.choose_machine('npu', 'force_fp32')
    optimizer = object()
    assert machine.scaled(optimizer, None) is optimizer and machine.static_shapes
