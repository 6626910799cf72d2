"""Slow twins of sampling: one row, one token at a time, in float64.

Where a choice hangs on less than float32 resolves, `margin` says how close it was.
"""
import math
from typing import NamedTuple

FORBIDDEN = -1e4


class Choice(NamedTuple):
  token: int
  margin: float


def kept_tokens(logits, temperature=1., top_k=0, top_p=1.):
  """The tokens that may be drawn, most probable first, their probabilities and the margin.

  With top_p, tokens as probable as the last that is needed stay as well. The margin is the least
  distance of a cumulative probability from top_p, of the last probability that top_p keeps from the
  next, and of the last logit that top_k keeps from the first it drops unless they are equal.
  """
  logits = [float(logit) for logit in logits]
  legal = [token for token, logit in enumerate(logits) if logit > FORBIDDEN]
  order = sorted(legal, key=lambda token: (-logits[token], token))
  margin = math.inf
  if 0 < top_k < len(order):
    gap = logits[order[top_k - 1]] - logits[order[top_k]]
    margin = gap or math.inf
    order = order[:top_k]
  weights = [math.exp((logits[token] - logits[order[0]]) / temperature) for token in order]
  if top_p < 1:
    total, mass, count = sum(weights), 0., 0
    while count == 0 or mass < top_p:
      mass += weights[count] / total
      count += 1
      margin = min(margin, abs(mass - top_p))
    while count < len(order) and weights[count] == weights[count - 1]:
      count += 1
    if count < len(order):
      margin = min(margin, weights[count - 1] - weights[count])
    order, weights = order[:count], weights[:count]
  return order, [weight / sum(weights) for weight in weights], margin


def choose(logits, uniform, temperature=1., top_k=0, top_p=1.):
  """The first token at which the cumulative probability, in the order of tokens, exceeds u."""
  order, probabilities, margin = kept_tokens(logits, temperature, top_k, top_p)
  cumulative, token = 0., None
  for token, probability in sorted(zip(order, probabilities)):
    cumulative += probability
    if cumulative < 1 - 1e-9:
      margin = min(margin, abs(cumulative - uniform))
    if cumulative > uniform:
      break
  return Choice(token, margin)


def generate(next_logits, uniforms, drawing, stop=0):
  """Draws rows of tokens, calling the model anew for every token.

  Args:
    next_logits: function (tokens so far, a list of n lists of equal length) -> n rows of logits.
    uniforms: [n, steps].
    drawing: keyword arguments of `choose`.

  Returns:
    n lists of up to `steps` tokens, the stop included, and n smallest margins.
  """
  rows, margins = [[] for _ in uniforms], [math.inf] * len(uniforms)
  for step in range(len(uniforms[0])):
    stopped = [stop in row for row in rows]
    if all(stopped):
      break
    for number, logits in enumerate(next_logits(rows)):
      choice = choose(logits, uniforms[number][step], **drawing)
      if not stopped[number]:
        margins[number] = min(margins[number], choice.margin)
      rows[number].append(stop if stopped[number] else choice.token)
  return [row[:row.index(stop) + 1] if stop in row else row for row in rows], margins


def vertices_of(tokens, bits):
  """Vertex tokens as drawn -> whole vertices (x, y, z), whether they are complete."""
  completed = 0 in tokens
  bins = [token - 1 for token in tokens if token != 0]
  vertices = []
  for start in range(0, len(bins) - len(bins) % 3, 3):
    z, y, x = bins[start:start + 3]
    vertices.append(tuple(q / (2 ** bits - 1) - 0.5 for q in (x, y, z)))
  return vertices[:len(bins) // 3], completed


def recentred(vertices):
  """Vertices whose bounding box has its centre at 0."""
  columns = list(zip(*vertices))
  centre = [(min(column) + max(column)) / 2 for column in columns]
  return [tuple(a - c for a, c in zip(vertex, centre)) for vertex in vertices]


def faces_of(tokens):
  """Face tokens as drawn -> tokens with one final 0, whether they are complete."""
  if 0 in tokens:
    return list(tokens), True
  new_faces = [place for place, token in enumerate(tokens) if token == 1]
  return list(tokens[:new_faces[-1]] if new_faces else []) + [0], False
