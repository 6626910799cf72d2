"""Training and sampling through the (fake) adapter of an Ascend NPU."""
import re
import shutil

import numpy as np
import pytest

import fake_adapter
import tiny
from polygen import checkpoint, cli, hw, sample, train


def npu_train(meshes, path, *flags):
  return train.main(tiny.train_flags(meshes, path, '--device', 'npu', *flags))


@pytest.fixture(scope='module')
def npu_run(tiny_meshes, tmp_path_factory):
  """(folder, result) of 4 steps through the adapter, 2 in each call."""
  path = tmp_path_factory.mktemp('npu') / 'run'
  with fake_adapter.installed():
    result = npu_train(tiny_meshes, path, '--npu_option', 'iterations_per_loop=2', '--npu_option',
                       'enable_data_pre_proc=true', '--num_samples', '0')
  return path, result


def test_a_run_through_the_adapter(npu_run):
  path, result = npu_run
  assert result.step == 4 and np.isfinite(list(result.evaluation.losses.values())).all()
  # The fake does one step per call, of which the global step tells.
  assert tiny.last_checkpoint(path)['global_step'] == 4 and result.skipped_updates == 0
  stored = checkpoint.RunFolder(str(path)).read_config()
  assert stored.npu_options == ('iterations_per_loop=2', 'enable_data_pre_proc=true')


def test_checkpoints_have_the_names_of_other_devices(npu_run, tiny_run):
  shapes = [{name: (value.shape, value.dtype)
             for name, value in tiny.last_checkpoint(path).items()}
            for path in (npu_run[0], tiny_run)]
  assert len(shapes[0]) > 200 and shapes[0] == shapes[1]


def test_a_run_of_another_device_is_sampled_with_equal_tokens(tiny_run, tmp_path, capsys):
  drawn, files = {}, {}
  for device in ('npu', 'cpu'):
    with fake_adapter.installed():
      drawn[device] = sample.main([
          '--run_path', tiny_run, '--num_samples', '3', '--seed', '5', '--device', device,
          '--out', str(tmp_path / device), '--top_p', '1']).pictured
    assert 'Device: ' + device in capsys.readouterr().out
    files[device] = {
        name: re.sub(r'-?\d+\.\d+', lambda match: '{:.5f}'.format(float(match.group())),
                     content.decode())
        for name, content in tiny.files(tmp_path / device).items() if not name.endswith('.png')}
  assert len(files['npu']) == 4 and files['npu'] == files['cpu']
  assert len(drawn['npu']) == len(drawn['cpu']) == 3
  for npu, cpu in zip(drawn['npu'], drawn['cpu']):
    assert len(npu.vertices) and len(npu.face_tokens)
    np.testing.assert_array_equal(npu.face_tokens, cpu.face_tokens)
    # Coordinates are rounded in the order that the graph optimiser of the device has chosen.
    np.testing.assert_allclose(npu.vertices, cpu.vertices, atol=1e-6)


LOOPS_OF_3 = ['--npu_option', 'iterations_per_loop=3', '--npu_option', 'enable_data_pre_proc=true']


def test_steps_that_do_not_fill_a_loop_are_refused_before_anything_is_written(
    tiny_meshes, tiny_run, tmp_path):
  with fake_adapter.installed():
    with pytest.raises(cli.CommandError, match='4 steps are left after step 0, no multiple'):
      npu_train(tiny_meshes, tmp_path / 'run', *LOOPS_OF_3)
    assert not (tmp_path / 'run').exists()
    shutil.copytree(tiny_run, str(tmp_path / 'copy'))
    before = tiny.files(tmp_path / 'copy')
    with pytest.raises(cli.CommandError, match='4 steps are left after step 60, no multiple'):
      npu_train(tiny_meshes, tmp_path / 'copy', '--training_steps', '64', *LOOPS_OF_3)
    assert tiny.files(tmp_path / 'copy') == before
    assert npu_train(tiny_meshes, tmp_path / 'copy', '--training_steps', '60', *LOOPS_OF_3) is None


@pytest.mark.parametrize('option', ['precision_mode=force_fp16', 'precision_mode_v2=fp16'])
@pytest.mark.parametrize('device', ['cpu', 'npu'])
def test_the_precision_has_one_flag(device, option):
  with fake_adapter.installed():
    with pytest.raises(ValueError, match='--precision_mode {}'.format(option.split('=')[1])):
      hw.choose_machine(device, 'default', [option])


def test_several_npus_are_refused(monkeypatch):
  monkeypatch.setenv('RANK_SIZE', '8')
  with fake_adapter.installed():
    with pytest.raises(ValueError, match='RANK_SIZE is 8'):
      hw.choose_machine('npu')
  assert hw.choose_machine('cpu').device.name == 'cpu'


def test_force_fp32_needs_no_loss_scale():
  with fake_adapter.installed():
    machine = hw.choose_machine('npu', 'force_fp32')
    optimizer = object()
    assert machine.scaled(optimizer, None) is optimizer and machine.static_shapes
