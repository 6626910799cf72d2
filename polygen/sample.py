"""Draws meshes from a trained run: OBJ files, a picture and samples.json.

Everything else that it needs comes from the run folder.
"""
import os

import numpy as np

from . import cli
from . import config as config_lib

SAMPLING_FLAGS = ('temperature', 'top_k', 'top_p')


def sample(run_path, num_samples, sampling_config=None, class_id=None, seed=0, machine=None,
           on_sample=None):
  """Draws meshes from the last checkpoint of a run.

  Args:
    run_path: the run folder.
    num_samples: how many.
    sampling_config: SamplingConfig; that of the run by default.
    class_id: class of all samples; by default the classes in turn.
    seed: int >= 0; sample i is a function of the weights, the seed, i and its class.
    machine: hw.Machine; chosen by it by default.
    on_sample: called with each sampling.Sample as it comes.

  Returns:
    list of sampling.Sample.

  Raises:
    FileNotFoundError: the folder is no run or has no checkpoint.
    checkpoint.CheckpointError: the checkpoint does not fit the config of the run, or is damaged.
  """
  import tensorflow.compat.v1 as tf
  from . import checkpoint, hw, sampling
  from .layers.matmul import matmul_operands
  machine = machine or hw.choose_machine()
  folder = checkpoint.RunFolder(run_path)
  run_config = folder.read_config()
  prefix = folder.require_checkpoint()
  samples = []
  with tf.Graph().as_default(), matmul_operands(
      machine.precision.matmul_type, machine.precision.native), tf.Session(
          config=machine.session_config()) as session:
    models = checkpoint.build_models(run_config)
    sampler = sampling.Sampler(
        models, min(num_samples, sampling.MAX_BATCH_SIZE), sampling_config or run_config.sampling,
        run_config.training.random_shift, machine.static_shapes)
    checkpoint.restore_models(session, models, prefix)
    class_ids = None if class_id is None else [class_id] * num_samples
    for drawn in sampler.sample(session, num_samples, seed, class_ids):
      samples.append(drawn)
      if on_sample is not None:
        on_sample(drawn)
  return samples


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


def build_parser():
  """The command's flags."""
  parser = cli.ArgumentParser('polygen.sample', __doc__)
  parser.add_argument('--run_path', metavar='DIR', default='output',
                      help='the run folder that polygen.train wrote')
  parser.add_argument('--num_samples', type=cli.positive_int, metavar='N', default=8,
                      help='meshes to draw')
  parser.add_argument('--class_label', metavar='CLASS',
                      help='name or number of the class to draw; all in turn without it')
  parser.add_argument('--temperature', type=float, metavar='X',
                      help='divides the logits: below 1 more alike, above 1 more varied '
                      '(as the run was trained: 1)')
  parser.add_argument('--top_k', type=int, metavar='N',
                      help='draw from the N most probable tokens only; 0: from all, 1: greedy')
  parser.add_argument('--top_p', type=float, metavar='X',
                      help='draw from the most probable tokens that together reach X; 1: from all '
                      '(of the run; polygen.train sets 0.95)')
  parser.add_argument('--out', metavar='DIR',
                      help='new or empty folder for the files; RUN_PATH/generated, generated_2, '
                      '... without it')
  cli.add_seed_flag(parser, None, 'the same seed gives the same meshes; a new one without it')
  cli.add_machine_flags(parser)
  return parser


def main(argv=None):
  """Runs the command; returns the samples."""
  args = build_parser().parse_args(argv)
  with cli.user_errors():
    from . import checkpoint, hw, sampling
    folder = checkpoint.RunFolder(args.run_path)
    run_config = folder.read_config()
    folder.require_checkpoint()
    machine = hw.choose_machine(args.device, args.precision_mode,
                                run_config.npu_options + tuple(args.npu_option))
    class_id = find_class(args.class_label, run_config.classes)
    sampling_config = config_lib.replace_fields(run_config.sampling, {
        name: getattr(args, name) for name in SAMPLING_FLAGS if getattr(args, name) is not None})
    out = args.out or checkpoint.unused_path(os.path.join(args.run_path, 'generated'))
    sampling.check_unused(out)
    os.makedirs(out, exist_ok=True)
  seed = fresh_seed() if args.seed is None else args.seed
  print('{}\nSeed: {}'.format(machine.description, seed), flush=True)
  with cli.user_errors(checkpoint.CheckpointError), cli.Progress(
      args.num_samples, line_every=sampling.MAX_BATCH_SIZE, unit='sample') as progress:
    samples = sample(args.run_path, args.num_samples, sampling_config, class_id, seed, machine,
                     lambda unused_sample: progress.advance())
  with cli.user_errors(OSError):
    sampling.write_samples(samples, out, seed, run_config.classes)
    sampling.write_picture_if_possible(samples, os.path.join(out, 'samples.png'), print)
  print('{} of {} samples completed, in {}'.format(
      sum(drawn.completed for drawn in samples), len(samples), out))
  return samples


def fresh_seed():
  """A seed nobody chose."""
  return int(np.random.SeedSequence().generate_state(1)[0])


if __name__ == '__main__':
  cli.run_command('polygen.sample', main)
