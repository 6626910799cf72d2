"""What a run is fed with: packed batches, or padded ones of one shape where shapes are static."""
import functools

from .. import data


def training_batches(run, mesh_set, static_shapes):
  """The tf.data.Dataset of the batches of all steps that are still to be done.

  Args:
    run: continuing.OpenRun.
    mesh_set: data.MeshSet.
    static_shapes: whether every batch has the shape of the limits, as an NPU needs it; else
      several meshes share a row, and the shape varies.
  """
  config, bits = run.config.training, run.config.vertex_model.quantization_bits
  steps = run.start_step, config.training_steps
  if static_shapes:
    return data.training_dataset(
        mesh_set.meshes, mesh_set.labels, limits(run.config), *steps, seed=config.seed,
        quantization_bits=bits, random_shift=config.random_shift, parts=config.parts)
  return data.packed_training_dataset(
      mesh_set.meshes, mesh_set.labels, picks_of_steps(config, mesh_set), *steps, seed=config.seed,
      quantization_bits=bits, random_shift=config.random_shift, parts=config.parts)


def picks_of_steps(config, mesh_set):
  """The function step -> (epoch, index) of its meshes, of a TrainingConfig."""
  if config.tokens_per_batch:
    return data.BucketBatches(data.num_tokens(mesh_set.lengths, config.parts),
                              config.tokens_per_batch, config.seed)
  return functools.partial(data.batch_picks, len(mesh_set.meshes), config.batch_size,
                           seed=config.seed)


def evaluation_batches(run, mesh_set, static_shapes):
  """(spec, function -> batches) for evaluation.Evaluator: every mesh once, in the least memory."""
  config, bits = run.config.training, run.config.vertex_model.quantization_bits
  if static_shapes:
    shape = limits(run.config)
    return data.batch_spec(shape), lambda: data.evaluation_batches(
        mesh_set.meshes, mesh_set.labels, shape, bits)
  lengths = data.num_tokens(mesh_set.lengths, config.parts)
  budget = config.tokens_per_batch or config.batch_size * int(lengths.max())
  return data.PACKED_SPEC, lambda: data.packed_evaluation_batches(
      mesh_set, budget, bits, config.parts)


def limits(run_config):
  """The BatchShape that holds all meshes within the limits of the models."""
  return data.BatchShape(
      run_config.training.batch_size, run_config.vertex_model.max_num_input_verts,
      run_config.face_model.max_seq_length)
