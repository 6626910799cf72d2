"""What a run is fed with: packed batches, or padded ones of one shape where shapes are static."""
import functools

from .. import data


def training_batches(run, mesh_set, static_shapes):
  """The tf.data.Dataset of the micro-batches of all steps that are still to be done.

  A step has `accumulate` of them, one after another.

  Args:
    run: continuing.OpenRun.
    mesh_set: data.MeshSet.
    static_shapes: whether every micro-batch has the shape of the limits, as an NPU needs it; else
      several meshes share a row, and the shape varies.
  """
  config, bits = run.config.training, run.config.vertex_model.quantization_bits
  numbers = run.start_step * config.accumulate, config.training_steps * config.accumulate
  if static_shapes:
    return data.training_dataset(
        mesh_set.meshes, mesh_set.labels, limits(run.config), *numbers, seed=config.seed,
        quantization_bits=bits, random_shift=config.random_shift, parts=config.parts)
  return data.packed_training_dataset(
      mesh_set.meshes, mesh_set.labels, picks_of_micro_batches(config, mesh_set), *numbers,
      seed=config.seed, quantization_bits=bits, random_shift=config.random_shift,
      parts=config.parts)


def picks_of_steps(config, mesh_set):
  """The function step -> (epoch, index) of its meshes, of a TrainingConfig."""
  if config.tokens_per_batch:
    return data.BucketBatches(data.num_tokens(mesh_set.lengths, config.parts),
                              config.tokens_per_batch, config.seed)
  return functools.partial(data.batch_picks, len(mesh_set.meshes), config.batch_size,
                           seed=config.seed)


def picks_of_micro_batches(config, mesh_set):
  """The function step * accumulate + place -> its share of the picks of the step.

  Shares are consecutive and differ by one pick at most; where a step has fewer meshes than
  micro-batches some are empty, the last one never.
  """
  picks_of, count = picks_of_steps(config, mesh_set), config.accumulate

  def share(number):
    step, place = divmod(number, count)
    picks = picks_of(step)
    return picks[len(picks) * place // count:len(picks) * (place + 1) // count]

  return share


def evaluation_batches(run, mesh_set, static_shapes):
  """The function -> batches of evaluation.Evaluator: every mesh once, each batch in no more memory
  than a micro-batch of training, and of its very shape where shapes are static."""
  config, bits = run.config.training, run.config.vertex_model.quantization_bits
  if static_shapes:
    shape = limits(run.config)
    return lambda: data.evaluation_batches(mesh_set.meshes, mesh_set.labels, shape, bits)
  lengths = data.num_tokens(mesh_set.lengths, config.parts)
  budget = config.tokens_per_batch or config.batch_size * int(lengths.max())
  return lambda: data.packed_evaluation_batches(
      mesh_set, budget // config.accumulate, bits, config.parts)


def limits(run_config):
  """The BatchShape of a micro-batch that holds all meshes within the limits of the models."""
  return data.BatchShape(
      run_config.training.batch_size // run_config.training.accumulate,
      run_config.vertex_model.max_num_input_verts,
      run_config.face_model.max_seq_length)


def check_batches(config, mesh_set, machine):
  """Checks that a machine can compute the batches of a TrainingConfig.

  Raises:
    ValueError: shapes that vary on a device that cannot take them; micro-batches where one
      session.run does several steps; a mesh beyond the budget of tokens.
  """
  if machine.static_shapes and config.tokens_per_batch:
    raise ValueError('batches of tokens_per_batch have varying shapes, which this device cannot '
                     'take: give a --batch_size')
  if machine.static_shapes and config.batch_size % config.accumulate:
    raise ValueError('batch_size {0} is no multiple of accumulate {1}, but this device needs '
                     'micro-batches of one shape: choose another --batch_size or --accumulate'
                     .format(config.batch_size, config.accumulate))
  if machine.steps_per_run > 1 and config.accumulate > 1:
    raise ValueError('iterations_per_loop {} does several steps in one call, --accumulate {} one '
                     'step in several: choose one of them'.format(
                         machine.steps_per_run, config.accumulate))
  picks_of_steps(config, mesh_set)
