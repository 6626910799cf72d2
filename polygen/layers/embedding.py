"""Embedding tables."""
import tensorflow.compat.v1 as tf

from . import variables
from .vjp import differentiable


def embedding_table(name, rows, size):
  """The variable `name/embeddings` float32 [rows, size]."""
  with variables.scope(name):
    return variables.glorot('embeddings', [rows, size])


def lookup(table, rows):
  """Rows int32 [...] of a table float32 [R, D]: float32 [..., D].

  The gradient of the table is dense: Adam moves all its rows anyway.
  """
  def lookup_vjp(table):
    return tf.gather(table, rows), lambda dy: (
        tf.math.unsorted_segment_sum(dy, rows, tf.shape(table)[0]),)

  return differentiable(lookup_vjp)(table)
