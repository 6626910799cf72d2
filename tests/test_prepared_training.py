"""Training from a prepared folder, and of one model alone."""
import contextlib
import io
import json
import os
import time

import numpy as np
import pytest

import fake_adapter
import tiny
from benchmarks import objects
from polygen import checkpoint, cli, data, sample, train
from polygen.training import continuing, evaluation, validation_curve

SIZES = ['--hidden_size', '16', '--fc_size', '32', '--num_layers', '1', '--num_heads', '2']
BITS = 5


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """A prepared folder of 24 small meshes of two classes; not to be changed."""
  folder = tmp_path_factory.mktemp('prepared')
  for number in range(24):
    name = ('house', 'stairs')[number % 2]
    vertices, faces = objects.CLASSES[name](np.random.default_rng([1, number]))
    (folder / 'in' / name).mkdir(parents=True, exist_ok=True)
    data.write_obj(vertices, faces, str(folder / 'in' / name / '{}.obj'.format(number)))
  data.prepare(str(folder / 'in'), str(folder / 'out'), data.PrepareSettings(
      max_vertices=40, quantization_bits=BITS, split=(0.7, 0.3, 0.), seed=2))
  sets = data.open_prepared(str(folder / 'out'))
  assert len(sets.train.meshes) > 8 and len(sets.validation.meshes) > 2
  return str(folder / 'out')


def run(*arguments):
  """(TrainingResult, what was printed) of the command."""
  with contextlib.redirect_stdout(io.StringIO()) as printed:
    result = train.main([str(argument) for argument in arguments])
  return result, printed.getvalue()


@pytest.fixture(scope='module')
def both(prepared, tmp_path_factory):
  """(run folder, TrainingResult, what was printed) of 6 steps."""
  path = tmp_path_factory.mktemp('prepared') / 'run'
  result, printed = run(
      '--data_path', prepared, '--output_path', path, '--training_steps', 6, '--eval_steps', 2,
      '--num_samples', 0, '--tokens_per_batch', 600, '--random_shift', '--warmup_steps', 3,
      '--gradient_clip_norm', 1, '--dropout_rate', 0.1, '--learning_rate', 0.01, '--accumulate', 2,
      *SIZES)
  return str(path), result, printed


def test_a_prepared_folder_sets_bits_and_limits(prepared, both):
  config = checkpoint.RunFolder(both[0]).read_config()
  sets = data.open_prepared(prepared)
  lengths = np.concatenate([sets.train.lengths, sets.validation.lengths])
  assert config.vertex_model.quantization_bits == config.face_model.quantization_bits == BITS
  assert config.vertex_model.max_num_input_verts >= lengths[:, 0].max()
  assert config.face_model.max_seq_length >= lengths[:, 1].max()
  assert config.classes == ('house', 'stairs') and config.data_digest == sets.train.digest


def test_the_validation_loss_is_shown_kept_and_falls(prepared, both):
  path, result, printed = both
  with open(os.path.join(path, 'validation.jsonl'), encoding='utf-8') as file:
    curve = [json.loads(line) for line in file]
  assert [point['step'] for point in curve] == [2, 4, 6]
  values = [point['bits_per_vertex']['vertices'] for point in curve]
  assert values[0] > values[1] > values[2] > 0
  assert 'Step 4: ' in printed and 'validation meshes, bits per vertex: ' in printed
  count = len(data.open_prepared(prepared).validation.meshes)
  assert result.evaluation.num_meshes == count and result.is_validation
  assert 'evaluated on {} validation meshes'.format(count) in printed


def test_a_continued_curve_has_every_step_once(tmp_path):
  path, lines = str(tmp_path / 'curve.jsonl'), []

  class Writer:
    def write(self, step, scalars):
      assert len(scalars) == 2

  def curve(start_step):
    return validation_curve.ValidationCurve(path, start_step, time.time(), Writer(), lines.append)

  found = evaluation.Evaluation({'vertex': 1., 'face': 2.}, 3, 4)
  first = curve(0)
  assert validation_curve.read_points(path) == [] and first.last is None
  first._start_time -= 100
  for step in (1, 2, 3):
    first.add(step, found)
  with open(path, 'a') as file:
    file.write('{"step": 4, "sec')
  second = curve(2)
  assert [point['step'] for point in validation_curve.read_points(path)] == [1, 2]
  second.add(3, found)
  points = validation_curve.read_points(path)
  assert [point['step'] for point in points] == [1, 2, 3] and len(lines) == 4
  assert points[2]['seconds'] >= points[1]['seconds'] >= 100 and second.last is found


@pytest.mark.parametrize('flags, expected', [
    ([], 8192), (['--batch_size', '7'], 0), (['--tokens_per_batch', '3000'], 3000),
    (['--config', {'training': {'gradient_clip_norm': 1.}}], 8192),
    (['--config', {'training': {'tokens_per_batch': 4000}}], 4000),
    (['--config', {'training': {'tokens_per_batch': 4000}}, '--batch_size', '7'], 0)])
def test_who_decides_the_size_of_batches(prepared, tmp_path, monkeypatch, flags, expected):
  found = []

  def stop(run_config, *unused):
    found.append(run_config.training.tokens_per_batch)
    raise ValueError('far enough')

  monkeypatch.setattr(continuing, 'open_run', stop)
  path = tmp_path / 'config.json'
  for number, flag in enumerate(flags):
    if isinstance(flag, dict):
      path.write_text(json.dumps(flag))
      flags = flags[:number] + [str(path)] + flags[number + 1:]
  with pytest.raises(cli.CommandError, match='far enough'):
    run('--data_path', prepared, '--output_path', tmp_path / 'run', *flags)
  assert found == [expected]


def test_an_npu_takes_batches_of_meshes(prepared, tmp_path, capsys):
  with fake_adapter.installed():
    line = tiny.error_of(train.main, [
        '--data_path', prepared, '--output_path', tmp_path / 'run', '--device', 'npu',
        '--tokens_per_batch', 3000], capsys)
  assert '--batch_size' in line and not (tmp_path / 'run').exists()


def test_models_trained_alone_draw_together(prepared, tmp_path, capsys):
  flags = ['--data_path', prepared, '--training_steps', 2, *SIZES]
  for model, absent in (('vertex', 'faces'), ('face', 'vertices')):
    _, printed = run(*flags, '--model', model, '--output_path', tmp_path / model)
    assert 'Training the {} model on'.format(model) in printed
    assert 'Loss ({})'.format(absent) not in printed and 'Samples' not in printed
    names = [name for name in tiny.last_checkpoint(tmp_path / model)
             if name.startswith(('vertex_model/', 'face_model/'))]
    assert names and all(name.startswith(model + '_model/') for name in names)
  drawn = sample.main(['--run_path', str(tmp_path / 'vertex'), '--face_run_path',
                       str(tmp_path / 'face'), '--num_samples', '2', '--seed', '1'])
  assert drawn.num_completed == 2

  def error(*arguments):
    return tiny.error_of(sample.main, arguments, capsys)

  assert '--face_run_path' in error('--run_path', tmp_path / 'vertex')
  assert '--run_path' in error('--run_path', tmp_path / 'face')
  assert 'vertex model alone' in error(
      '--run_path', tmp_path / 'vertex', '--face_run_path', tmp_path / 'vertex')


def test_what_training_refuses(prepared, tmp_path, capsys):
  def error(*flags):
    return tiny.error_of(
        train.main, ['--data_path', prepared, '--output_path', tmp_path / 'run', *flags], capsys)

  assert 'prepared with quantization_bits 5, not 6' in error('--quantization_bits', 6)
  assert 'raise it with --max_num_vertices' in error('--max_num_vertices', 9)
  assert '--tokens_per_batch' in error('--tokens_per_batch', 50)
  assert 'model must be one of both, vertex, face' in error('--model', 'faces')
  assert not (tmp_path / 'run').exists()
