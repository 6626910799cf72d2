"""A run on procedural meshes, from files to the curve of the validation loss.

    python -m benchmarks.learning FOLDER     makes 900 meshes there, prepares them, trains on them

writes FOLDER/learning.png. `picture` puts the curves of several runs together.
"""
import os
import subprocess
import sys

import numpy as np

from polygen import data
from polygen.training import validation_curve

from . import objects

NUM_MESHES, SPLIT = 900, (0.85, 0.1, 0.05)
STEPS, EVAL_STEPS = 1500, 75
FLAGS = ['--training_steps', str(STEPS), '--eval_steps', str(EVAL_STEPS), '--sample_steps', '750',
         '--num_samples', '12', '--tokens_per_batch', '4096', '--learning_rate', '0.001',
         '--warmup_steps', '100', '--dropout_rate', '0.1']


def train(folder):
  """Makes the meshes, prepares them and trains, all in an empty folder.

  Returns:
    the run folder, uniform_bits of the validation meshes.
  """
  meshes, prepared, run = (os.path.join(folder, name) for name in ('meshes', 'prepared', 'run'))
  objects.write_objects(meshes, NUM_MESHES)
  data.prepare(meshes, prepared, data.PrepareSettings(split=SPLIT))
  subprocess.run([sys.executable, '-m', 'polygen.train', '--data_path', prepared,
                  '--output_path', run] + FLAGS, check=True)
  return run, uniform_bits(data.open_prepared(prepared).validation)


def uniform_bits(mesh_set, quantization_bits=8):
  """Bits per vertex where every vertex token is equally probable (PolyGen, table 1)."""
  vertices = mesh_set.lengths[:, 0]
  return float((3 * vertices + 1).sum() * np.log2(2 ** quantization_bits + 1) / vertices.sum())


def curve(run):
  """Points of a run: arrays [n] of steps, of seconds, and [n, 2] of bits per vertex."""
  points = validation_curve.read_points(os.path.join(run, 'validation.jsonl'))
  return (np.array([point['step'] for point in points]),
          np.array([point['seconds'] for point in points]),
          np.array([[point['bits_per_vertex'][name] for name in ('vertices', 'faces')]
                    for point in points]))


def picture(runs, uniform, path):
  """Draws the curves of {name: run folder} to an image."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure
  figure = Figure(figsize=(7, 3.6), constrained_layout=True)
  FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  for style, (name, run) in zip(('-', '--', ':'), runs.items()):
    steps, seconds, bits = curve(run)
    for column, color, what in ((0, 'tab:blue', 'vertices'), (1, 'tab:orange', 'faces')):
      axes.plot(steps, bits[:, column], style, color=color,
                label='{}, {} ({:.0f} min)'.format(what, name, seconds[-1] / 60))
  axes.axhline(uniform, color='gray', linewidth=0.8)
  axes.annotate('vertices, all tokens equally probable', (steps[-1], uniform), (0, -12),
                textcoords='offset points', ha='right', color='gray')
  axes.set(xlabel='step', ylabel='bits per vertex, validation meshes', ylim=(0, None))
  axes.legend()
  figure.savefig(path, dpi=110)


def main(folder):
  """What the command does."""
  run, uniform = train(folder)
  picture({'this run': run}, uniform, os.path.join(folder, 'learning.png'))


if __name__ == '__main__':
  main(sys.argv[1])
