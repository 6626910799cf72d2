"""What the data of a run decides: limits, budget of tokens and classes of its RunConfig."""
import numpy as np

from .. import config as config_lib
from .. import data

# More meshes than this lying directly in the data folder are not one class each.
MAX_FLAT_CLASSES = 55

# Tokens per step on a prepared folder, if neither these nor meshes per step are asked for.
TOKENS_PER_BATCH = 8192


def open_if_prepared(data_path):
  """The data.PreparedSet of a folder that polygen.prepare has written; None for another."""
  return data.open_prepared(data_path) if data_path and data.is_prepared(data_path) else None


def settings_for(prepared, preset):
  """{dotted field: value} that prepared meshes need beside a preset; nothing for None."""
  if prepared is None:
    return {}
  preset, (train_meshes, validation) = config_lib.PRESETS[preset], prepared[:2]
  lengths = np.concatenate([train_meshes.lengths, validation.lengths, [[1, 1]]])
  bits = prepared.settings.quantization_bits
  return {
      'vertex_model.quantization_bits': bits, 'face_model.quantization_bits': bits,
      'vertex_model.max_num_input_verts': max(
          preset.vertex_model.max_num_input_verts, int(lengths[:, 0].max())),
      'face_model.max_seq_length': max(
          preset.face_model.max_seq_length, int(lengths[:, 1].max()))}


def with_token_budget(run_config, mesh_set):
  """The RunConfig with TOKENS_PER_BATCH, or as many as the longest mesh has."""
  longest = data.num_tokens(mesh_set.lengths, run_config.training.parts).max()
  return config_lib.replace_fields(run_config, {
      'training.tokens_per_batch': max(TOKENS_PER_BATCH, int(longest))})


def load_meshes(data_path, prepared, run_config):
  """The data.MeshSet of a folder, or the training meshes of a prepared one.

  Raises:
    ValueError: a mesh is broken or larger than the limits, or other bits were prepared.
    OSError: the folder cannot be read.
  """
  bits, parts = run_config.vertex_model.quantization_bits, run_config.training.parts
  limits = (run_config.vertex_model.max_num_input_verts if 'vertex' in parts else None,
            run_config.face_model.max_seq_length if 'face' in parts else None)
  if prepared is None:
    return data.load_mesh_set(data_path, bits, *limits)
  if prepared.settings.quantization_bits != bits:
    raise ValueError('{} was prepared with quantization_bits {}, not {}'.format(
        data_path, prepared.settings.quantization_bits, bits))
  for mesh_set in prepared[:2]:
    if len(mesh_set.meshes):
      data.check_limits(mesh_set, *limits)
  data.check_limits(prepared.train)
  return prepared.train


def with_classes(run_config, mesh_set, condition_given):
  """The RunConfig for these meshes: with their class names, or unconditional.

  Args:
    run_config: RunConfig, conditional or not.
    mesh_set: data.MeshSet.
    condition_given: whether the user asked for classes; else many flat files have none.
  """
  conditional = {'vertex_model.class_conditional': run_config.vertex_model.class_conditional,
                 'face_model.class_conditional': run_config.face_model.class_conditional}
  if not any(conditional.values()):
    return config_lib.replace_fields(run_config, {'classes': ()})
  num_classes = len(mesh_set.classes)
  if mesh_set.flat and num_classes > MAX_FLAT_CLASSES and not condition_given:
    print('{} meshes lie directly in the data folder: training without classes; --condition class '
          'makes each a class'.format(num_classes))
    return config_lib.replace_fields(
        run_config, dict(dict.fromkeys(conditional, False), classes=()))
  return config_lib.replace_fields(run_config, {
      'classes': mesh_set.classes, 'vertex_model.num_classes': num_classes,
      'face_model.num_classes': num_classes})
