"""Trains both models on a folder of meshes, or on one that polygen.prepare has written.

Without flags: the four meshes of the project, 5000 steps, everything in ./output. An output folder
that holds a run is continued from its last checkpoint.
"""
import functools
import os
import time
from typing import Callable, NamedTuple, Optional

from . import cli
from . import config as config_lib
from .training.flags import add_config_flags, config_from_args, decides_batches

# The two models, and the gradients of kernels and of inputs, do not wait for each other: as many
# operations at a time with a share of the cores each take less time than one after the other (15 %
# less on 2 cores).
SIDE_BY_SIDE = 2
MODEL_NAMES = {'both': 'both models', 'vertex': 'the vertex model', 'face': 'the face model'}


class TrainingResult(NamedTuple):
  """What a run ends with.

  Attributes:
    step: the last step.
    evaluation: training.evaluation.Evaluation after the last update, of the validation meshes if
      there are any, else of all.
    batch_size: meshes that the losses of the closing lines belong to.
    step_time: mean seconds per step, without the first one, sampling and saving.
    total_time: seconds of the whole run.
    num_samples, num_completed: of the last samples.
    output_path: the run folder.
    skipped_updates: left out by loss scaling; None where it does not act.
    is_validation: what the evaluation is of.
  """
  step: int
  evaluation: tuple
  batch_size: int
  step_time: float
  total_time: float
  num_samples: int
  num_completed: int
  output_path: str
  skipped_updates: Optional[int] = None
  is_validation: bool = False

  def table(self):
    """The closing lines. Scripts take the third field of the losses and the second of the times."""
    from .training.losses import LOSS_NAMES
    losses = self.evaluation.per_batch(self.batch_size)
    lines = ['After step {}, evaluated on {} {}meshes, per {} of them:'.format(
        self.step, self.evaluation.num_meshes, 'validation ' if self.is_validation else '',
        self.batch_size)]
    lines += ['Loss ({}) {:.6g}'.format(LOSS_NAMES[part], loss) for part, loss in losses.items()]
    lines += [
        'Bits per vertex: ' + self.evaluation.bits_line(),
        'StepTime: {:.4g}'.format(self.step_time),
        'TimetoTrain: {:.4g}'.format(self.total_time)]
    if self.num_samples:
      lines.append('Samples completed: {} of {}'.format(self.num_completed, self.num_samples))
    lines.append('Run folder: {}'.format(self.output_path))
    if self.skipped_updates is not None:
      lines.insert(-1, 'Skipped updates: {}'.format(self.skipped_updates))
    return '\n'.join(lines)


def train(run, mesh_set, machine, start_time=None, validation=None, owns_process=False):
  """Trains an open run until its training_steps, from its last checkpoint if it has one.

  Args:
    run: training.continuing.OpenRun, not finished.
    mesh_set: data.MeshSet, of the classes of the run.
    machine: hw.Machine.
    start_time: time.time() at which the run began; now by default.
    validation: data.MeshSet that is evaluated every eval_steps and at the end; None or an empty
      one: all of mesh_set is, at the end.
    owns_process: whether this process does nothing else, so that its threads may be divided
      between the models (15 % on 2 CPU cores), and its garbage collected around samples.

  Returns:
    TrainingResult.

  Raises:
    checkpoint.CheckpointError: the last checkpoint cannot be restored.
  """
  import tensorflow.compat.v1 as tf
  from .hw import new_graph, release_memory
  from .layers.matmul import matmul_operands
  start_time = start_time or time.time()
  with new_graph().as_default(), matmul_operands(
      machine.precision.matmul_type, machine.precision.native), tf.Session(
          config=machine.session_config(SIDE_BY_SIDE if owns_process else 1)) as session:
    tf.set_random_seed(run.config.training.seed)
    return _train(session, run, mesh_set, validation, machine, start_time,
                  release_memory if owns_process else lambda: None)


def _train(session, run, mesh_set, validation, machine, start_time, tidy_up):
  import tensorflow.compat.v1 as tf
  from . import checkpoint
  from .training import inputs, loop, step, summaries, validation_curve
  config = run.config.training
  iterator = tf.data.make_initializable_iterator(
      inputs.training_batches(run, mesh_set, machine.static_shapes))
  models = checkpoint.build_models(run.config)
  training = step.training_step(models, iterator.get_next(), config, machine)
  is_validation = bool(validation and len(validation.meshes))
  evaluation_set = validation if is_validation else mesh_set
  # All at once, since TensorFlow copies the whole graph when it has grown; and after the first
  # step, which need not wait for it, except where graphs must not grow.
  tools = functools.lru_cache(maxsize=None)(
      lambda: _build_tools(run, models, training.evaluated, mesh_set, evaluation_set, machine))
  writer = summaries.ScalarWriter(run.folder.summaries)
  if machine.static_shapes or run.prefix:
    tools()

  session.run([tf.global_variables_initializer(), tf.local_variables_initializer(),
               iterator.initializer])
  if run.prefix:
    tools().checkpoints.restore(session, run.prefix)
    print('Continuing {} from step {}'.format(run.folder.path, run.start_step))
  with cli.Progress(config.training_steps, run.start_step) as progress:
    try:
      looped = training._replace(train=machine.looped(session, training.train))
      log = _StepLog(progress, writer, config.log_steps, machine.precision.scale_loss)
      curve = validation_curve.ValidationCurve(
          run.folder.validation, run.start_step, start_time, writer, progress.write)
      hooks = [loop.Hook(1, lambda number: tools()),
               loop.Hook(config.checkpoint_steps,
                         lambda number: tools().checkpoints.save(session, number)),
               loop.Hook(config.sample_steps, lambda number: tidy_up()),
               loop.Hook(config.sample_steps,
                         lambda number: tools().samples.draw(session, number, progress.write)),
               loop.Hook(config.sample_steps, lambda number: tidy_up())]
      if is_validation:
        hooks.append(loop.Hook(config.eval_steps,
                               lambda number: curve.add(number, tools().evaluate(session))))
      step_time = loop.train(session, looped, run.start_step, config.training_steps, log.write,
                             hooks, machine.steps_per_run)
    except KeyboardInterrupt:
      done = session.run(training.global_step)
      if done > run.start_step:
        tools().checkpoints.save(session, done)
        progress.write('Stopped after step {}; the same command continues'.format(done))
      raise
    finally:
      writer.close()
  return TrainingResult(
      config.training_steps, curve.last or tools().evaluate(session),
      1 if config.tokens_per_batch else config.batch_size, step_time,
      time.time() - start_time, tools().samples.num_samples, tools().samples.num_completed,
      run.folder.path,
      session.run(training.skipped_updates) if machine.precision.scale_loss else None,
      is_validation)


class _Tools(NamedTuple):
  """What is used between steps: an Evaluator, a _SampleWriter, Checkpoints."""
  evaluate: Callable
  samples: object
  checkpoints: object


def _build_tools(run, models, evaluation_graph, mesh_set, evaluation_set, machine):
  """The tools of a run whose models have their variables.

  Args:
    evaluation_graph: evaluation.Evaluated, or None where it must be one of its own.
    mesh_set, evaluation_set: the MeshSets to train on and to evaluate.
  """
  from . import checkpoint, data
  from .training import evaluation, inputs
  if evaluation_graph is None:
    evaluation_graph = evaluation.evaluation_graph(
        models, data.batch_spec(inputs.limits(run.config)))
  return _Tools(
      evaluation.Evaluator(
          evaluation_graph, evaluation_set,
          inputs.evaluation_batches(run, evaluation_set, machine.static_shapes)),
      _SampleWriter(run, models, mesh_set, machine.static_shapes),
      checkpoint.Checkpoints(
          run.folder, run.config.training.keep_checkpoints, restores=bool(run.prefix)))


class _StepLog:
  """Shows the figures of steps, and writes some of them for TensorBoard."""

  def __init__(self, progress, writer, every, with_skipped):
    self._progress, self._writer, self._every = progress, writer, every
    self._with_skipped = with_skipped

  def write(self, number, done, result):
    """Takes the loop.StepResult of step `number`, the last of `done` steps."""
    from .training import loop
    from .training.losses import LOSS_NAMES
    values, scalars = {}, {}
    for part, loss in result.losses.items():
      values['Loss ({})'.format(LOSS_NAMES[part])] = loss
      scalars['loss/' + LOSS_NAMES[part]] = loss
    if self._with_skipped:
      values['Skipped updates'] = scalars['skipped_updates'] = result.skipped_updates
    self._progress.advance(values, done)
    if number == 1 or loop.is_due(number, done, self._every):
      self._writer.write(number, scalars)


class _SampleWriter:
  """Draws meshes during training into <run>/samples/step_<step>, with a picture.

  Attributes:
    num_samples: drawn each time; 0 where one model is trained alone.
    num_completed: of the last ones.
  """

  def __init__(self, run, models, mesh_set, static_shapes):
    from . import sampling
    config = run.config.training
    self._run, self._mesh_set = run, mesh_set
    self.num_samples = config.num_samples if len(models) > 1 else 0
    self.num_completed = 0
    if self.num_samples:
      self._sampler = sampling.Sampler(
          models.values(), min(config.num_samples, sampling.MAX_BATCH_SIZE), run.config.sampling,
          config.random_shift, static_shapes)

  def draw(self, session, step, write_line):
    """Draws `num_samples` meshes with the seed of the run; a line names the folder."""
    from . import checkpoint, sample_files
    config = self._run.config.training
    if not self.num_samples:
      return
    samples = list(self._sampler.sample(session, config.num_samples, config.seed))
    self.num_completed = sum(sample.completed for sample in samples)
    folder = checkpoint.unused_path(
        os.path.join(self._run.folder.samples, 'step_{:06d}'.format(step)))
    with sample_files.SampleFiles(folder, config.seed, self._run.config.classes) as files:
      for sample in samples:
        files.write(sample)
    write_line('Step {}: {} of {} samples completed, in {}'.format(
        step, self.num_completed, len(samples), folder))
    sample_files.write_picture_if_possible(
        samples, checkpoint.unused_path(folder + '.png'), write_line, self.num_completed,
        len(samples), self._mesh_set.meshes, self._run.config.vertex_model.quantization_bits)


def build_parser():
  """The command's flags."""
  parser = cli.ArgumentParser('polygen.train', __doc__)
  parser.add_argument('--data_path', '--datapath', metavar='DIR',
                      help='folder of mesh files (each a class) or of subfolders (each a class), '
                      'or the parent of meshes/, or what polygen.prepare has written; without it '
                      'the four meshes of the project')
  parser.add_argument('--output_path', metavar='DIR', default='output', help='the run folder')
  add_config_flags(parser)
  cli.add_machine_flags(parser)
  return parser


def main(argv=None):
  """Runs the command; returns the TrainingResult, None for a finished run."""
  start_time = time.time()
  args = build_parser().parse_args(argv)
  with cli.user_errors():
    from . import checkpoint, hw
    from .training import inputs, settings
    from .training.continuing import open_run
    prepared = settings.open_if_prepared(args.data_path)
    run_config = config_from_args(args, settings.settings_for(prepared, args.preset))
    mesh_set = settings.load_meshes(args.data_path, prepared, run_config)
    run_config = config_lib.replace_fields(
        settings.with_classes(run_config, mesh_set, args.condition == 'class'),
        {'data_digest': mesh_set.digest,
         'npu_options': run_config.npu_options + tuple(args.npu_option)})
    machine = hw.choose_machine(args.device, args.precision_mode, run_config.npu_options)
    if prepared and not machine.static_shapes and not decides_batches(args):
      run_config = settings.with_token_budget(run_config, mesh_set)
    inputs.check_batches(run_config.training, mesh_set, machine)
    run = open_run(run_config, args.output_path, machine.steps_per_run)
  if run.is_finished:
    print('{} holds a finished run of {} steps; --training_steps {} extends it, another '
          '--output_path starts a new one'.format(
              args.output_path, run.start_step, 2 * run.start_step))
    return None
  print('{}\nTraining {} on {} meshes{}, run folder {}'.format(
      machine.description, MODEL_NAMES[run_config.training.model], len(mesh_set.meshes),
      ' of {} classes'.format(len(run_config.classes)) if run_config.classes else '',
      args.output_path), flush=True)
  with cli.user_errors(checkpoint.CheckpointError, OSError):
    result = train(run, mesh_set, machine, start_time, prepared and prepared.validation,
                   owns_process=True)
  print(result.table())
  return result


if __name__ == '__main__':
  cli.run_command('polygen.train', main)
