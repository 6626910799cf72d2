"""How the activations of one position of a Transformer stack lie in memory.

    ROWS      x [B, 1, D]    y = x W + b    W [inputs, outputs]
    COLUMNS   x [D, B]       y = W x + b    W [outputs, inputs], b [outputs, 1]

A step of decoding multiplies a few rows by every kernel, so with large kernels it takes the time
of reading them, and XLA reads them fastest if what is summed up lies side by side.
"""
from typing import Callable, NamedTuple

import tensorflow.compat.v1 as tf

from .dense import DenseWeights, dense
from .matmul import matmul
from .norm import normalise_vjp
from .shapes import shape_of


class Layout(NamedTuple):
  """What a step does to its activations. Axes: B batch, D hidden size, H heads.

  Attributes:
    enter: [B, 1, D] -> activations.
    leave: activations -> [B, 1, D].
    dense: function (activations, DenseWeights) -> activations.
    normalise: to mean 0 and variance 1 over D.
    split_heads: function (activations of size nD, n, H) -> n tensors [B, H, 1, D / H].
    join_heads: [B, H, 1, D / H] -> activations.
  """
  enter: Callable
  leave: Callable
  dense: Callable
  normalise: Callable
  split_heads: Callable
  join_heads: Callable


def _normalise_rows(x):
  return normalise_vjp(x)[0]


def _normalise_columns(x):
  return normalise_vjp(x, axis=0)[0]


def _split_rows(x, count, num_heads):
  batch, _, size = shape_of(x)
  heads = tf.reshape(x, [batch, count * num_heads, 1, size // count // num_heads])
  return tf.split(heads, count, axis=1)


def _join_rows(heads):
  batch, num_heads, _, head_size = shape_of(heads)
  return tf.reshape(heads, [batch, 1, num_heads * head_size])


def _split_columns(x, count, num_heads):
  size, batch = shape_of(x)
  x = tf.reshape(x, [count, num_heads, size // count // num_heads, batch])
  return tf.unstack(tf.transpose(x, [0, 3, 1, 2])[..., None, :], num=count)


def _join_columns(heads):
  batch, num_heads, _, head_size = shape_of(heads)
  return tf.transpose(tf.reshape(heads, [batch, num_heads * head_size]))


def _dense_columns(x, weights):
  y = matmul(weights.kernel, x)
  return y if weights.bias is None else y + weights.bias


def transposed(weights):
  """DenseWeights of rows as those of columns; None stays None."""
  if weights is None:
    return None
  return DenseWeights(tf.transpose(weights.kernel),
                      None if weights.bias is None else weights.bias[:, None])


ROWS = Layout(
    enter=tf.identity, leave=tf.identity, dense=dense, normalise=_normalise_rows,
    split_heads=_split_rows, join_heads=_join_rows)
COLUMNS = Layout(
    enter=lambda x: tf.transpose(x[:, 0]), leave=lambda x: tf.transpose(x)[:, None],
    dense=_dense_columns, normalise=_normalise_columns,
    split_heads=_split_columns, join_heads=_join_columns)
