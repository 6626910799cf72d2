"""Full-size checks of preparation and of training from it: python -m pytest -m slow -s -k real_data

They print their figures.
"""
import json
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest

import broken_meshes
import checkout
import test_prepare
import tiny
from benchmarks import feeding, learning, objects
from polygen import data

pytestmark = pytest.mark.slow

NUM_FILES = 2000


def test_2000_files_a_tenth_of_them_broken_killed_at_random_moments(tmp_path):
  folder = str(tmp_path / 'in')
  broken = broken_meshes.write_tree(folder, NUM_FILES)
  assert len(broken) == NUM_FILES // 10
  start = time.time()
  size = test_prepare.journal_size(folder, tmp_path / 'whole')
  data.prepare(folder, str(tmp_path / 'whole'), broken_meshes.settings())
  print('\n{} files on one core: {:.1f} s'.format(NUM_FILES, time.time() - start))
  test_prepare.check_report(test_prepare.report_of(tmp_path / 'whole'), broken, NUM_FILES)
  shares = sorted(random.Random(time.time()).uniform(0.02, 0.98) for _ in range(3))
  print('killed at', shares)
  test_prepare.kill_and_repeat(folder, tmp_path / 'killed', broken_meshes.settings(), shares, size)
  assert tiny.files(tmp_path / 'killed') == tiny.files(tmp_path / 'whole')


PEAK = ("; import resource; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], "
        "resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")


def peaks(code):
  """Peak resident MB of a process that runs the code, and of its largest child."""
  printed = subprocess.run([sys.executable, '-c', code + PEAK], check=True, cwd=str(checkout.ROOT),
                           stdout=subprocess.PIPE).stdout
  return [int(kilobytes) / 1e3 for kilobytes in printed.split()[-2:]]


@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='needs /proc of Linux')
def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
  found = {}
  for count in (1000, 10000):
    folder, out = str(tmp_path / 'in{}'.format(count)), str(tmp_path / 'out{}'.format(count))
    for number in range(count):
      path = os.path.join(folder, str(number % 10))
      os.makedirs(path, exist_ok=True)
      vertices, faces = objects.house(np.random.default_rng(number))
      data.write_obj(vertices, faces, os.path.join(path, '{}.obj'.format(number)))
    found[count] = peaks('from polygen import data; data.prepare({!r}, {!r})'.format(folder, out))
    found[count] += peaks('from polygen import prepare; prepare.main({!r})'.format(
        [folder, out + '_2', '--workers', '2']))
    found[count] += peaks('from polygen import train; train.main({!r})'.format([
        '--data_path', out, '--output_path', out + '_run', '--training_steps', '30',
        '--num_samples', '0', '--eval_steps', '30', '--batch_size', '16', '--hidden_size', '16',
        '--num_layers', '1', '--num_heads', '2']))[:1]
    print('\n{} files, MB: prepare {:.0f}; with 2 workers {:.0f}, a worker {:.0f}; train {:.0f}'
          .format(count, found[count][0], found[count][2], found[count][3], found[count][4]))
  for few, many in zip(found[1000], found[10000]):
    assert many <= few + 10


def test_most_tokens_are_real_and_no_step_waits():
  share, waiting = feeding.real_share(), feeding.waiting()
  print('\nreal tokens {:.1f} %'.format(share.value), share.details,
        'waiting {:.2f} %'.format(waiting.value), waiting.details)
  assert share.value >= 85
  assert waiting.value <= 2


def test_a_run_on_procedural_meshes_learns(tmp_path):
  run, uniform = learning.train(str(tmp_path))
  steps, seconds, bits = learning.curve(run)
  print('\nuniform {:.2f} bits per vertex; step, seconds, bits:'.format(uniform))
  points = np.concatenate([steps[:, None], seconds[:, None], bits.round(3)], axis=-1)
  print(json.dumps(points.tolist()))
  learning.picture({'this run': run}, uniform, str(tmp_path / 'learning.png'))
  assert len(steps) == learning.STEPS // learning.EVAL_STEPS
  assert bits[-1, 0] < 0.5 * uniform
  quarters = bits.reshape(4, -1, 2).mean(axis=1)
  assert (np.diff(quarters, axis=0) < 0).all()
