"""The main job at full size: `python -m pytest -m slow -s tests/test_toy_run.py` prints figures."""
import pytest

import toy_report
from polygen import train

# By then the losses have reached what the choice among four meshes costs, 4 ln 4.
UNCONDITIONAL_STEPS = 2000


def toy_run(path, *flags):
  """Trains with the default settings but for the flags: TrainingResult."""
  return train.main(['--output_path', str(path), '--sample_steps', '5000'] + list(flags))


@pytest.mark.slow
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_toy_run_beats_the_published_losses(tmp_path, seed):
  result = toy_run(tmp_path, '--seed', str(seed))
  found = toy_report.report(str(tmp_path))
  losses = result.evaluation.losses
  print('\nseed', seed, losses, found)
  assert losses.vertices <= toy_report.PUBLISHED['loss/vertices']
  assert losses.faces <= toy_report.PUBLISHED['loss/faces']
  assert found.first_step is not None
  assert found.num_samples == 64
  assert found.num_exact >= 0.95 * found.num_samples


@pytest.mark.slow
def test_an_unconditional_run_draws_the_four_meshes(tmp_path):
  toy_run(tmp_path, '--condition', 'none', '--training_steps', str(UNCONDITIONAL_STEPS))
  found = toy_report.report(str(tmp_path))
  print('\nunconditional, after {} steps'.format(UNCONDITIONAL_STEPS), found)
  assert found.num_samples == 64
  assert found.num_exact >= 0.95 * found.num_samples
