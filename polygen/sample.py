"""Draws meshes from a trained run: mesh files, a picture, samples.json and a report.

Everything else that it needs comes from the run folder. --vertices draws faces for given vertices,
--prefix continues the lowest vertices of a mesh.
"""
import contextlib
import os
import time
from typing import List, NamedTuple

import numpy as np

from . import cli
from . import config as config_lib
from . import data

SAMPLING_FLAGS = ('temperature', 'top_k', 'top_p')


def sample(run_path, num_samples, sampling_config=None, class_id=None, seed=0, machine=None,
           max_tries=1, compile_mode='auto', given=None, face_run_path=None, owns_process=False):
  """Draws meshes from the last checkpoint of a run.

  Args:
    run_path: the run folder.
    num_samples: how many.
    sampling_config: SamplingConfig; that of the run by default.
    class_id: class of all samples; by default the classes in turn.
    seed: int >= 0; sample i is a function of the weights, the seed, i and its class.
    machine: hw.Machine; chosen by it by default.
    max_tries: how often a sample is drawn until it is complete.
    compile_mode: whether XLA compiles the decoding loops: 'on', 'off', or 'auto', where that saves
      more time than it takes.
    given: data.GivenVertices that every sample has; of data.whole_vertices its faces alone are
      drawn, of data.lowest_vertices the other vertices, too.
    face_run_path: the run folder of the face model, if it is another.
    owns_process: whether this process does nothing else, so that its threads may be divided
      between the batches (half of the time of a small model on 2 CPU cores).

  Yields:
    sampling.Sample as they come; those drawn more than once come later.

  Raises (when the first sample is asked for):
    FileNotFoundError: a folder is no run or has no checkpoint.
    checkpoint.CheckpointError: the checkpoint does not fit the config of the run, or is damaged.
    ValueError: a model is missing, this machine cannot compile loops, an unknown compile_mode, or
      no room for the given vertices.
  """
  import tensorflow.compat.v1 as tf
  from . import checkpoint, hw, sampling
  from .layers.matmul import matmul_operands
  machine = machine or hw.choose_machine()
  run_config, prefixes = checkpoint.open_trained(run_path, face_run_path)
  shards = max(1, min(machine.num_shards, sampling.MAX_SHARDS, num_samples))
  drawing = sampling_config or run_config.sampling
  compiled = sampling.compiles(compile_mode, machine, num_samples, run_config)
  # TensorFlow 2 runs all compiled loops in the threads that would be divided.
  side_by_side = shards if owns_process and not compiled else 1
  if drawing.top_k == 1:
    max_tries = 1  # greedy: every try is the same
  with hw.new_graph().as_default() as graph, matmul_operands(
      machine.precision.matmul_type, machine.precision.native):
    models = checkpoint.build_models(run_config)
    sampler = sampling.Sampler(
        models.values(), min(-(-num_samples // shards), sampling.MAX_BATCH_SIZE),
        drawing, run_config.training.random_shift, machine.static_shapes, compiled, given)
  # Not as a context: between two samples it would be the default session of the caller.
  config = machine.session_config(side_by_side=side_by_side)
  with contextlib.closing(tf.Session(graph=graph, config=config)) as session:
    checkpoint.restore_models(session, models, prefixes)
    class_ids = None if class_id is None else [class_id] * num_samples
    yield from sampler.sample(session, num_samples, seed, class_ids, max_tries, shards)


class Drawn(NamedTuple):
  """What became of the samples.

  Attributes:
    pictured: the first Samples, for a picture.
    statistics: data.MeshStatistics of the completed ones.
  """
  pictured: List
  statistics: List

  @property
  def num_completed(self):
    """How many completed."""
    return len(self.statistics)


def write_all(samples, files, num_samples):
  """Writes samples as they come, with a progress bar; returns Drawn.

  Args:
    samples: iterable of sampling.Sample.
    files: sample_files.SampleFiles.
    num_samples: how many there will be.
  """
  from . import sample_files, sampling
  pictured, statistics = [], []
  num_tokens, start = 0, time.time()
  with cli.Progress(num_samples, line_every=sampling.MAX_BATCH_SIZE, unit='sample') as progress:
    for drawn in samples:
      found = files.write(drawn)
      if drawn.completed:
        statistics.append(found)
      num_tokens += drawn.num_tokens
      if drawn.index < sample_files.MAX_PICTURED_SAMPLES:
        pictured.append(drawn)
      progress.advance({'Completed': len(statistics),
                        'Tokens/s': num_tokens / max(time.time() - start, 1e-9)})
  return Drawn(sorted(pictured, key=lambda drawn: drawn.index), statistics)


def find_class(text, classes):
  """The id of a class given by name or number; None for None.

  Raises:
    ValueError: no such class, with the list of those there are.
  """
  if text is None:
    return None
  if not classes:
    raise ValueError('this run was trained without classes: leave out --class_label')
  if text in classes:
    return classes.index(text)
  if text.isdecimal() and int(text) < len(classes):
    return int(text)
  raise ValueError('this run does not know the class {!r}; it knows {}'.format(
      text, ', '.join('{} ({})'.format(name, number) for number, name in enumerate(classes))))


def read_given(vertices_path, prefix_path, frame, quantization_bits):
  """The data.GivenVertices of the flags --vertices, --prefix and --prefix_frame, or None.

  Raises:
    ValueError: unfit files or flags that do not go together.
    OSError: a file cannot be read.
  """
  if vertices_path and prefix_path:
    raise ValueError('--vertices gives all vertices and --prefix the lowest: choose one of them')
  if frame and not prefix_path:
    raise ValueError('--prefix_frame is for --prefix')
  if frame and not frame[3] > 0:
    raise ValueError('--prefix_frame: the diagonal must be a positive number, not {:g}'.format(
        frame[3]))
  if not vertices_path and not prefix_path:
    return None
  path = vertices_path or prefix_path
  vertices = data.read_vertices(path)
  try:
    if vertices_path:
      return data.whole_vertices(vertices, quantization_bits)
    return data.lowest_vertices(vertices, quantization_bits, data.Frame(
        tuple(frame[:3]), frame[3]) if frame else data.MODEL_FRAME)
  except ValueError as error:
    raise ValueError('{}: {}'.format(path, error))


def build_parser():
  """The command's flags."""
  parser = cli.ArgumentParser('polygen.sample', __doc__)
  parser.add_argument('--run_path', metavar='DIR', default='output',
                      help='the run folder that polygen.train wrote')
  parser.add_argument('--face_run_path', metavar='DIR',
                      help='the run folder of the face model, if it was trained alone')
  parser.add_argument('--num_samples', type=cli.positive_int, metavar='N', default=8,
                      help='meshes to draw')
  parser.add_argument('--class_label', metavar='CLASS',
                      help='name or number of the class to draw; all in turn without it')
  parser.add_argument('--vertices', metavar='FILE',
                      help='mesh file whose vertices all samples have; only faces are drawn')
  parser.add_argument('--prefix', metavar='FILE',
                      help='mesh file of the lowest vertices of a mesh; the others and the faces '
                      'are drawn. In coordinates as samples have them (see --prefix_frame)')
  parser.add_argument('--prefix_frame', nargs=4, type=float, metavar=('X', 'Y', 'Z', 'DIAGONAL'),
                      help='centre and diagonal of the bounding box of the whole mesh, where the '
                      'vertices of --prefix have other coordinates than samples '
                      '(without it 0 0 0 1)')
  parser.add_argument('--no_masks', action='store_true',
                      help='draw from the raw models, tokens that lead to no legal mesh included')
  parser.add_argument('--temperature', type=float, metavar='X',
                      help='divides the logits: below 1 more alike, above 1 more varied '
                      '(as the run was trained: 1)')
  parser.add_argument('--top_k', type=int, metavar='N',
                      help='draw from the N most probable tokens only; 0: from all, 1: greedy')
  parser.add_argument('--top_p', type=float, metavar='X',
                      help='draw from the most probable tokens that together reach X; 1: from all '
                      '(of the run; polygen.train sets 0.95)')
  parser.add_argument('--max_tries', type=cli.positive_int, metavar='N', default=3,
                      help='how often a sample is drawn until it is complete')
  parser.add_argument('--compile', choices=config_lib.COMPILE_MODES, default='auto',
                      help='compile the decoding loops with XLA: auto does so where it saves more '
                      'time than it takes')
  parser.add_argument('--format', choices=data.FORMATS, default='obj',
                      help='of the mesh files: obj keeps polygons, the others have triangles and '
                      'need trimesh')
  parser.add_argument('--out', metavar='DIR',
                      help='new or empty folder for the files; RUN_PATH/generated, generated_2, '
                      '... without it')
  cli.add_seed_flag(parser, None, 'the same seed gives the same meshes; a new one without it')
  cli.add_machine_flags(parser)
  return parser


def main(argv=None):
  """Runs the command; returns Drawn."""
  args = build_parser().parse_args(argv)
  with cli.user_errors():
    from . import checkpoint, hw, sample_files, sampling
    run_config, _ = checkpoint.open_trained(args.run_path, args.face_run_path)
    machine = hw.choose_machine(args.device, args.precision_mode,
                                run_config.npu_options + tuple(args.npu_option))
    class_id = find_class(args.class_label, run_config.classes)
    sampling_config = config_lib.replace_fields(run_config.sampling, {
        name: getattr(args, name) for name in SAMPLING_FLAGS if getattr(args, name) is not None})
    if args.no_masks:
      sampling_config = config_lib.replace_fields(sampling_config, {'mask_invalid': False})
    given = read_given(args.vertices, args.prefix, args.prefix_frame,
                       run_config.face_model.quantization_bits)
    sampling.check_room(given, run_config.vertex_model, run_config.face_model)
    out = args.out or checkpoint.unused_path(os.path.join(args.run_path, 'generated'))
    seed = fresh_seed() if args.seed is None else args.seed
    sampling.compiles(args.compile, machine, args.num_samples, run_config)
    files = sample_files.SampleFiles(out, seed, run_config.classes, args.format)
  print('{}\nSeed: {}'.format(machine.description, seed), flush=True)
  samples = sample(args.run_path, args.num_samples, sampling_config, class_id, seed, machine,
                   args.max_tries, args.compile, given, args.face_run_path, owns_process=True)
  with cli.user_errors(checkpoint.CheckpointError, OSError):
    with files, contextlib.closing(samples):
      drawn = write_all(samples, files, args.num_samples)
    sample_files.write_picture_if_possible(
        drawn.pictured, os.path.join(out, 'samples.png'), print, drawn.num_completed,
        args.num_samples)
  for line in sample_files.report(drawn.statistics):
    print(line)
  missing = args.num_samples - drawn.num_completed
  if missing:
    print('{} did not complete in {} tries each'.format(missing, args.max_tries))
  print('{} of {} samples completed, in {}'.format(drawn.num_completed, args.num_samples, out))
  return drawn


def fresh_seed():
  """A seed nobody chose."""
  return int(np.random.SeedSequence().generate_state(1)[0])


if __name__ == '__main__':
  cli.run_command('polygen.sample', main)
