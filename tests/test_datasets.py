import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from polygen import data


@pytest.fixture(scope='module')
def meshes():
  return [dict(data.process_mesh(*mesh), class_label=label)
          for label, mesh in enumerate(data.primitive_meshes().values())]


def mesh_dataset(meshes):
  return tf.data.Dataset.from_generator(
      lambda: meshes,
      output_types={'vertices': tf.int32, 'faces': tf.int32, 'class_label': tf.int32},
      output_shapes={'vertices': tf.TensorShape([None, 3]), 'faces': tf.TensorShape([None]),
                     'class_label': tf.TensorShape(())})


def read(make_dataset, count):
  """The first `count` elements of a dataset, in a graph of its own."""
  with tf.Graph().as_default(), tf.Session() as session:
    element = tf.data.make_one_shot_iterator(make_dataset()).get_next()
    return [session.run(element) for _ in range(count)]


def assert_equal_trees(a, b):
  assert a.keys() == b.keys() and a
  for key in a:
    np.testing.assert_array_equal(a[key], b[key], key)


def test_import_loads_no_heavy_library():
  code = ('import sys, polygen.data; '
          'print([name for name in ("tensorflow", "matplotlib", "trimesh") '
          'if name in sys.modules])')
  assert subprocess.check_output([sys.executable, '-c', code]).split() == [b'[]']


@pytest.mark.parametrize('random_shift', [False, True])
def test_vertex_dataset_pads_and_batches_as_the_notebook_does(meshes, random_shift):
  def dataset():
    ds = data.make_vertex_model_dataset(mesh_dataset(meshes), apply_random_shift=random_shift)
    shapes = tf.data.get_output_shapes(ds)
    assert shapes['vertices_flat'].as_list() == [None]
    assert shapes['vertices_flat_mask'].as_list() == [None]
    ds = ds.repeat()
    return ds.padded_batch(4, padded_shapes=tf.data.get_output_shapes(ds)).prefetch(1)

  for batch in read(dataset, 3):
    assert sorted(batch) == ['class_label', 'faces', 'vertices', 'vertices_flat',
                             'vertices_flat_mask']
    assert batch['vertices_flat'].shape == batch['vertices_flat_mask'].shape == (4, 193)
    assert batch['class_label'].tolist() == [0, 1, 2, 3]
    for row, mesh in enumerate(meshes):
      length = 3 * len(mesh['vertices']) + 1
      assert batch['vertices_flat_mask'][row].sum() == length
      found = data.unflatten_vertices(batch['vertices_flat'][row])
      move = found - mesh['vertices']
      assert (move == move[0]).all() and (random_shift or not move.any())


def test_face_dataset_pads_and_batches_as_the_notebook_does(meshes):
  def dataset():
    ds = data.make_face_model_dataset(mesh_dataset(meshes), apply_random_shift=False)
    shapes = {key: shape.as_list() for key, shape in tf.data.get_output_shapes(ds).items()}
    assert shapes == {'vertices': [None, 3], 'vertices_mask': [None], 'faces': [None],
                      'faces_mask': [None], 'num_vertices': [], 'class_label': []}
    ds = ds.repeat()
    return ds.padded_batch(4, padded_shapes=tf.data.get_output_shapes(ds)).prefetch(1)

  batches = read(dataset, 3)
  for batch in batches:
    assert batch['vertices'].dtype == np.float32 and batch['vertices'].shape == (4, 64, 3)
    assert batch['faces'].shape == batch['faces_mask'].shape == (4, 320)
    assert batch['num_vertices'].tolist() == [len(mesh['vertices']) for mesh in meshes]
    assert batch['vertices_mask'].sum(axis=1).tolist() == batch['num_vertices'].tolist()
    for row, mesh in enumerate(meshes):
      count = batch['num_vertices'][row]
      bins = data.quantize_verts(batch['vertices'][row, :count])
      again = data.canonical_mesh(bins, data.unflatten_faces(batch['faces'][row]))
      assert again[0].tolist() == mesh['vertices'].tolist()
      assert data.flatten_faces(again[1]).tolist() == mesh['faces'].tolist()
  assert (batches[0]['faces'] != batches[1]['faces']).any()


@pytest.mark.parametrize('make', [
    lambda ds, seed: data.make_vertex_model_dataset(ds, apply_random_shift=True, seed=seed),
    lambda ds, seed: data.make_face_model_dataset(ds, seed=seed),
    lambda ds, seed: data.make_face_model_dataset(
        ds, apply_random_shift=True, shuffle_vertices=False, seed=seed)])
def test_randomness_differs_by_epoch_and_repeats_by_seed(meshes, make):
  def examples(seed):
    return read(lambda: make(mesh_dataset(meshes), seed).repeat(), 8)
  first, again, other, fresh = examples(1), examples(1), examples(2), examples(None)
  for a, b in zip(first, again):
    assert_equal_trees(a, b)
  key = 'vertices_flat' if 'vertices_flat' in first[0] else 'vertices'
  for elsewhere in (first[4:], other[:4], fresh[:4]):
    assert any((a[key] != b[key]).any() for a, b in zip(first, elsewhere))


def test_other_bits_and_no_shuffling(meshes):
  mesh = data.process_mesh(*data.primitive_meshes()['cone'], quantization_bits=6)
  mesh['class_label'] = 3
  element, = read(lambda: data.make_face_model_dataset(
      mesh_dataset([mesh]), shuffle_vertices=False, quantization_bits=6), 1)
  np.testing.assert_array_equal(element['vertices'], data.dequantize_verts(mesh['vertices'], 6))
  np.testing.assert_array_equal(element['faces'], mesh['faces'])


def test_a_vertex_dataset_needs_no_faces(meshes):
  def dataset():
    return data.make_vertex_model_dataset(
        mesh_dataset(meshes).map(lambda mesh: {'vertices': mesh['vertices'], 'extra': 1}))
  element, = read(dataset, 1)
  assert sorted(element) == ['extra', 'vertices', 'vertices_flat', 'vertices_flat_mask']


def test_training_dataset_delivers_the_numpy_batches(meshes):
  labels = np.arange(4, dtype=np.int32)
  shape = data.padded_shape(meshes, 3)
  arguments = dict(seed=5, quantization_bits=8, random_shift=True, shuffle_vertices=True, rank=1,
                   size=2)

  def dataset():
    ds = data.training_dataset(meshes, labels, shape, 2, 7, **arguments)
    for part in tf.data.get_output_shapes(ds).values():
      assert part and all(dims.is_fully_defined() for dims in part.values())
    return ds

  expected = list(data.training_batches(meshes, labels, shape, 2, 7, **arguments))
  assert len(expected) == 5
  for found, batch in zip(read(dataset, 5), expected):
    for part in batch:
      assert_equal_trees(found[part], batch[part])
  with pytest.raises(tf.errors.OutOfRangeError):
    read(dataset, 6)
