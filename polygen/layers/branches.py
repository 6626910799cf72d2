"""The residual branches of a Transformer block, with gradients in closed form.

    y = x + alpha * last(f(first(LN(x))))

`first` and `last` are kernels, f is attention or a relu. What is linear is folded into the kernels:
scale and bias of the LN into the first, ReZero's alpha into the last. Activations are rows
[B T, D].
"""
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from .attention import attend_blocks_vjp
from .dense import DenseWeights, dense_vjp, scale_inputs_vjp, scale_outputs_vjp
from .norm import NormWeights, normalise_vjp
from .vjp import differentiable


class BranchWeights(NamedTuple):
  """The variables of a branch, as they are.

  Attributes:
    norm: NormWeights, or None without layer normalisation.
    first: kernels that a join_vjp makes one of (attention.py).
    first_bias: [outputs of first], or None.
    last: DenseWeights.
    alpha: scalar, or None without ReZero.
  """
  norm: Optional[NormWeights]
  first: Tuple[tf.Tensor, ...]
  first_bias: Optional[tf.Tensor]
  last: DenseWeights
  alpha: Optional[tf.Tensor]


def single_vjp(kernels):
  """The join_vjp of a single kernel."""
  kernel, = kernels
  return kernel, lambda dkernel: (dkernel,)


def folded_vjp(weights, join_vjp):
  """BranchWeights -> DenseWeights first and last, everything linear folded in."""
  kernel, joined = join_vjp(weights.first)
  first, last = DenseWeights(kernel, weights.first_bias), weights.last
  if weights.norm is not None:
    first, scaled_inputs = scale_inputs_vjp(first, *weights.norm)
  if weights.alpha is not None:
    last, scaled_outputs = scale_outputs_vjp(last, weights.alpha)

  def vjp(dfirst, dlast):
    dnorm = dalpha = None
    if weights.norm is not None:
      dfirst, *dnorm = scaled_inputs(dfirst)
      dnorm = NormWeights(*dnorm)
    if weights.alpha is not None:
      dlast, dalpha = scaled_outputs(dlast)
    return BranchWeights(dnorm, joined(dfirst.kernel), dfirst.bias, dlast, dalpha)

  return (first, last), vjp


def residual(x, weights, join_vjp, inner_vjp, others=(), drop=tf.identity, recompute=False):
  """x + the branch.

  Args:
    x: rows [B T, D].
    weights: BranchWeights.
    join_vjp: how its first kernels become one.
    inner_vjp: function (normalised rows, first, last, *others) -> rows, vjp.
    others: tensors with gradients that it reads.
    drop: dropout, a linear function that is its own transpose.
    recompute: see vjp.differentiable.
  """
  def branch_vjp(x, weights, *others):
    normal, normalised = normalise_vjp(x) if weights.norm is not None else (x, lambda dy: (dy,))
    (first, last), folded = folded_vjp(weights, join_vjp)
    y, inner = inner_vjp(normal, first, last, *others)

    def vjp(dy):
      dnormal, dfirst, dlast, *dothers = inner(drop(dy))
      return (tf.add_n([dy, *normalised(dnormal)]), folded(dfirst, dlast), *dothers)

    return tf.add_n([x, drop(y)]), vjp

  return differentiable(branch_vjp, recompute)(x, weights, *others)


def mlp_vjp(x, first, last):
  """relu(x first) last."""
  hidden, to_hidden = dense_vjp(x, first)
  hidden = tf.nn.relu(hidden)
  y, from_hidden = dense_vjp(hidden, last)

  def vjp(dy):
    dhidden, dlast = from_hidden(dy)
    dx, dfirst = to_hidden(tf.raw_ops.ReluGrad(gradients=dhidden, features=hidden))
    return dx, dfirst, dlast

  return y, vjp


def attention_vjp(heads, blocks, count):
  """The inner_vjp of attention.

  Args:
    heads: Heads.
    blocks: Blocks of queries.
    count: 3 if the first kernel gives queries, keys and values; 1 if it gives queries, and
      KeyValues are an argument.
  """
  def inner_vjp(x, first, last, *memory):
    projected, project = dense_vjp(x, first)
    q, *others = heads.split(projected, count)
    attended, attend = attend_blocks_vjp(q, memory[0] if memory else others, blocks)
    y, leave = dense_vjp(heads.join([attended]), last)

    def vjp(dy):
      drows, dlast = leave(dy)
      dq, dkey_values = attend(*heads.split(drows, 1))
      dprojected = heads.join([dq] if memory else [dq, *dkey_values])
      dx, dfirst = project(dprojected)
      return (dx, dfirst, dlast) + ((dkey_values,) if memory else ())

    return y, vjp

  return inner_vjp
