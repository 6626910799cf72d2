"""How well training is fed: the share of real tokens in its batches, and the time it waits.

The set holds the classes of objects.py and spheres: 10 to 730 vertices, 37 to 5824 face tokens.
"""
import itertools
import time

import numpy as np
import tensorflow.compat.v1 as tf

from polygen import checkpoint, config, data, hw
from polygen.training import inputs, step

from . import meshes, objects, unit

NUM_OBJECTS, SEED, STEPS = 600, 0, 40
# The longest mesh has 8015 tokens.
TOKENS_PER_BATCH = 16384


def varied_set():
  """A data.MeshSet of meshes of widely varying lengths."""
  names = sorted(objects.CLASSES)
  raw = [objects.CLASSES[names[number % len(names)]](np.random.default_rng([SEED, number]))
         for number in range(NUM_OBJECTS)]
  raw += [meshes.sphere(rings, corners) for rings, corners in itertools.product(
      range(4, 29, 3), range(5, 29, 3))]
  processed = [data.process_mesh(*mesh) for mesh in raw]
  labels = np.zeros(len(processed), np.int32)
  return data.MeshSet(processed, labels, (), ('all',), False, '')


def real_share(tokens_per_batch=TOKENS_PER_BATCH):
  """Measurement of the percentage of positions that hold a real token, over one epoch."""
  mesh_set = varied_set()
  picks_of = inputs.picks_of_steps(
      config.TrainingConfig(tokens_per_batch=tokens_per_batch), mesh_set)
  real = computed = 0
  for number in range(picks_of.batches_per_epoch):
    batch = data.make_packed_batch(mesh_set.meshes, mesh_set.labels, picks_of(number), SEED)
    for mask in (batch['vertex']['vertices_flat_mask'], batch['face']['faces_mask'],
                 batch['face']['packed_vertices_segments']):
      real += int((mask > 0).sum())
      computed += mask.size
  lengths = data.num_tokens(mesh_set.lengths)
  return unit.Measurement(100. * real / computed, None, {
      'meshes': len(lengths), 'shortest': int(lengths.min()), 'longest': int(lengths.max()),
      'batches': picks_of.batches_per_epoch})


def waiting():
  """Measurement of the percentage of the time of training that no step computes, for want of data.

  Batches are made while the step before computes, as in training; what is left is measured.
  """
  mesh_set = varied_set()
  settings = config.TrainingConfig(tokens_per_batch=TOKENS_PER_BATCH, random_shift=True)
  machine = hw.choose_machine('cpu', 'float32')
  preset = config.PRESETS['toy']
  longest = mesh_set.lengths.max(axis=0).tolist()
  run_config = config.replace_fields(preset, {
      'vertex_model.max_num_input_verts': longest[0], 'vertex_model.class_conditional': False,
      'face_model.max_seq_length': longest[1]})
  with tf.Graph().as_default(), tf.Session(config=machine.session_config()) as session:
    iterator = tf.data.make_initializable_iterator(data.packed_training_dataset(
        mesh_set.meshes, mesh_set.labels, inputs.picks_of_steps(settings, mesh_set), 0, STEPS + 1,
        SEED, random_shift=True))
    batch = iterator.get_next()
    fed = {part: {key: tf.placeholder(tensor.dtype, tensor.shape)
                  for key, tensor in keys.items()} for part, keys in batch.items()}
    training = step.training_step(checkpoint.build_models(run_config), fed, settings, machine)
    session.run([tf.global_variables_initializer(), iterator.initializer])
    waited = computed = 0.
    for number in range(STEPS + 1):
      start = time.perf_counter()
      values = session.run(batch)
      ready = time.perf_counter()
      session.run(training.train, {
          fed[part][key]: value for part, keys in values.items() for key, value in keys.items()})
      if number:
        waited += ready - start
        computed += time.perf_counter() - ready
  return unit.Measurement(100. * waited / (waited + computed), None, {
      'steps': STEPS, 'seconds_per_step': round((waited + computed) / STEPS, 3)})
