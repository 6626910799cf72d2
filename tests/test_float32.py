"""What must stay float32 carries the attribute that tells an Ascend NPU so, wherever it is."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import graph_nodes
import model_cases
from polygen.layers.attention import KeyValues, attend, attend_blocks_vjp
from polygen.layers.blocks import whole
from polygen.layers.categorical import Categorical
from polygen.layers.filters import draw, filter_logits
from polygen.layers.float32 import KEEP_DTYPE, in_float32, keep_float32
from polygen.layers.norm import normalise
from polygen.training.losses import batch_losses

PRODUCTS = ('MatMul', 'BatchMatMul', 'BatchMatMulV2')


def logits():
  return tf.placeholder(tf.float32, [2, 5])


def heads():
  return tf.placeholder(tf.float32, [1, 2, 3, 4])


def built_nodes(build):
  """The float32 nodes that `build` makes, those in the bodies of functions included."""
  with tf.Graph().as_default() as graph:
    build()
  return [node for node in graph_nodes.all_nodes(graph)
          if node.attr['T'].type == tf.float32.as_datatype_enum]


def types(nodes, kept):
  """The sorted types of the nodes that carry the attribute, or that do not."""
  return sorted(node.op for node in nodes if (node.attr[KEEP_DTYPE].i == 1) == kept)


PARTS = {
    'normalise': (
        lambda: normalise(logits()), {'Mean', 'Mul', 'Rsqrt', 'Square', 'Sub'}),
    'log_prob': (
        lambda: Categorical(tf.placeholder(tf.float32, [2, 3, 5])).log_prob(np.ones([2, 3])),
        {'Neg', 'SparseSoftmaxCrossEntropyWithLogits'}),
    'sum_log_prob': (
        lambda: Categorical(tf.placeholder(tf.float32, [2, 3, 5])).sum_log_prob(
            np.ones([2, 3]), np.ones([2, 3], np.float32)),
        {'Mul', 'Neg', 'SparseSoftmaxCrossEntropyWithLogits', 'Sum'}),
    'draw': (lambda: draw(logits(), tf.zeros([2])), {'Cumsum', 'Exp'}),
    'filter': (lambda: filter_logits(logits(), top_p=0.5),
               {'Cumsum', 'Exp', 'Floor', 'GreaterEqual', 'Mul', 'TopKV2'}),
    'attention': (lambda: attend(heads(), KeyValues(heads(), heads()), None), {'Softmax'}),
}


@pytest.mark.parametrize('name', sorted(PARTS))
def test_sensitive_operations_are_marked(name):
  build, sensitive = PARTS[name]
  nodes = built_nodes(build)
  assert sensitive <= set(types(nodes, kept=True))
  assert not sensitive & set(types(nodes, kept=False))


@pytest.mark.parametrize('name', sorted(PARTS))
def test_they_are_marked_in_a_loop_too(name):
  build, sensitive = PARTS[name]

  def step(index):
    build()
    return index + 1

  nodes = built_nodes(lambda: tf.while_loop(lambda index: index < 3, step, [tf.constant(0)]))
  assert sensitive <= set(types(nodes, kept=True))


def call_and_sample():
  """Both models: the losses of a batch, and a sample."""
  vertex_model = model_cases.vertex_model(decoder_config=model_cases.SHALLOW)
  face_model = model_cases.face_model(decoder_config=model_cases.SHALLOW)
  examples = {'vertex': model_cases.vertex_batch(2, 3), 'face': model_cases.face_batch(2, 3, 5)}
  batch_losses({'vertex': vertex_model, 'face': face_model}, examples)
  vertices = vertex_model.sample(2, top_p=0.9, only_return_complete=False)
  face_model.sample(dict(vertices, class_label=[0, 1]), top_p=0.9, only_return_complete=False)


def test_the_models_leave_none_of_them_out():
  nodes = built_nodes(call_and_sample)
  marked, unmarked = types(nodes, kept=True), types(nodes, kept=False)
  attentions = model_cases.SHALLOW.num_layers * (1 + 1 + 2)  # the face decoder attends twice
  assert marked.count('Softmax') == 2 * attentions
  assert marked.count('SparseSoftmaxCrossEntropyWithLogits') == 2
  assert {'Sum', 'Cumsum', 'Exp'} <= set(marked)
  assert not {'Softmax', 'SparseSoftmaxCrossEntropyWithLogits', 'Rsqrt', 'Cumsum', 'Exp'} & set(
      unmarked)
  assert len(set(PRODUCTS) & set(unmarked)) >= 2 and not set(PRODUCTS) & set(marked)


@pytest.mark.parametrize('build, sensitive', [
    (normalise, {'Mean', 'Mul', 'Sub'}), (in_float32(tf.nn.softmax), {'Mul', 'Sum', 'Sub'}),
    (lambda x: Categorical(x[None]).log_prob([[1, 2]]), {'Mul', 'Neg'})])
def test_gradients_are_marked_too(build, sensitive):
  with tf.Graph().as_default() as graph, tf.Session() as session:
    x = tf.constant([[1., 2., 4.], [0., 3., -1.]])
    y = build(x)
    dy = tf.constant(model_cases.philox(3, 0).random(y.shape.as_list(), np.float32))
    before = len(graph.get_operations())
    gradient, = tf.gradients(y, x, dy)
    nodes = [op.node_def for op in graph.get_operations()[before:]]
    assert sensitive <= set(types(nodes, kept=True))
    assert not {'RsqrtGrad', 'Mul', 'Sum', 'Sub', 'Neg'} & set(types(nodes, kept=False))
    numeric = tf.test.compute_gradient_error(x, [2, 3], y, y.shape.as_list())
    assert numeric < 1e-2 and np.abs(session.run(gradient)).max() > 1e-2


def test_the_closed_form_gradient_of_attention_is_marked():
  with tf.Graph().as_default() as graph:
    q, k, v, dheads = (heads() for _ in range(4))
    _, gradient = attend_blocks_vjp(q, KeyValues(k, v), whole(None))
    before = len(graph.get_operations())
    gradient(dheads)
    nodes = [op.node_def for op in graph.get_operations()[before:]]
  assert {'Mul', 'Sum', 'Sub'} <= set(types(nodes, kept=True))
  assert not {'Mul', 'Sum', 'Sub'} & set(types(nodes, kept=False))


def test_the_mark_ends_with_its_scope_and_changes_no_value():
  with tf.Graph().as_default(), tf.Session() as session:
    with keep_float32():
      inside = tf.nn.softmax([1., 2.])
    outside = tf.nn.softmax([1., 2.])
    assert inside.op.get_attr(KEEP_DTYPE) == 1
    assert KEEP_DTYPE not in outside.op.node_def.attr
    np.testing.assert_array_equal(*session.run([inside, outside]))
