"""The numpy examples and batches as tf.data datasets. TensorFlow is imported on use."""
import numpy as np

from . import batches
from . import examples
from . import packing


def make_vertex_model_dataset(ds, apply_random_shift=False, shift_factor=0.25,
                              quantization_bits=8, seed=None):
  """Adds the tokens of the vertex model to a dataset of processed meshes.

  Args:
    ds: tf.data.Dataset of dicts with 'vertices' int32 [V, 3]; other keys pass through.
    apply_random_shift: move each mesh at random, differently in every epoch.
    shift_factor: see augment.random_shift.
    quantization_bits: bits per coordinate.
    seed: makes the random numbers those of this seed, in the order in which the dataset is read;
      None for fresh ones.

  Returns:
    A dataset of the same dicts with 'vertices_flat' int32 [3V + 1], 'vertices_flat_mask' float32.
  """
  rng = np.random.default_rng(seed)

  def example(vertices):
    mesh = {'vertices': vertices}
    if apply_random_shift:
      mesh = examples.shift_mesh(mesh, shift_factor, quantization_bits, rng)
    return examples.vertex_example(mesh)

  spec = {'vertices_flat': (np.int32, [None]), 'vertices_flat_mask': (np.float32, [None])}
  return ds.map(lambda mesh: dict(mesh, **_call_numpy(example, [mesh['vertices']], spec)))


def make_face_model_dataset(ds, apply_random_shift=False, shuffle_vertices=True,
                            quantization_bits=8, shift_factor=0.25, seed=None):
  """Turns a dataset of processed meshes into examples of the face model.

  Args:
    ds: tf.data.Dataset of dicts with 'vertices' int32 [V, 3] and 'faces' int32 [F]; other keys
      pass through.
    shuffle_vertices: put the vertices in random order, differently in every epoch.
    apply_random_shift, shift_factor, quantization_bits, seed: as for the vertex model.

  Returns:
    A dataset of the same dicts with 'vertices' float32 [V, 3] (coordinates), 'vertices_mask'
    float32 [V], 'num_vertices' int32 [], 'faces' int32 [F], 'faces_mask' float32 [F].
  """
  rng = np.random.default_rng(seed)

  def example(vertices, faces):
    mesh = {'vertices': vertices, 'faces': faces}
    if apply_random_shift:
      mesh = examples.shift_mesh(mesh, shift_factor, quantization_bits, rng)
    return examples.face_example(mesh, shuffle_vertices, quantization_bits, rng)

  spec = {
      'vertices': (np.float32, [None, 3]),
      'vertices_mask': (np.float32, [None]),
      'num_vertices': (np.int32, []),
      'faces': (np.int32, [None]),
      'faces_mask': (np.float32, [None]),
  }
  return ds.map(lambda mesh: dict(
      mesh, **_call_numpy(example, [mesh['vertices'], mesh['faces']], spec)))


def training_dataset(meshes, labels, shape, start_step, stop_step, seed, quantization_bits=8,
                     random_shift=False, shuffle_vertices=True, rank=0, size=1,
                     parts=batches.PARTS):
  """`batches.training_batches` as a tf.data.Dataset of static shapes, made ahead of their use."""
  def batch_of(step):
    batch, = batches.training_batches(
        meshes, labels, shape, step, step + 1, seed, quantization_bits, random_shift,
        shuffle_vertices, rank, size)
    return batch

  spec = {part: batches.batch_spec(shape)[part] for part in parts}
  return _dataset_of_steps(batch_of, spec, start_step, stop_step)


def packed_training_dataset(meshes, labels, picks_of, start_step, stop_step, seed,
                            quantization_bits=8, random_shift=False, shuffle_vertices=True,
                            parts=batches.PARTS):
  """Examples step by step, packed (see packing.py): less padding, shapes that vary.

  Args:
    meshes, labels: processed meshes and the class of each.
    picks_of: function step -> list of (epoch, index), as buckets.BucketBatches.
    start_step, stop_step: the first step, and the one after the last.
    seed, quantization_bits, random_shift, shuffle_vertices: see batches.make_batch.
    parts: which of batches.PARTS to make.
  """
  def batch_of(step):
    return batches.make_packed_batch(meshes, labels, picks_of(int(step)), seed, quantization_bits,
                                     random_shift, shuffle_vertices, parts)

  spec = {part: packing.PACKED_SPEC[part] for part in parts}
  return _dataset_of_steps(batch_of, spec, start_step, stop_step)


def _dataset_of_steps(batch_of, spec, start_step, stop_step):
  """A dataset of `batch_of(step)`, {part: {key: array}} as in spec."""
  import tensorflow.compat.v1 as tf
  flat_spec = {(part, key): value for part, keys in spec.items() for key, value in keys.items()}

  def flat_batch_of(step):
    batch = batch_of(step)
    return {(part, key): batch[part][key] for part, key in flat_spec}

  def batch_tensors(step):
    nested = {}
    for (part, key), tensor in _call_numpy(flat_batch_of, [step], flat_spec).items():
      nested.setdefault(part, {})[key] = tensor
    return nested

  plain = tf.autograph.experimental.do_not_convert(batch_tensors)  # converting takes seconds
  return tf.data.Dataset.range(start_step, stop_step).map(plain).prefetch(2)


def _call_numpy(function, arguments, spec):
  """Calls a function that returns a dict of arrays; the same dict, of tensors.

  spec: {key: (numpy dtype, static shape)} of what it returns.
  """
  import tensorflow.compat.v1 as tf
  keys = sorted(spec)

  def values(*arrays):
    result = function(*arrays)
    return [result[key] for key in keys]

  outputs = tf.numpy_function(values, arguments, [tf.as_dtype(spec[key][0]) for key in keys])
  for key, output in zip(keys, outputs):
    output.set_shape(spec[key][1])
  return dict(zip(keys, outputs))
