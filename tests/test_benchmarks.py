"""The benchmarks run, and say what they measured; the figures themselves are not tested."""
import dataclasses
import json

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import decoding, memory, meshes, rows, unit
from polygen import config, data


@pytest.fixture(autouse=True)
def quick_unit(monkeypatch):
  """A unit that takes no time: what is tested here is not a figure."""
  monkeypatch.setattr(unit, 'SIZE', 16)
  monkeypatch.setattr(unit, 'RUNS', 1)
  monkeypatch.setattr(decoding, 'MASK_REPEATS', 3)
  monkeypatch.setattr(meshes, 'REPEATS', 3)


def test_rows_have_names_of_their_own():
  assert len({row.name for row in rows.ROWS}) == len(rows.ROWS) > 5
  assert all(row.suffix in ('u', 's', 'MB', '%', 'times') for row in rows.ROWS)


def test_one_row_is_measured_printed_and_written(tmp_path, capsys):
  path = tmp_path / 'figures.json'
  benchmarks.main(['--only', 'file-to-tokens', '--json', str(path)])
  found = json.loads(path.read_text())
  [entry] = found['rows']
  assert entry['name'] == 'file-to-tokens' and entry['value'] > 0 and entry['unit_seconds'] > 0
  assert entry['value'] == pytest.approx(entry['raw'] / entry['unit_seconds'])
  assert entry['details'] == {'vertices': 173, 'vertex_tokens': 520, 'face_tokens': 1368}
  assert found['machine']['cores'] >= 1
  last = capsys.readouterr().out.splitlines()[-1]
  assert last.startswith('| file to tokens') and '3.9 u | <= 0.35 u |' in last


def test_decoding_is_measured_at_full_length():
  found = decoding.vertex_tokens(4, 6, compiled=False)
  assert found.value > 0 and found.details['batches'] >= 1


def test_masked_calls_are_compared_with_plain_ones():
  stack = dataclasses.replace(config.TOY_TRANSFORMER, num_layers=1)
  found = decoding.face_masks((stack, stack), 2, 9, 10, compiled=False)
  assert found.value > 0 and found.details['times_plain'] == pytest.approx(
      found.value / found.details['plain_seconds'], rel=1e-2)


def test_the_mesh_of_the_benchmark_is_closed():
  vertices, faces = meshes.sphere(meshes.RINGS, meshes.CORNERS)
  mesh = data.process_mesh(vertices, faces)
  assert len(mesh['vertices']) == 173
  edges = [edge for face in data.unflatten_faces(mesh['faces'])
           for edge in zip(face, face[1:] + face[:1])]
  assert len(edges) == len(set(edges)) == 3 * 342
  assert {edge[::-1] for edge in edges} == set(edges)


def test_recomputation_is_compared_with_keeping(monkeypatch):
  for name, value in {'LAYERS': 1, 'HIDDEN': 8, 'TOKENS': 40, 'STEPS': 1}.items():
    monkeypatch.setattr(memory, name, value)
  monkeypatch.setattr(unit, 'in_process', lambda call: eval(call))
  monkeypatch.setattr(memory, '_growth', lambda found: found['peak_mb'])
  for measured in (memory.recompute_memory(), memory.recompute_time()):
    assert measured.value > 0
  memory._both.cache_clear()


def test_noise_of_the_published_size_is_a_possible_batch():
  shape = data.BatchShape(1, memory.VERTICES, memory.FACE_TOKENS)
  rng = np.random.default_rng(0)
  for part, keys in data.batch_spec(shape).items():
    for key, (dtype, size) in keys.items():
      values = memory._noise(key, dtype, size, rng)
      assert values.dtype == dtype and values.shape == tuple(size)
      assert values.any() != (key == 'class_label')
