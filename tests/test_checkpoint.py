"""Laws of polygen.checkpoint: DeepMind's weights, and the run folder."""
import functools
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


@functools.lru_cache(maxsize=None)
def weights_of(make, *arguments):
  """{name: array}: random weights of a model."""
  with tf.Graph().as_default():
    model = make(*arguments)
    model.build()
    return randomise.random_values(model.variables)


def save(path, weights):
  """A checkpoint as TF 1 training leaves it: weights, Adam's slots and counters, a global step.

  Args:
    path: folder.
    weights: {name: array}.

  Returns:
    prefix.
  """
  assert len(weights) > 15
  entries = {'global_step': np.int64(5), 'beta1_power': np.float32(0.9),
             'beta2_power': np.float32(0.99)}
  for name, value in weights.items():
    entries.update({name: value, name + '/Adam': value + 1, name + '/Adam_1': value + 2})
  names = sorted(entries)
  prefix = str(path / 'model')
  with tf.Graph().as_default(), tf.Session() as session:
    session.run(tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[''] * len(names),
        tensors=[entries[name] for name in names]))
  return prefix


def restored(model, prefix):
  """{name: array} of the weights after restore_deepmind."""
  with tf.Graph().as_default(), tf.Session() as session:
    checkpoint.restore_deepmind(session, model, prefix)
    return dict(zip([variable.op.name for variable in model.variables],
                    session.run(model.variables)))


@LAYOUTS
@pytest.mark.parametrize('make, prefix_type', [(vertex_model, pathlib.Path), (face_model, str)])
def test_weights_are_restored_and_optimizer_slots_ignored(
    make, prefix_type, memory_efficient, tmp_path, capsys):
  expected = weights_of(make, memory_efficient)
  prefix = save(tmp_path, expected)
  found = restored(make(memory_efficient), prefix_type(prefix))
  assert found.keys() == expected.keys()
  for name in found:
    np.testing.assert_array_equal(found[name], expected[name], name)
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 1 and prefix in lines[0]
  assert 'ignored {} entries'.format(2 * len(found) + 3) in lines[0]


def test_the_slots_are_named_as_training_names_them(tmp_path):
  """The hand-made checkpoints above against one of a Saver after a step of Adam."""
  with tf.Graph().as_default(), tf.Session() as session:
    variable = tf.get_variable('vertex_model/embed_zero', [2], use_resource=True)
    step = tf.train.get_or_create_global_step()
    tf.train.AdamOptimizer().minimize(tf.reduce_sum(variable ** 2), step, [variable])
    session.run(tf.global_variables_initializer())
    prefix = tf.train.Saver().save(session, str(tmp_path / 'adam'))
  assert set(checkpoint.variable_shapes(prefix)) == {
      'vertex_model/embed_zero', 'vertex_model/embed_zero/Adam', 'vertex_model/embed_zero/Adam_1',
      'beta1_power', 'beta2_power', 'global_step'}


def error_of(model, prefix):
  with pytest.raises(checkpoint.CheckpointError) as caught:
    restored(model, prefix)
  assert '\n' not in str(caught.value) and prefix in str(caught.value)
  return str(caught.value)


@LAYOUTS
def test_missing_and_misshapen_variables_are_named(memory_efficient, tmp_path):
  gone = 'vertex_model/transformer_decoder/layer_0/fc_1/bias', 'vertex_model/embed_zero'
  weights = dict(weights_of(vertex_model, memory_efficient))
  for name in gone:
    del weights[name]
  table = 'vertex_model/value_embeddings/embeddings'
  weights[table] = np.zeros([17, 8], np.float32)
  message = error_of(vertex_model(memory_efficient), save(tmp_path, weights))
  assert all(name + ' is missing' in message for name in gone) and message.count(' is missing') == 2
  assert table + ' has shape [17, 8], not [9, 8]' in message and message.count('has shape') == 1


def test_the_other_attention_layout_is_named(tmp_path):
  prefix = save(tmp_path, weights_of(vertex_model, True))
  assert 'layer_0/self_attention/q/kernel is missing' in error_of(vertex_model(False), prefix)


def test_weights_that_the_model_lacks_are_named(tmp_path):
  prefix = save(tmp_path, weights_of(face_model, False, 2))
  message = error_of(face_model(num_layers=1), prefix)
  assert 'face_model lacks' in message
  assert 'face_model/transformer_decoder/layer_1/fc_1/kernel' in message
  assert 'Adam' not in message


def test_no_checkpoint(tmp_path):
  with pytest.raises(FileNotFoundError) as caught:
    restored(vertex_model(), str(tmp_path / 'none'))
  assert str(tmp_path / 'none') in str(caught.value) and '.index' in str(caught.value)


def test_a_damaged_checkpoint(tmp_path):
  prefix = save(tmp_path, weights_of(vertex_model))
  with open(prefix + '.data-00000-of-00001', 'r+b') as file:
    file.truncate(100)
  assert 'cannot be restored' in error_of(vertex_model(), prefix)
  (tmp_path / 'model.index').write_bytes(b'not a checkpoint')
  assert 'cannot be restored' in error_of(vertex_model(), prefix)


def test_restoring_before_and_after_a_call_gives_the_same_outputs(tmp_path):
  prefix = save(tmp_path, weights_of(vertex_model))
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
  prefix = save(tmp_path, weights_of(face_model))
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


def test_checkpoints_are_those_of_a_saver_and_the_graph_does_not_grow(tmp_path):
  folder = checkpoint.RunFolder(str(tmp_path))
  with tf.Graph().as_default() as graph, tf.Session() as session:
    vertex_model().build()
    tf.train.get_or_create_global_step()
    values = [graph.as_graph_element(variable) for variable in tf.global_variables()]
    saver = tf.train.Saver()
    checkpoints = checkpoint.Checkpoints(folder, keep=2, restores=True)
    initialise = tf.global_variables_initializer()
    graph.finalize()
    session.run(initialise)
    written = session.run(values)
    for step in (1, 2, 3):
      checkpoints.save(session, step)
    expected = saver.save(session, str(tmp_path / 'expected'), write_meta_graph=False)
    session.run(initialise)
    assert any((a != b).any() for a, b in zip(session.run(values), written))
    checkpoints.restore(session, folder.latest_checkpoint())
    for a, b in zip(session.run(values), written):
      np.testing.assert_array_equal(a, b)
  assert [checkpoint.checkpoint_step(prefix) for prefix in folder.checkpoint_prefixes()] == [2, 3]
  found, wanted = map(tf.train.load_checkpoint, (folder.latest_checkpoint(), expected))
  shapes = found.get_variable_to_shape_map()
  assert len(shapes) > 10 and shapes == wanted.get_variable_to_shape_map()
  assert found.get_variable_to_dtype_map() == wanted.get_variable_to_dtype_map()
