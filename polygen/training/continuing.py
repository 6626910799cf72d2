"""Where a run starts: afresh, or after the last checkpoint of its folder."""
import os
import shutil
from typing import NamedTuple, Optional

from .. import checkpoint
from .. import config as config_lib


class OpenRun(NamedTuple):
  """A run folder that is ready to be trained in.

  Attributes:
    folder: checkpoint.RunFolder.
    config: RunConfig.
    prefix: of the checkpoint to start from, or None.
    start_step: steps done before.
  """
  folder: checkpoint.RunFolder
  config: config_lib.RunConfig
  prefix: Optional[str]
  start_step: int

  @property
  def is_finished(self):
    """Whether all steps were done before."""
    return self.start_step >= self.config.training.training_steps


def open_run(run_config, path, steps_per_run=1):
  """Checks that a folder can hold a run, and writes its config.json.

  Args:
    run_config: RunConfig, with its classes.
    path: the folder; made if missing.
    steps_per_run: steps that one session.run does (hw.Machine).

  Raises:
    ValueError: the folder holds a run of other models, classes or seed, or the steps that are left
      do not fill whole session.runs.
    OSError: it cannot be written.
  """
  folder = checkpoint.RunFolder(path)
  prefix = folder.latest_checkpoint()
  start_step = checkpoint.checkpoint_step(prefix) if prefix else 0
  run = OpenRun(folder, run_config, prefix, start_step)
  if prefix:
    _check_same_run(folder.read_config(), run_config, path)
  if not run.is_finished:
    left = run_config.training.training_steps - start_step
    if left % steps_per_run:
      raise ValueError('{} steps are left after step {}, no multiple of iterations_per_loop {}: '
                       'choose other --training_steps, or another iterations_per_loop'.format(
                           left, start_step, steps_per_run))
    os.makedirs(path, exist_ok=True)
    _write_config(folder, run_config)
  return run


def _check_same_run(stored, wanted, path):
  """Steps, rhythm and learning rate may change from one session of a run to the next."""
  changes = (config_lib.differences(stored.vertex_model, wanted.vertex_model, 'vertex_model.')
             + config_lib.differences(stored.face_model, wanted.face_model, 'face_model.'))
  for name in ('model', 'seed', 'batch_size', 'tokens_per_batch', 'random_shift'):
    before, after = getattr(stored.training, name), getattr(wanted.training, name)
    if before != after:
      changes.append('training.{}: {} -> {}'.format(name, before, after))
  if stored.classes != wanted.classes:
    changes.append('classes: {} -> {}'.format(
        ', '.join(stored.classes) or 'none', ', '.join(wanted.classes) or 'none'))
  if stored.data_digest != wanted.data_digest:
    changes.append('other meshes')
  if changes:
    raise ValueError('{} holds a run with other settings ({}); choose another --output_path, or '
                     'the same settings to continue it'.format(path, '; '.join(changes)))


def _write_config(folder, run_config):
  """An older config of the run stays, under another name; there is a whole one at any time."""
  exists = os.path.exists(folder.config_path)
  if exists and folder.read_config() == run_config:
    return
  new_path = folder.config_path + '.new'
  config_lib.write_json(run_config, new_path)
  if exists:
    root, extension = os.path.splitext(folder.config_path)
    shutil.copyfile(folder.config_path, checkpoint.unused_path(root + '_before' + extension))
  os.replace(new_path, folder.config_path)
