"""The lint finds every kind of fault in a tiny graph, and names it."""
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from polygen.hw import graph_lint
from polygen.hw import lint


def numbers(*shape):
  return tf.placeholder(tf.float32, shape, name='numbers')


def looped(condition, counters=0):
  """A loop over (index, x [2], counters) that goes on while condition(index, x, *counters)."""
  def step(index, x, *others):
    return [index + 1, x * 0.5] + [other + 1 for other in others]

  start = [tf.constant(0), numbers(2)] + [tf.constant(3)] * counters
  return tf.while_loop(condition, step, start)


def branched(branch):
  """`branch` of a condition that is only known when the graph runs."""
  return tf.cond(tf.placeholder(tf.bool, []), branch, lambda: tf.zeros([2]))


def int64_of(tensor):
  return tf.cast(tf.cast(tensor, tf.int64) + 1, tf.int32, name='back')


def queue():
  return tf.FIFOQueue(3, [tf.float32], [[2]], name='line').dequeue()


CLEAN = {
    'arithmetic': lambda: tf.nn.softmax(numbers(2, 3)) * 2,
    'select': lambda: tf.where_v2(numbers(2) > 0, numbers(2), 0.),
    'loop': lambda: looped(lambda index, x: index < 5),
    'loop of two counters': lambda: looped(lambda index, x, other: index < other - 2, 1),
    'condition': lambda: branched(lambda: numbers(2) * 2),
    'int64 of constants and static shapes': lambda: tf.reshape(
        numbers(2, 3), tf.cast(tf.shape(numbers(3, 2), out_type=tf.int64), tf.int32)),
    'gradients of a broadcast and a gather': lambda: [
        tf.convert_to_tensor(x) for x in gradients_of_gather()],
    'variable': lambda: tf.get_variable('v', [2], tf.float32, use_resource=True) + 1,
    'behind an iterator': lambda: iterator([2]),
}


def gradients_of_gather():
  table, scale = tf.fill([5, 3], 2.) * numbers(1), numbers(1, 3)
  loss = tf.reduce_sum(tf.gather(table, tf.placeholder(tf.int32, [4])) * scale + 1.)
  return tf.gradients(loss, [table, scale])


def iterator(shape):
  def make(number):
    text = tf.strings.as_string(tf.cast(number, tf.int64))
    x = tf.numpy_function(lambda _: np.zeros([2], np.float32), [text], tf.float32)
    x.set_shape(shape)
    return x

  return tf.data.make_initializable_iterator(
      tf.data.Dataset.range(3).map(make)).get_next(name='delivered')


FAULTS = {
    'unknown rank': (
        lambda: tf.placeholder(tf.float32, None, name='shapeless') + 1, 'shapeless:0 ',
        'unknown rank'),
    'unknown dimension': (
        lambda: numbers(None, 3) * 2, 'numbers:0 ', r'unknown dimension in shape \[None, 3\]'),
    'zero dimension': (
        lambda: tf.concat([numbers(0, 2), numbers(1, 2)], 0), 'numbers:0 ',
        r'dimension of 0 in shape \[0, 2\]'),
    'unknown dimension of an iterator': (
        lambda: iterator([None]) * 2, 'delivered:0 ', 'unknown dimension'),
    'one-argument where': (
        lambda: tf.where(numbers(3) > 0, name='places'), 'places ',
        'operation.*one-argument where'),
    'boolean_mask': (
        lambda: tf.boolean_mask(numbers(3), numbers(3) > 0), 'Where ', 'operation.*boolean_mask'),
    'unique': (lambda: tf.unique(numbers(3), name='different').idx, 'different ', 'operation'),
    'sparse gradients': (
        lambda: tf.train.AdamOptimizer().minimize(tf.reduce_sum(tf.gather(
            tf.get_variable('v', [5, 3], tf.float32, use_resource=True), [1, 1]))),
        'Unique ', 'operation'),
    'py_func': (
        lambda: tf.ensure_shape(tf.numpy_function(np.sort, [numbers(2)], tf.float32), [2]),
        'PyFunc ', 'operation.*Python'),
    'queue': (queue, 'line_Dequeue ', 'operation.*queue'),
    'print': (
        lambda: tf.Print(numbers(2), [numbers(2)], name='shown'), 'shown ', 'operation.*text'),
    'behind a control input': (
        lambda: controlled(tf.unique(numbers(3), name='different').idx), 'different ', 'operation'),
    'float64': (lambda: tf.cast(numbers(2), tf.float64, name='wide'), 'wide:0 ', 'type float64'),
    'float64 constant': (
        lambda: tf.cast(tf.constant(1., tf.float64, name='wide'), tf.float32), 'wide:0 ',
        'type float64'),
    'int64': (lambda: int64_of(numbers(2)), 'Cast:0 ', 'type int64'),
    'int64 counter': (
        lambda: tf.while_loop(
            lambda index: index < 5, lambda index: index + 1, [tf.constant(0, tf.int64)]),
        ':0 ', 'type int64'),
    'int64 of a fed constant': (
        lambda: int64_of(tf.placeholder_with_default(1, [])), 'Cast:0 ', 'type int64'),
    'string': (lambda: tf.constant('text', name='words'), 'words:0 ', 'type string'),
    'variant': (
        lambda: tf.raw_ops.TensorListReserve(
            element_shape=[2], num_elements=3, element_dtype=tf.float32, name='pieces'),
        'pieces:0 ', 'type variant'),
    'list': (
        lambda: tf.raw_ops.TensorListReserve(
            element_shape=[2], num_elements=3, element_dtype=tf.float32, name='pieces'),
        'pieces ', 'operation.*list'),
    'infinity': (
        lambda: numbers(2) + tf.constant([0, -np.inf], name='far'), 'far ', 'not finite'),
    'nan': (lambda: numbers(2) + tf.constant(np.nan, name='far'), 'far ', 'not finite'),
    'infinity in bfloat16': (
        lambda: tf.cast(numbers(2), tf.bfloat16) + tf.constant(np.inf, tf.bfloat16, name='far'),
        'far ', 'not finite'),
    'rounds of data': (
        lambda: looped(lambda index, x: tf.reduce_all(x > 0.01)), 'while', 'number of rounds'),
    'rounds of a bound that is fed': (
        lambda: fed_bound(tf.placeholder(tf.int32, [], name='bound')), 'while', 'number of rounds'),
    'rounds of a counter with a start that is fed': (
        lambda: tf.while_loop(lambda index: index < 5, lambda index: index + 1,
                              [tf.placeholder(tf.int32, [])]), 'while', 'number of rounds'),
    'rounds of a counter that grows by data': (
        lambda: tf.while_loop(
            lambda index, x: index < 5, lambda index, x: (index + tf.cast(x[0], tf.int32), x),
            [tf.constant(0), numbers(2)]), 'while', 'number of rounds'),
    'operation in a loop': (
        lambda: tf.while_loop(
            lambda index, x: index < 5,
            lambda index, x: (index + 1, x + tf.cast(tf.unique(x, name='different').idx,
                                                     tf.float32)),
            [tf.constant(0), numbers(2)]), 'different ', 'operation'),
    'constant in a branch': (
        lambda: branched(lambda: numbers(2) + tf.constant(np.inf, name='far')), 'far ',
        'not finite'),
}


def controlled(other):
  with tf.control_dependencies([other]):
    return tf.no_op()


def fed_bound(bound):
  return looped(lambda index, x: index < bound)


@pytest.mark.parametrize('name', sorted(CLEAN))
def test_clean_graphs_have_no_findings(name):
  with tf.Graph().as_default() as graph:
    fetches = CLEAN[name]()
    assert graph.get_operations()
    assert lint(fetches) == []


@pytest.mark.parametrize('name', sorted(FAULTS))
def test_a_fault_is_named(name):
  make, place, fault = FAULTS[name]
  with tf.Graph().as_default():
    findings = lint([make()])
  assert all('\n' not in finding for finding in findings)
  named = [finding for finding in findings if place in finding.replace('_1', '')]
  assert named, findings
  assert any(re.search(fault, finding) for finding in named), findings


@pytest.mark.parametrize('name', graph_lint.FORBIDDEN_NAMES)
def test_names_that_the_adapter_reads_are_found(name):
  with tf.Graph().as_default():
    finding, = lint(tf.identity(numbers(2), name='my_{}_3'.format(name)))
  assert 'my_{}_3 '.format(name) in finding and 'names' in finding


def test_what_is_not_fetched_is_not_looked_at():
  with tf.Graph().as_default():
    clean, other = numbers(2) + 1, tf.unique(numbers(2)).idx
    assert lint(clean) == [] and lint({'both': (clean, other)})


@pytest.mark.parametrize('function', ['loop', 'branch', 'call'])
def test_functions_are_looked_into(function):
  """As TensorFlow 2 builds loops and conditions; the first TensorFlow can do it too."""
  def faulty(x):
    return x + tf.constant([np.inf, 1.], name='far')

  with tf.Graph().as_default():
    x = numbers(2)
    if function == 'call':
      outer = tf.function(lambda y: tf.function(faulty)(y) * 2)(x)
    else:
      outer = tf.function(lambda y: looped_or_branched(function, faulty, y))(x)
    findings = lint(outer)
  assert any('far' in finding and ': ' in finding and 'not finite' in finding
             for finding in findings), findings


def looped_or_branched(function, faulty, x):
  if function == 'branch':
    return tf.cond(x[0] > 0, lambda: faulty(x), lambda: x)
  return tf.while_loop(lambda index, y: index < 3, lambda index, y: (index + 1, faulty(y)),
                       [tf.constant(0), x])[1]
