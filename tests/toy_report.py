"""What a run on the four meshes has reached: `PYTHONPATH=. python tests/toy_report.py RUN_PATH`."""
import dataclasses
import glob
import os
import sys
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from benchmarks import training
from polygen import checkpoint, data
from polygen import sample as sample_command

PUBLISHED = {'loss/vertices': training.PUBLISHED['Loss (vertices)'],
             'loss/faces': training.PUBLISHED['Loss (faces)']}


class ToyReport(NamedTuple):
  """first_step: the first logged one at which both losses were at most the published ones, None if
  never; highest_after: the highest loss logged after it; num_exact of num_samples have the vertices
  and faces of the mesh of their class, or of any mesh in a run without classes."""
  first_step: int
  highest_after: float
  num_exact: int
  num_samples: int


def report(run_path, num_samples=64, seed=0):
  """The ToyReport of a run folder, of the raw models: without masks."""
  config = checkpoint.RunFolder(run_path).read_config()
  samples = list(sample_command.sample(
      run_path, num_samples, dataclasses.replace(config.sampling, mask_invalid=False), seed=seed))
  classes = config.classes
  meshes = processed_meshes()
  exact = sum(is_exact(sample, [meshes[classes[sample.class_id]]] if classes else meshes.values())
              for sample in samples)
  return ToyReport(*published_step(run_path), exact, len(samples))


def completions(run_path, num_tries=32, seed=0):
  """{class: (from its vertices, from the lower half of them)}: how many tries gave its mesh.

  The vertices are those of the files in meshes/, in their coordinates; top_p is that of the run.
  """
  classes, found = checkpoint.RunFolder(run_path).read_config().classes, {}
  for name, mesh in processed_meshes().items():
    points = np.float64(data.primitive_meshes()[name][0])
    whole = data.whole_vertices(points)
    half = whole.positions[:len(whole.bins) // 2][:, data.obj.Z_UP_TO_OBJ]
    lowest = data.lowest_vertices(half, frame=whole.frame)
    found[name] = tuple(
        sum(_completes(sample, mesh, given, whole) for sample in sample_command.sample(
            run_path, num_tries, class_id=classes.index(name), seed=seed, given=given))
        for given in (whole, lowest))
  return found


def _completes(sample, mesh, given, whole):
  """Whether a sample is the mesh of `whole`, the given vertices exactly where they were."""
  count = len(given.bins)
  assert 0 < count < len(whole.bins) or given is whole
  scale = whole.frame.diagonal / 255
  return bool(sample.completed and np.array_equal(sample.face_tokens, mesh['faces'])
              and np.array_equal(sample.vertices[:count], np.float32(given.positions))
              and np.abs(sample.vertices - whole.positions).max() <= 0.51 * scale)


def processed_meshes():
  return {name: data.process_mesh(*mesh) for name, mesh in data.primitive_meshes().items()}


def is_exact(sample, meshes):
  """Whether a completed sample is one of the processed meshes, bin by bin and token by token."""
  bins = data.quantize_verts(sample.vertices)
  return sample.completed and any(
      np.array_equal(bins, mesh['vertices'])
      and np.array_equal(sample.face_tokens, mesh['faces']) for mesh in meshes)


def published_step(run_path):
  """The fields first_step and highest_after of a ToyReport."""
  first_step, highest_after = None, 0.
  pattern = os.path.join(run_path, 'summaries', 'events*')
  for path in sorted(glob.glob(pattern)):
    for event in tf.train.summary_iterator(path):
      values = {value.tag: value.simple_value for value in event.summary.value
                if value.tag in PUBLISHED}
      if first_step is not None:
        highest_after = max([highest_after, *values.values()])
      elif values and all(values[tag] <= limit for tag, limit in PUBLISHED.items()):
        first_step = event.step
  return first_step, highest_after


if __name__ == '__main__':
  for run in sys.argv[1:]:
    print(run, report(run), completions(run), flush=True)
