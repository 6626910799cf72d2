"""Laws of the Transformer stacks and of dropout, on random variables."""
import dataclasses
import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import naive_transformer
import randomise
from polygen.config import TransformerConfig
from polygen.layers import blocks
from polygen.layers import layouts
from polygen.layers import transformer as transformer_layers
from polygen.layers import variables
from polygen.layers.dropout import Dropout
from polygen.layers.masks import padding_bias
from polygen.layers.transformer import (decoding_state, decoding_weights, memory_key_values,
                                        transformer, transformer_step, transformer_weights)

BATCH, LENGTH, MEMORY_LENGTH, PADDING = 2, 5, 4, 3
PLAIN = TransformerConfig(hidden_size=12, fc_size=20, num_heads=3, num_layers=2, dropout_rate=0.5)
STACKS = {
    'plain': (PLAIN, False),
    'cross_attention': (PLAIN, True),
    'no_layer_norm': (dataclasses.replace(PLAIN, layer_norm=False), False),
    'no_re_zero': (dataclasses.replace(PLAIN, re_zero=False), True),
    'memory_efficient': (dataclasses.replace(PLAIN, memory_efficient=True), True),
}
CLOSE = {'atol': 1e-5, 'rtol': 1e-5}


class Stack:
  """One stack in its graph: causal, step by step, and as an encoder."""

  def __init__(self, config, cross_attention):
    self.config, self.cross_attention = config, cross_attention
    with tf.Graph().as_default():
      self.x = tf.placeholder(tf.float32, [None, None, config.hidden_size])
      self.mask = tf.placeholder(tf.float32, [None, None])
      self.memory = tf.placeholder(tf.float32, [None, None, config.hidden_size])
      self.memory_mask = tf.placeholder(tf.float32, [None, None])
      with variables.model_scope('stack'):
        weights = transformer_weights('transformer', config, cross_attention)
      memory = memory_key_values(self.memory, weights) if cross_attention else None
      memory_bias = padding_bias(self.memory_mask) if cross_attention else None
      length = tf.shape(self.x)[1]
      self.causal = transformer(self.x, weights, blocks.causal(length), memory,
                                blocks.whole(memory_bias))
      self.encoded = transformer(
          self.x, weights, blocks.whole(padding_bias(self.mask)), memory,
          blocks.whole(memory_bias))
      self.causal_by_steps = [self._steps(layout, memory, memory_bias)
                              for layout in (self._rows(weights), self._columns(weights))]
      self.session = randomise.randomised_session(variables.model_variables('stack'))
      self.values = self._values()

  def _rows(self, weights):
    rows = decoding_weights(weights, compiled=False)
    assert rows.layout is layouts.ROWS
    return rows

  def _columns(self, weights):
    with pytest.MonkeyPatch().context() as patch:
      patch.setattr(transformer_layers, 'COLUMNS_HIDDEN_SIZE', self.config.hidden_size)
      columns = decoding_weights(weights, compiled=True)
    assert columns.layout is layouts.COLUMNS
    return columns

  def _steps(self, weights, memory, memory_bias):
    def step(index, state, outputs):
      output, state = transformer_step(
          self.x[:, index:index + 1], weights, state, index, memory, memory_bias)
      return index + 1, state, outputs.write(index, output[:, 0])

    _, _, outputs = tf.while_loop(
        lambda index, *unused: index < LENGTH, step,
        (tf.constant(0), decoding_state(BATCH, weights).empty(LENGTH),
         tf.TensorArray(tf.float32, LENGTH)))
    return tf.transpose(outputs.stack(), [1, 0, 2])

  def _values(self):
    prefix = 'stack/transformer/'
    all_variables = variables.model_variables('stack')
    return {variable.op.name[len(prefix):]: value
            for variable, value in zip(all_variables, self.session.run(all_variables))}

  def run(self, tensor, inputs, session=None, **changes):
    feed = {getattr(self, name): value for name, value in dict(inputs, **changes).items()}
    return (session or self.session).run(tensor, feed)

  def naive(self, inputs, allowed):
    """allowed: bool [B, T, T]."""
    rows = []
    for row in range(len(inputs['x'])):
      memory_allowed = np.repeat(inputs['memory_mask'][row][None] > 0, LENGTH, axis=0)
      rows.append(naive_transformer.transformer(
          inputs['x'][row], self.values, self.config.num_layers, self.config.num_heads,
          allowed[row], inputs['memory'][row] if self.cross_attention else None, memory_allowed))
    return np.stack(rows)


@functools.lru_cache(maxsize=None)
def built(name):
  return Stack(*STACKS[name])


@pytest.fixture(scope='module', params=sorted(STACKS))
def stack(request):
  return built(request.param)


@pytest.fixture(scope='module')
def inputs():
  generator = np.random.Generator(np.random.Philox(1))
  size = PLAIN.hidden_size
  return {
      'x': generator.standard_normal([BATCH, LENGTH, size]).astype(np.float32),
      'mask': np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.float32),
      'memory': generator.standard_normal([BATCH, MEMORY_LENGTH, size]).astype(np.float32),
      'memory_mask': np.array([[1, 1, 1, 0], [1, 1, 1, 1]], np.float32)}


def test_outputs_depend_on_every_input(stack, inputs):
  output = stack.run(stack.causal, inputs)
  assert output.std() > 0.5
  assert np.abs(output - inputs['x']).max() > 0.1
  changed = stack.run(stack.causal, inputs, memory=inputs['memory'][::-1])
  assert (np.abs(changed - output).max() > 1e-2) == stack.cross_attention


def test_step_by_step_equals_all_at_once(stack, inputs):
  whole = stack.run(stack.causal, inputs)
  for by_steps in stack.run(stack.causal_by_steps, inputs):
    np.testing.assert_allclose(by_steps, whole, **CLOSE)


def test_agrees_with_naive_twin(stack, inputs):
  causal = np.tril(np.ones([BATCH, LENGTH, LENGTH], bool))
  np.testing.assert_allclose(
      stack.run(stack.causal, inputs), stack.naive(inputs, causal), **CLOSE)
  unpadded = np.repeat(inputs['mask'][:, None] > 0, LENGTH, axis=1)
  np.testing.assert_allclose(
      stack.run(stack.encoded, inputs), stack.naive(inputs, unpadded), **CLOSE)


def test_later_inputs_change_no_earlier_output(stack, inputs):
  before = stack.run(stack.causal, inputs)
  for place in range(LENGTH):
    x = inputs['x'].copy()
    x[:, place] += 1
    x[:, place, 0] -= 3
    after = stack.run(stack.causal, inputs, x=x)
    np.testing.assert_array_equal(after[:, :place], before[:, :place])
    assert (np.abs(after - before)[:, place:].max(axis=(0, 2)) > 1e-4).all()


def test_padding_changes_no_real_output(stack, inputs):
  widths = [[0, 0], [0, PADDING]]
  junk = {'x': np.pad(inputs['x'], widths + [[0, 0]], 'constant', constant_values=7),
          'mask': np.pad(inputs['mask'], widths, 'constant'),
          'memory': np.pad(inputs['memory'], widths + [[0, 0]], 'constant', constant_values=7),
          'memory_mask': np.pad(inputs['memory_mask'], widths, 'constant')}
  junk['x'][junk['mask'] == 0] -= 20
  junk['memory'][junk['memory_mask'] == 0] += 20
  real = inputs['mask'] > 0
  plain = stack.run(stack.encoded, inputs)
  np.testing.assert_allclose(
      stack.run(stack.encoded, junk)[:, :LENGTH][real], plain[real], **CLOSE)
  everywhere = stack.run(stack.encoded, inputs, mask=np.ones_like(inputs['mask']))
  assert np.abs(everywhere - plain)[1].max() > 1e-3


def test_both_attention_layouts_are_one_function(inputs):
  separate, joined = built('cross_attention'), built('memory_efficient')
  values = dict(separate.values)
  for number in range(PLAIN.num_layers):
    scope = 'layer_{}/self_attention/'.format(number)
    heads = [naive_transformer.head_kernels(values, scope, head, PLAIN.num_heads)
             for head in range(PLAIN.num_heads)]
    values[scope + 'wqkv'] = np.stack([np.concatenate(head[:3], axis=1) for head in heads])[:, None]
    values[scope + 'wo'] = np.stack([head[3] for head in heads])[:, None]
  with joined.session.graph.as_default(), tf.Session() as session:
    randomise.assign(session, variables.model_variables('stack'), {
        'stack/transformer/' + name: value for name, value in values.items()})
    copied = joined.run(joined.causal, inputs, session=session)
  np.testing.assert_allclose(copied, separate.run(separate.causal, inputs), **CLOSE)


ONES = np.ones([100, 100], np.float32)


def test_dropout_of_rate_zero_is_the_identity():
  with tf.Graph().as_default() as graph:
    x = tf.constant(ONES)
    assert Dropout(0.)(x) is x
    assert len(graph.get_operations()) == 1


def test_dropout_noise_is_a_function_of_seed_site_and_stack():
  def dropped(seed, stack=0, sites=1):
    dropout = Dropout(0.4, tf.constant(seed), stack)
    return [dropout(tf.constant(ONES)) for _ in range(sites)]

  with tf.Graph().as_default(), tf.Session() as session:
    first, again, others, unseeded = session.run([
        dropped([3, 5], sites=2), dropped([3, 5], sites=2),
        dropped([4, 5]) + dropped([3, 6]) + dropped([3, 5], stack=1), Dropout(0.4)(ONES)])
  np.testing.assert_array_equal(first, again)
  outputs = list(first) + list(others) + [unseeded]
  for number, output in enumerate(outputs):
    assert set(np.unique(output)) == {np.float32(0), np.float32(1 / 0.6)}
    assert abs((output == 0).mean() - 0.4) < 0.02  # four standard deviations
    for other in outputs[:number]:
      assert abs(((output == 0) == (other == 0)).mean() - 0.52) < 0.025


@pytest.mark.parametrize('name', sorted(STACKS))
def test_every_branch_draws_its_own_noise(name):
  config, cross_attention = STACKS[name]
  with tf.Graph().as_default() as graph, tf.Session() as session:
    with variables.model_scope('stack'):
      weights = transformer_weights('transformer', config, cross_attention)
    x = tf.ones([1, LENGTH, config.hidden_size])
    transformer(x, weights, blocks.causal(LENGTH),
                memory_key_values(x, weights) if cross_attention else None,
                dropout=Dropout(config.dropout_rate, tf.constant([3, 5])))
    noises = session.run([op.outputs[0] for op in graph.get_operations()
                          if op.type == 'StatelessRandomUniform'])
  assert len(noises) == config.num_layers * (3 if cross_attention else 2)
  assert len({noise.tobytes() for noise in noises}) == len(noises)


def test_dropout_without_seed_is_fresh_at_every_run():
  with tf.Graph().as_default(), tf.Session() as session:
    dropped = Dropout(0.4)(tf.constant(ONES))
    assert (session.run(dropped) != session.run(dropped)).any()


@pytest.mark.parametrize('memory_efficient', [False, True])
def test_a_switch_turns_dropout_off(memory_efficient):
  config = dataclasses.replace(PLAIN, memory_efficient=memory_efficient)
  with tf.Graph().as_default():
    with variables.model_scope('stack'):
      weights = transformer_weights('transformer', config)
    x = tf.constant(np.random.RandomState(0).rand(2, LENGTH, config.hidden_size), tf.float32)
    switch, seed = tf.placeholder(tf.bool, []), tf.constant([3, 5])
    outputs = [transformer(x, weights, blocks.causal(LENGTH),
                           dropout=Dropout(config.dropout_rate, seed, acts=acts))
               for acts in (switch, True, 1, False, 0, None)]
    gradients = [tf.gradients(tf.reduce_sum(y ** 2), x)[0] for y in outputs]
    with randomise.randomised_session(variables.model_variables('stack')) as session:
      on, off = (session.run([outputs, gradients], {switch: value}) for value in (True, False))
  for dropped, kept in zip(on, off):
    assert np.abs(dropped[1] - dropped[3]).max() > 0.01
    for same in dropped[0], dropped[2]:
      np.testing.assert_allclose(same, dropped[1], **CLOSE)
    for same in kept[0], kept[4], kept[5]:
      np.testing.assert_allclose(same, kept[3], **CLOSE)
