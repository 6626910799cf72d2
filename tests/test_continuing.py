"""A run continues on the meshes it was trained on, and on no others."""
import dataclasses

import numpy as np
import pytest

from polygen import config, data
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
  digests = [each.digest for each in (whole, moved, turned, fewer, relabelled)]
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
