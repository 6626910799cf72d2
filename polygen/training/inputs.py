"""What a run is fed with: packed batches, or padded ones of one shape where shapes are static."""
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
        quantization_bits=bits, random_shift=config.random_shift)
  return data.packed_training_dataset(
      mesh_set.meshes, mesh_set.labels, config.batch_size, *steps, seed=config.seed,
      quantization_bits=bits, random_shift=config.random_shift)


def evaluation_shape(run, mesh_set, static_shapes):
  """The BatchShape of evaluation: that of training where shapes are static, else the smallest."""
  if static_shapes:
    return limits(run.config)
  return data.padded_shape(mesh_set.meshes, run.config.training.batch_size)


def limits(run_config):
  """The BatchShape that holds all meshes within the limits of the models."""
  return data.BatchShape(
      run_config.training.batch_size, run_config.vertex_model.max_num_input_verts,
      run_config.face_model.max_seq_length)
