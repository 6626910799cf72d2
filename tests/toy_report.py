"""What a run on the four meshes has reached: `PYTHONPATH=. python tests/toy_report.py RUN_PATH`."""
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
  """first_step: at which both losses were first at most the published ones, None if never;
  num_exact of num_samples have the vertices and faces of the mesh of their class, or of any mesh
  in a run without classes."""
  first_step: int
  num_exact: int
  num_samples: int


def report(run_path, num_samples=64, seed=0):
  """The ToyReport of a run folder."""
  samples = list(sample_command.sample(run_path, num_samples, seed=seed))
  classes = checkpoint.RunFolder(run_path).read_config().classes
  meshes = processed_meshes()
  exact = sum(is_exact(sample, [meshes[classes[sample.class_id]]] if classes else meshes.values())
              for sample in samples)
  return ToyReport(first_published_step(run_path), exact, len(samples))


def processed_meshes():
  return {name: data.process_mesh(*mesh) for name, mesh in data.primitive_meshes().items()}


def is_exact(sample, meshes):
  """Whether a completed sample is one of the processed meshes, bin by bin and token by token."""
  bins = data.quantize_verts(sample.vertices)
  return sample.completed and any(
      np.array_equal(bins, mesh['vertices'])
      and np.array_equal(sample.face_tokens, mesh['faces']) for mesh in meshes)


def first_published_step(run_path):
  """The first logged step at which both losses were at most the published ones, or None."""
  pattern = os.path.join(run_path, 'summaries', 'events*')
  for path in sorted(glob.glob(pattern)):
    for event in tf.train.summary_iterator(path):
      values = {value.tag: value.simple_value for value in event.summary.value}
      if values and all(values[tag] <= limit for tag, limit in PUBLISHED.items()):
        return event.step
  return None


if __name__ == '__main__':
  for run in sys.argv[1:]:
    print(run, report(run), flush=True)
