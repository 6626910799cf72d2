"""How the activations of a Transformer stack lie in memory.

    ROWS      x [B, T, D]    y = x W + b    W [inputs, outputs]
    COLUMNS   x [D, B]       y = W x + b    W [outputs, inputs], b [outputs, 1]; one position, T = 1

A step of decoding multiplies a few rows by every kernel, so with large kernels it takes the time
of reading them, and XLA reads them fastest if what is summed up lies side by side.
"""
from typing import Callable, NamedTuple

import tensorflow.compat.v1 as tf

from .dense import DenseWeights, dense
from .heads import Heads
from .matmul import matmul
from .norm import normalise_vjp
from .shapes import shape_of


class Layout(NamedTuple):
  """What a stack does to its activations. Axes: B batch, T positions, D hidden size, H heads.

  Attributes:
    enter: [B, T, D] -> activations.
    leave: activations -> [B, T, D].
    dense: function (activations, DenseWeights) -> activations.
    normalise: to mean 0 and variance 1 over D.
    split_heads: function (activations of size nD, n, H) -> n tensors [B, H, T, D / H].
    join_heads: [B, H, T, D / H] -> activations.
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
  """x [B, T, nD] -> n tensors [B, H, T, d]."""
  batch, length, size = shape_of(x)
  heads = Heads(batch, length, num_heads, size // count // num_heads, [count])
  return heads.split(x, count)


def _join_rows(heads):
  batch, num_heads, length, head_size = shape_of(heads)
  return tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), [batch, length, num_heads * head_size])


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
