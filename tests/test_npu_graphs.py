"""The graphs that an Ascend NPU would be given: nothing the lint knows is in them, and loops of
fixed length draw the same tokens as those that end early."""
import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fake_adapter
import graph_nodes
import model_cases
import randomise
from polygen import config, data, hw
from polygen.hw import lint
from polygen.layers.decoding import Loop, State, decode
from polygen.layers.matmul import matmul_operands
from polygen.models import FaceModel, VertexModel
from polygen.sampling import Sampler
from polygen.training.losses import batch_losses
from polygen.training.step import training_step

BITS, NUM_CLASSES, BATCH = 4, 3, 3
SHAPE = data.BatchShape(BATCH, 4, 20)
MESH = {'vertices': np.arange(9, dtype=np.int32).reshape(3, 3),
        'faces': np.array([2, 3, 4, 0], np.int32)}


def models(variant, dropout_rate=0.):
  """variant: 'full' has classes, tables and cross-attention, 'plain' none of them."""
  full = variant == 'full'
  transformer = dataclasses.replace(
      model_cases.SHALLOW, dropout_rate=dropout_rate, memory_efficient=full)
  return {
      'vertex': VertexModel(
          transformer, BITS, class_conditional=full, num_classes=NUM_CLASSES,
          max_num_input_verts=SHAPE.num_vertices, use_discrete_embeddings=full),
      'face': FaceModel(
          transformer, transformer, class_conditional=full, num_classes=NUM_CLASSES,
          decoder_cross_attention=full, use_discrete_vertex_embeddings=full,
          quantization_bits=BITS, max_seq_length=SHAPE.face_tokens)}


def training_graph(models_, machine, **training):
  """The padded training step, built in the default graph, and the initialisation."""
  batch = tf.data.make_initializable_iterator(data.training_dataset(
      [MESH] * 2, [0, 1], SHAPE, 0, 5, seed=0, quantization_bits=BITS)).get_next()
  with matmul_operands(machine.precision.matmul_type, machine.precision.native):
    step = training_step(models_, batch, config.TrainingConfig(**training), machine)
  accumulate = [step.accumulate] if step.accumulate else []
  return [step.train, *accumulate, *step.losses.values(), step.global_step, step.skipped_updates,
          tf.global_variables_initializer(), tf.local_variables_initializer()]


def sampling_graph(models_, **options):
  """All operations of the sampling graph."""
  sampling = config.SamplingConfig(temperature=0.9, top_k=9, top_p=0.9)
  with tf.Graph().as_default() as graph:
    Sampler(models_.values(), BATCH, sampling, recenter=True, **options)
    return graph.get_operations()


@pytest.mark.parametrize('variant, dropout_rate, device, mode, training', [
    ('full', 0.3, 'npu', 'mix', {}),
    ('plain', 0., 'npu', 'bfloat16', {
        'learning_rate_decay': 'none', 'loss_scaling': 'fixed', 'warmup_steps': 3,
        'gradient_clip_norm': 1., 'accumulate': 2}),
])
def test_the_padded_training_graph_is_clean(variant, dropout_rate, device, mode, training):
  with tf.Graph().as_default() as graph, fake_adapter.installed():
    tf.set_random_seed(3)
    machine = hw.choose_machine(device, mode)
    fetches = training_graph(models(variant, dropout_rate), machine, **training)
    types = [node.op for node in graph_nodes.all_nodes(graph)]
    assert ('StatelessRandomUniform' in types) == (dropout_rate > 0)
    assert types.count('ResourceApplyAdam') == len(tf.trainable_variables()) > 50
    assert lint(fetches) == []


@pytest.mark.parametrize('variant', ['full', 'plain'])
def test_the_padded_evaluation_graph_is_clean(variant):
  with tf.Graph().as_default():
    batch = {part: {key: tf.placeholder(*spec) for key, spec in keys.items()}
             for part, keys in data.batches.batch_spec(SHAPE).items()}
    assert lint(list(batch_losses(models(variant), batch).values())) == []


def test_the_packed_training_graph_is_not_static():
  with tf.Graph().as_default():
    batch = tf.data.make_initializable_iterator(data.packed_training_dataset(
        [MESH] * 2, [0, 1], lambda step: [(0, 0), (0, 1)], 0, 5, seed=0,
        quantization_bits=BITS)).get_next()
    assert any('unknown dimension' in finding
               for finding in lint(list(batch_losses(models('full'), batch).values())))


@pytest.mark.parametrize('variant', ['full', 'plain'])
def test_the_sampling_graph_of_fixed_length_is_clean(variant):
  operations = sampling_graph(models(variant), fixed_length=True)
  loops = [op for op in operations if op.type in ('LoopCond', 'While', 'StatelessWhile')]
  assert len(loops) == 2
  assert lint(operations) == []


def test_only_the_rounds_of_the_ordinary_sampling_graph_are_faults():
  findings = lint(sampling_graph(models('full')))
  assert len({finding.split(' ')[0] for finding in findings}) == 2
  assert all('number of rounds' in finding for finding in findings)


# What becomes of a row: the step of its STOP, or None.
STOPS = {'some cut off': (0, 3, 7, 12, None), 'all early': (0, 3, 4, 3, 6),
         'all at once': (0, 0, 0, 0, 0), 'all cut off': (None,) * 5}


def noise_of(stops, steps, key):
  """Under a uniform of 0 the first token, STOP, is drawn, under one near 1 another."""
  noise = 0.6 + 0.4 * model_cases.philox(*key).random((len(stops), steps), np.float32)
  for row, stop in zip(noise, stops):
    if stop is not None:
      row[stop] = 0
  return np.minimum(noise, np.float32(0.99999))


class BothLengths:
  """Every model sampled by loops that end early, and by loops of fixed length."""

  def __init__(self):
    vertex_model = model_cases.vertex_model(class_conditional=True)
    face_model = model_cases.face_model()
    examples = model_cases.vertex_batch(5, 4), model_cases.face_batch(5, 4, 6)
    self.noise = [tf.placeholder(tf.float32, [5, steps]) for steps in (19, 14)]
    self.vertices, self.faces = [[
        vertex_model.sample(5, examples[0], noise=self.noise[0], recenter_verts=False,
                            only_return_complete=False, fixed_length=fixed_length),
        face_model.sample(examples[1], noise=self.noise[1], only_return_complete=False,
                          fixed_length=fixed_length),
    ] for fixed_length in (False, True)]
    self.session = randomise.randomised_session(vertex_model.variables + face_model.variables)


def test_fixed_loops_draw_the_same_tokens():
  with tf.Graph().as_default():
    both = BothLengths()
  seen = set()
  for number, (name, stops) in enumerate(sorted(STOPS.items())):
    feed = {noise: noise_of(stops, noise.shape.as_list()[1], (number, place))
            for place, noise in enumerate(both.noise)}
    early, fixed = both.session.run([both.vertices, both.faces], feed)
    for part_early, part_fixed in zip(early, fixed):
      seen.add((name, part_early['completed'].all(), part_early['completed'].any()))
      for key, value in part_early.items():
        if key != 'context':
          np.testing.assert_array_equal(part_fixed[key], value)
    assert np.abs(early[0]['vertices']).max() > 0.1 or name == 'all at once'
  assert {('all early', True, True), ('all cut off', False, False),
          ('some cut off', False, True)} <= seen


@pytest.mark.parametrize('stops, rounds', [((1, 3), 4), ((1, None), 6), ((0, 0), 1)])
def test_only_the_early_loop_ends_early(stops, rounds):
  """A model whose logits are those of a table; it counts its calls."""
  steps, stop = 6, 0
  wanted = np.full([len(stops), steps], 2)
  for row, place in enumerate(stops):
    if place is not None:
      wanted[row, place:] = stop
  counted = []

  def count(index):
    counted.append(int(index))
    return np.float32(0)

  def next_logits(x, state, index):
    zero = tf.ensure_shape(tf.numpy_function(count, [index], tf.float32), [])
    return tf.one_hot(tf.constant(wanted)[:, index], 3) * 50. + zero, state

  for fixed_length in (False, True):
    counted.clear()
    with tf.Graph().as_default(), tf.Session() as session:
      decoded = session.run(decode(
          next_logits, lambda token, index: tf.zeros([2, 1, 1]), tf.zeros([2, 1, 1]),
          State(lambda length: (), None), tf.fill([2, steps], 0.5), stop,
          Loop(fixed_length=fixed_length)))
    assert counted == list(range(steps if fixed_length else rounds))
    np.testing.assert_array_equal(decoded.tokens, wanted)
    np.testing.assert_array_equal(decoded.stopped, [place is not None for place in stops])
