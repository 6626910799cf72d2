"""Laws of polygen.checkpoint: DeepMind's weights, and the run folder."""
import os
import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import randomise
from polygen import checkpoint, models

LAYOUTS = pytest.mark.parametrize('memory_efficient', [False, True], ids=['q k v', 'wqkv'])


def transformer(memory_efficient=False, num_layers=1):
  return {'hidden_size': 8, 'fc_size': 8, 'num_heads': 2, 'num_layers': num_layers,
          'dropout_rate': 0., 'memory_efficient': memory_efficient}


def vertex_model(memory_efficient=False, num_layers=1, **options):
  return models.VertexModel(transformer(memory_efficient, num_layers), quantization_bits=3,
                            max_num_input_verts=4, **options)


def face_model(memory_efficient=False, num_layers=1, **options):
  return models.FaceModel(
      transformer(memory_efficient, num_layers), transformer(memory_efficient, num_layers),
      class_conditional=False, quantization_bits=3, max_seq_length=9, **options)


def save(model, path, leave_out=()):
  """A checkpoint of random weights as TF 1 training leaves it: Adam's slots and a global step.

  Returns:
    (prefix, {name: array} of the weights).
  """
  prefix = str(path / 'model')
  with tf.Graph().as_default(), tf.Session() as session:
    model.build()
    variables = model.variables
    step = tf.train.get_or_create_global_step()
    loss = tf.add_n([tf.reduce_sum(variable ** 2) for variable in variables])
    tf.train.AdamOptimizer().minimize(loss, global_step=step)
    session.run(tf.global_variables_initializer())
    values = randomise.random_values(variables)
    randomise.assign(session, variables, values)
    kept = [variable for variable in tf.global_variables() if variable.op.name not in leave_out]
    assert len(kept) == len(tf.global_variables()) - len(leave_out) > 2 * len(variables)
    tf.train.Saver(kept).save(session, prefix)
  return prefix, values


def restored(model, prefix):
  """{name: array} of the weights after restore_deepmind."""
  with tf.Graph().as_default(), tf.Session() as session:
    checkpoint.restore_deepmind(session, model, prefix)
    return dict(zip([variable.op.name for variable in model.variables],
                    session.run(model.variables)))


@LAYOUTS
@pytest.mark.parametrize('make', [vertex_model, face_model])
def test_weights_are_restored_and_optimizer_slots_ignored(make, memory_efficient, tmp_path, capsys):
  prefix, expected = save(make(memory_efficient), tmp_path)
  found = restored(make(memory_efficient), prefix)
  assert found.keys() == expected.keys() and len(found) > 15
  for name in found:
    np.testing.assert_array_equal(found[name], expected[name], name)
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 1 and prefix in lines[0]
  assert 'ignored {} entries'.format(2 * len(found) + 3) in lines[0]


def test_a_prefix_may_be_a_path(tmp_path):
  prefix, expected = save(vertex_model(), tmp_path)
  found = restored(vertex_model(), pathlib.Path(prefix))
  assert found.keys() == expected.keys()
  for name in found:
    np.testing.assert_array_equal(found[name], expected[name], name)


def error_of(model, prefix):
  with pytest.raises(checkpoint.CheckpointError) as caught:
    restored(model, prefix)
  assert '\n' not in str(caught.value) and prefix in str(caught.value)
  return str(caught.value)


@LAYOUTS
def test_missing_and_misshapen_variables_are_named(memory_efficient, tmp_path):
  gone = 'vertex_model/transformer_decoder/layer_0/fc_1/bias', 'vertex_model/embed_zero'
  prefix, _ = save(vertex_model(memory_efficient), tmp_path, leave_out=gone)
  message = error_of(vertex_model(memory_efficient), prefix)
  assert all(name + ' is missing' in message for name in gone) and message.count(' is missing') == 2
  bigger = models.VertexModel(
      transformer(memory_efficient), quantization_bits=4, max_num_input_verts=4)
  assert 'value_embeddings/embeddings has shape [9, 8], not [17, 8]' in error_of(bigger, prefix)


def test_the_other_attention_layout_is_named(tmp_path):
  prefix, _ = save(vertex_model(True), tmp_path)
  assert 'layer_0/self_attention/q/kernel is missing' in error_of(vertex_model(False), prefix)


def test_weights_that_the_model_lacks_are_named(tmp_path):
  prefix, _ = save(face_model(num_layers=2), tmp_path)
  message = error_of(face_model(num_layers=1), prefix)
  assert 'face_model lacks' in message
  assert 'face_model/transformer_decoder/layer_1/fc_1/kernel' in message
  assert 'Adam' not in message


def test_no_checkpoint(tmp_path):
  with pytest.raises(FileNotFoundError) as caught:
    restored(vertex_model(), str(tmp_path / 'none'))
  assert str(tmp_path / 'none') in str(caught.value) and '.index' in str(caught.value)


def test_a_damaged_checkpoint(tmp_path):
  prefix, _ = save(vertex_model(), tmp_path)
  with open(prefix + '.data-00000-of-00001', 'r+b') as file:
    file.truncate(100)
  assert 'cannot be restored' in error_of(vertex_model(), prefix)
  (tmp_path / 'model.index').write_bytes(b'not a checkpoint')
  assert 'cannot be restored' in error_of(vertex_model(), prefix)


def test_restoring_before_and_after_a_call_gives_the_same_outputs(tmp_path):
  prefix, _ = save(vertex_model(), tmp_path)
  batch = {'vertices_flat': np.array([[1, 2, 3, 4, 5, 6, 0]], np.int32)}
  outputs = []
  for before in (True, False):
    with tf.Graph().as_default(), tf.Session() as session:
      model = vertex_model()
      if before:
        checkpoint.restore_deepmind(session, model, prefix)
      logits = model(batch).logits
      if not before:
        checkpoint.restore_deepmind(session, model, prefix)
      outputs.append(session.run(logits))
  np.testing.assert_array_equal(*outputs)
  assert outputs[0].std() > 0


def face_logits(model, session):
  """Logits of vertices that lie 0.7 of a bin above the grid, where truncation rounds down."""
  vertices = (np.arange(12).reshape(1, 4, 3) % 6 + 0.7) / 7 - 0.5
  logits = model({'vertices': vertices.astype(np.float32),
                  'vertices_mask': np.ones([1, 4], np.float32),
                  'faces': np.array([[2, 3, 4, 0]], np.int32)}).logits
  return lambda: session.run(logits)


def test_restored_face_models_truncate_vertices(tmp_path, capsys):
  prefix, _ = save(face_model(), tmp_path)
  with tf.Graph().as_default(), tf.Session() as session:
    model = face_model()
    early = face_logits(model, session)
    assert not model.config.truncate_vertices
    checkpoint.restore_deepmind(session, model, prefix)
    assert 'outputs built before this restore quantise vertices to the nearest bin' in (
        capsys.readouterr().out)
    assert model.config.truncate_vertices
    late = face_logits(model, session)
    nearest, truncated = early(), late()
  with tf.Graph().as_default(), tf.Session() as session:
    model = face_model(truncate_vertices=True)
    early = face_logits(model, session)
    checkpoint.restore_deepmind(session, model, prefix)
    assert 'nearest' not in capsys.readouterr().out
    np.testing.assert_array_equal(early(), truncated)
  assert np.abs(nearest - truncated).max() > 1e-3


# The run folder.


def test_checkpoints_are_found_by_step(tmp_path):
  folder = checkpoint.RunFolder(str(tmp_path))
  assert folder.checkpoint_prefixes() == [] and folder.latest_checkpoint() is None
  prefix = folder.checkpoint_prefix()
  for name in ('model-9.index', 'model-100.index', 'model-20.index', 'model-300.meta',
               'model-x.index', 'other-500.index', 'model-400.index.tempstate1'):
    open(os.path.join(folder.checkpoints, name), 'w').close()
  assert folder.checkpoint_prefixes() == [prefix + '-9', prefix + '-20', prefix + '-100']
  assert folder.latest_checkpoint() == folder.require_checkpoint() == prefix + '-100'
  assert checkpoint.checkpoint_step(folder.latest_checkpoint()) == 100


def test_a_missing_config_is_named(tmp_path):
  folder = checkpoint.RunFolder(str(tmp_path))
  with pytest.raises(FileNotFoundError, match='not a run folder.*polygen.train'):
    folder.read_config()
  open(folder.checkpoint_prefix() + '-5.index', 'w').close()
  with pytest.raises(FileNotFoundError, match='config.json is missing') as caught:
    folder.read_config()
  assert 'train one' not in str(caught.value) and '\n' not in str(caught.value)


def test_unused_path(tmp_path):
  for name in ('a', 'b.json'):
    root, extension = os.path.splitext(str(tmp_path / name))
    for expected in (root + extension, root + '_2' + extension, root + '_3' + extension):
      assert checkpoint.unused_path(root + extension) == expected
      open(expected, 'w').close()
