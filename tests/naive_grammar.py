"""Slow twins of the grammars: the rules of whole sequences, and every sequence they allow."""
import collections
import itertools

STOP, NEW_FACE = 0, 1


def triples(bits):
  """All (z, y, x), rising."""
  return list(itertools.product(range(2 ** bits), repeat=3))


def vertex_sequences(bits, most):
  """Every legal vertex sequence of up to `most` vertices."""
  for count in range(3, most + 1):
    for chosen in itertools.combinations(triples(bits), count):
      yield [q + 1 for triple in chosen for q in triple] + [STOP]


def faces_on(num_vertices):
  """Every face whose lowest corner comes first."""
  for count in range(3, num_vertices + 1):
    for corners in itertools.combinations(range(num_vertices), count):
      for others in itertools.permutations(corners[1:]):
        yield corners[:1] + others


def is_mesh(faces, num_vertices):
  """Whether this list of faces, each from `faces_on`, is legal."""
  unused, first = set(range(num_vertices)), 0
  for face in faces:
    if not first <= face[0] <= min(unused, default=num_vertices):
      return False
    first = face[0]
    unused -= set(face)
  return not unused


def face_sequences(num_vertices, steps):
  """Every legal face sequence of up to `steps` tokens."""
  faces = list(faces_on(num_vertices))

  def longer(chosen, room):
    if chosen and is_mesh(chosen, num_vertices):
      yield [token for face in chosen for token in [v + 2 for v in face] + [NEW_FACE]][:-1] + [STOP]
    for face in faces:
      if len(face) + 1 <= room:
        yield from longer(chosen + [face], room - len(face) - 1)

  return longer([], steps)


def continuations(sequences):
  """{tokens so far: the set of those that may follow} of some whole sequences."""
  following = collections.defaultdict(set)
  for sequence in sequences:
    for length, token in enumerate(sequence):
      following[tuple(sequence[:length])].add(token)
  return following


def legal_vertex_tokens(drawn, bits, steps=None):
  """The tokens that may follow `drawn`, by looking at every triple."""
  whole = len(drawn) // 3
  vertices = [tuple(token - 1 for token in drawn[3 * i:3 * i + 3]) for i in range(whole)]
  begun = tuple(token - 1 for token in drawn[3 * whole:])
  above = [triple for triple in triples(bits) if not vertices or triple > vertices[-1]]
  following = max(0, 3 - whole - 1)
  able = above[:len(above) - following]
  legal = {triple[len(begun)] + 1 for triple in able if triple[:len(begun)] == begun}
  if whole >= 3 and not begun:
    return {STOP} if len(drawn) + 1 == steps else legal | {STOP}
  return legal


def legal_face_tokens(drawn, num_vertices, steps=None):
  """The tokens that may follow `drawn`, by trying each of them."""
  if num_vertices < 3:
    return {STOP}
  tried = [token for token in range(num_vertices + 2) if _follows(drawn, token, num_vertices)]
  if steps is None or len(drawn) + _tokens_to_end(drawn, num_vertices) > steps:
    return set(tried)
  return {token for token in tried if token == STOP or len(drawn) + 1 + _tokens_to_end(
      drawn + [token], num_vertices) <= steps}


def _faces(tokens):
  """The faces so far, the last of them open."""
  faces = [[]]
  for token in tokens:
    if token == NEW_FACE:
      faces.append([])
    else:
      faces[-1].append(token - 2)
  return faces


def _unused(tokens, num_vertices):
  return set(range(num_vertices)) - {token - 2 for token in tokens}


def _follows(drawn, token, num_vertices):
  faces, unused = _faces(drawn), _unused(drawn, num_vertices)
  if token in (STOP, NEW_FACE):
    return len(faces[-1]) >= 3 and (token == NEW_FACE or not unused)
  if faces[-1]:
    return token - 2 > faces[-1][0] and token - 2 not in faces[-1]
  before = faces[-2][0] if len(faces) > 1 else 0
  return before <= token - 2 <= min(unused | {num_vertices - 3})


def _tokens_to_end(tokens, num_vertices):
  """The fewest tokens with which the open face can take all that is missing, and STOP."""
  return max(3 - len(_faces(tokens)[-1]), len(_unused(tokens, num_vertices))) + 1
