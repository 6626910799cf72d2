"""A run small enough to be trained in a test: three little meshes, one layer, 16 units."""
import os

import numpy as np

from polygen import config, data

# name: (vertices, faces), wound outward; 4, 5 and 6 vertices, 16, 21 and 32 face tokens
MESHES = {
    'octahedron': (
        [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]],
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]),
    'pyramid': (
        [[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1], [0, 1, 0]],
        [[0, 1, 2, 3], [0, 4, 1], [1, 4, 2], [2, 4, 3], [3, 4, 0]]),
    'tetrahedron': (
        [[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]],
        [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
}
MAX_VERTICES, MAX_FACE_TOKENS = 6, 32

SIZE_FLAGS = [
    '--hidden_size', '16', '--fc_size', '32', '--num_layers', '1', '--num_heads', '2',
    '--max_num_vertices', str(MAX_VERTICES), '--max_face_tokens', str(MAX_FACE_TOKENS),
    '--quantization_bits', '4']


def write_meshes(folder):
  """Writes NAME.obj for each mesh into a new folder; returns its path as a string."""
  os.makedirs(str(folder))
  for name, (vertices, faces) in MESHES.items():
    data.write_obj(np.array(vertices, np.float32), faces,
                   os.path.join(str(folder), name + '.obj'), transpose=False)
  return str(folder)


def train_flags(data_path, run_path, *others):
  """The arguments of a tiny `polygen.train`; later ones replace earlier ones."""
  return ['--data_path', str(data_path), '--output_path', str(run_path), '--training_steps', '4',
          '--batch_size', '2', '--num_samples', '2', '--log_steps', '1',
          '--warmup_steps', '0'] + SIZE_FLAGS + list(others)


def run_config(**training):
  """The RunConfig of tiny models without classes; keywords are fields of its TrainingConfig."""
  transformer = config.TransformerConfig(
      hidden_size=16, fc_size=32, num_heads=2, num_layers=1, dropout_rate=0.)
  return config.RunConfig(
      vertex_model=config.VertexModelConfig(
          transformer, quantization_bits=4, max_num_input_verts=MAX_VERTICES),
      face_model=config.FaceModelConfig(
          transformer, transformer, class_conditional=False, quantization_bits=4,
          max_seq_length=MAX_FACE_TOKENS),
      training=config.TrainingConfig(**training))


def last_checkpoint(path):
  """{name: array} of the last checkpoint of a run."""
  import tensorflow.compat.v1 as tf
  from polygen import checkpoint
  reader = tf.train.load_checkpoint(checkpoint.RunFolder(str(path)).latest_checkpoint())
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def files(folder):
  """{path below the folder, with '/': bytes} of every file in it."""
  found = {}
  for root, _, names in os.walk(str(folder)):
    for name in names:
      path = os.path.join(root, name)
      with open(path, 'rb') as file:
        found[os.path.relpath(path, str(folder)).replace(os.sep, '/')] = file.read()
  return found


def error_of(main, arguments, capsys):
  """The one line that a command ends with instead of a result."""
  import pytest
  from polygen import cli
  capsys.readouterr()
  with pytest.raises((cli.CommandError, SystemExit)) as caught:
    main([str(argument) for argument in arguments])
  line = capsys.readouterr().err.rstrip('\n')
  if isinstance(caught.value, SystemExit):
    assert caught.value.code == 2
  else:
    line = str(caught.value)
  assert line and '\n' not in line
  return line
