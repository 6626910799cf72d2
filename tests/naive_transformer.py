"""A slow twin of the Transformer in float64: loops over rows, heads and positions, nothing folded.

Weights are a dict of arrays under DeepMind's names, relative to the stack.
"""
import numpy as np


def layer_norm(x, weights, scope):
  if scope + 'layer_norm_scale' not in weights:
    return x
  mean = x.mean(-1, keepdims=True)
  variance = ((x - mean) ** 2).mean(-1, keepdims=True)
  normal = (x - mean) / np.sqrt(variance + 1e-6)
  return normal * weights[scope + 'layer_norm_scale'] + weights[scope + 'layer_norm_bias']


def head_kernels(weights, scope, head, num_heads):
  """q, k, v [D, d] and out [d, D] of one head, from either layout."""
  if scope + 'wqkv' in weights:
    q, k, v = np.split(weights[scope + 'wqkv'][head, 0], 3, axis=1)
    return q, k, v, weights[scope + 'wo'][head, 0]
  hidden = len(weights[scope + 'q/kernel'])
  size = hidden // num_heads
  columns = slice(head * size, (head + 1) * size)
  q, k, v = [weights[scope + name + '/kernel'][:, columns] for name in 'qkv']
  return q, k, v, weights[scope + 'output_transform/kernel'][columns]


def attention(x, memory, allowed, weights, scope, num_heads):
  """x [T, D], memory [S, D], allowed bool [T, S] -> [T, D]."""
  output = np.zeros_like(x)
  for head in range(num_heads):
    q, k, v, out = head_kernels(weights, scope, head, num_heads)
    for place in range(len(x)):
      reached = memory[allowed[place]]
      scores = (reached @ k) @ (x[place] @ q) / np.sqrt(q.shape[1])
      shares = np.exp(scores - scores.max())
      output[place] += (shares / shares.sum()) @ (reached @ v) @ out
  return output


def transformer(x, weights, num_layers, num_heads, allowed, memory=None, memory_allowed=None):
  """One row: x [T, D], allowed bool [T, T], memory [S, D], memory_allowed bool [T, S]."""
  x = np.float64(x)
  for number in range(num_layers):
    layer = 'layer_{}/'.format(number)

    def alpha(scope):
      return weights.get(scope + 'alpha', 1.)

    scope = layer + 'self_attention/'
    normal = layer_norm(x, weights, scope)
    x = x + alpha(scope) * attention(normal, normal, allowed, weights, scope, num_heads)
    if memory is not None:
      scope = layer + 'cross_attention/'
      normal = layer_norm(x, weights, scope)
      x = x + alpha(scope) * attention(
          normal, np.float64(memory), memory_allowed, weights, scope, num_heads)
    scope = layer + 'fc/'
    hidden = layer_norm(x, weights, scope) @ weights[layer + 'fc_1/kernel']
    hidden = np.maximum(hidden + weights[layer + 'fc_1/bias'], 0)
    x = x + alpha(scope) * (
        hidden @ weights[layer + 'fc_2/kernel'] + weights[layer + 'fc_2/bias'])
  return layer_norm(x, weights, 'output/')
