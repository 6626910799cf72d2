"""A reader of OBJ files that knows nothing of the package, and the rules of a drawn mesh."""


def read(path):
  """(vertices, faces) of a file: lists of [x, y, z], y up, and of 0-based indices."""
  vertices, faces = [], []
  with open(path) as file:
    for line in file:
      kind, *words = line.split()
      if kind == 'v':
        vertices.append([float(word) for word in words])
      elif kind == 'f':
        faces.append([int(word) - 1 for word in words])
      else:
        raise AssertionError(line)
  return vertices, faces


def broken_rules(vertices, faces, bits):
  """What is wrong with a mesh that was drawn under masks: a list of texts."""
  broken = []
  steps = 2 ** bits - 1
  bins = [[(coordinate + 0.5) * steps for coordinate in vertex] for vertex in vertices]
  if any(abs(q - round(q)) > 1e-3 or not 0 <= round(q) <= steps for vertex in bins for q in vertex):
    broken.append('a coordinate is no bin')
  order = [(round(y), round(x), round(z)) for x, y, z in bins]  # z up: (z, y, x)
  if any(not low < high for low, high in zip(order, order[1:])):
    broken.append('vertices do not rise')
  if len(vertices) < 3:
    broken.append('fewer than three vertices')
  if not faces:
    broken.append('no faces')
  first, used = 0, set()
  for face in faces:
    if len(face) < 3:
      broken.append('a face of fewer than three corners')
    if len(set(face)) < len(face):
      broken.append('a face visits a vertex twice')
    if min(face) < 0 or max(face) >= len(vertices):
      broken.append('a face names a vertex that is not there')
    if min(face) != face[0]:
      broken.append('a face does not start with its lowest vertex')
    if face[0] < first:
      broken.append('faces do not rise')
    unused = set(range(len(vertices))) - used
    if unused and face[0] > min(unused):
      broken.append('a face leaves a vertex out for good')
    first = face[0]
    used |= set(face)
  if used != set(range(len(vertices))):
    broken.append('a vertex is in no face')
  return broken
