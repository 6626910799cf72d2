"""Which runs continue: on the meshes they were trained on; no crash takes their config."""
import dataclasses
import os
import shutil

import numpy as np
import pytest

from polygen import checkpoint, config, data
from polygen.training.continuing import open_run


def mesh_set():
  return data.load_mesh_set()


def with_mesh(whole, number, **changes):
  meshes = list(whole.meshes)
  meshes[number] = dict(meshes[number], **changes)
  return whole._replace(meshes=tuple(meshes))


def test_the_digest_tells_meshes_and_labels_apart():
  whole = mesh_set()
  moved = with_mesh(whole, 1, vertices=whole.meshes[1]['vertices'] + 1)
  turned = with_mesh(whole, 2, faces=np.roll(whole.meshes[2]['faces'], 1))
  fewer = whole._replace(meshes=whole.meshes[:3], labels=whole.labels[:3])
  relabelled = whole._replace(labels=whole.labels[::-1])
  digests = [data.folder.digest_of(each.meshes, each.labels)
             for each in (whole, moved, turned, fewer, relabelled)]
  assert whole.digest == digests[0]
  assert len(set(digests)) == 5 and all(digests)
  assert mesh_set().digest == whole.digest


def test_other_meshes_are_refused(tmp_path):
  run_config = dataclasses.replace(config.PRESETS['toy'], data_digest=mesh_set().digest)
  assert open_run(run_config, str(tmp_path)).start_step == 0
  (tmp_path / 'checkpoints').mkdir()
  (tmp_path / 'checkpoints' / 'model-3.index').write_bytes(b'')
  assert open_run(run_config, str(tmp_path)).start_step == 3
  other = dataclasses.replace(run_config, data_digest='0123')
  with pytest.raises(ValueError, match='other meshes.*--output_path'):
    open_run(other, str(tmp_path))


@pytest.mark.parametrize('module, function', [
    (config, 'write_json'), (shutil, 'copyfile'), (os, 'replace')])
def test_a_crash_while_a_run_is_extended_leaves_its_config(tmp_path, monkeypatch, module, function):
  folder, before = checkpoint.RunFolder(str(tmp_path)), config.PRESETS['toy']
  extended = config.replace_fields(before, {'training.training_steps': 9999})
  open_run(before, str(tmp_path))
  content = (tmp_path / 'config.json').read_bytes()
  work, calls = getattr(module, function), []

  def crash(*arguments):
    calls.append(arguments)
    if function == 'write_json':  # the disk is full halfway
      work(*arguments)
      with open(arguments[1], 'r+b') as file:
        file.truncate(10)
    raise OSError('crash')

  with monkeypatch.context() as patch:
    patch.setattr(module, function, crash)
    with pytest.raises(OSError, match='crash'):
      open_run(extended, str(tmp_path))
  assert len(calls) == 1 and (tmp_path / 'config.json').read_bytes() == content
  open_run(extended, str(tmp_path))
  assert folder.read_config() == extended
  assert content in [path.read_bytes() for path in tmp_path.glob('config_before*.json')]
  assert not list(tmp_path.glob('*.new'))
