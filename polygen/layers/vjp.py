"""Gradients in closed form: functions that return their vector-Jacobian product beside their value.

    def square_vjp(x):
      return x * x, lambda dy: (2 * x * dy,)

A name that ends with _vjp is such a function: (arguments) -> (y, vjp), and vjp(dy) gives the
gradients of the arguments, in their order and structure. They are composed by hand and handed to
TensorFlow as a whole: fewer operations, built and run, than TensorFlow's own gradients make of the
parts, and nothing is kept that the closed form does not read.
"""
import tensorflow.compat.v1 as tf

from .matmul import matmul_operands, present_operands


def differentiable(function_vjp, recompute=False):
  """A function_vjp as a plain function that `tf.gradients` can pass.

  Args:
    function_vjp: function (nested tuples of tensors, None where there is none) -> (y, vjp); y a
      tensor, or a list whose gradients vjp takes as a list.
    recompute: forget what lies between arguments and value, and compute it again for the gradient
      (Chen et al., 2016). The weights are arguments like any others.
  """
  def function(*arguments):
    tensors = [tensor for tensor in tf.nest.flatten(arguments) if tensor is not None]
    operands = present_operands()  # the gradient, too, multiplies as the value does

    @tf.custom_gradient
    def flat(*tensors):
      y, vjp = function_vjp(*_packed(arguments, tensors))

      def gradient(*dy, vjp=vjp):
        with matmul_operands(*operands):
          return flattened(vjp(list(dy) if isinstance(y, list) else dy[0]))

      def recomputed_gradient(*dy):
        # Nothing is shared with the first time.
        with tf.control_dependencies(dy), matmul_operands(*operands):
          again = [tf.identity(tensor) for tensor in tensors]
          return gradient(*dy, vjp=function_vjp(*_packed(arguments, again))[1])

      return y, recomputed_gradient if recompute else gradient

    def flattened(gradients):
      return [gradient for gradient in tf.nest.flatten(gradients) if gradient is not None]

    return flat(*tensors)

  return function


def _packed(structure, tensors):
  """The tensors in the structure of others, None where that has None."""
  tensors = iter(tensors)
  return tf.nest.map_structure(lambda old: None if old is None else next(tensors), structure)
