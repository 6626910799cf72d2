"""Slow twins of the fast code: pure Python, meant to be obviously right."""
import math


def quantize(coordinate, bits):
  """The lowest bin whose upper border, plus a thousandth of a bin, is not exceeded."""
  position = (float(coordinate) + 0.5) * (2 ** bits - 1)
  nearest = 0
  while nearest < 2 ** bits - 1 and position - 0.5 - 1e-3 > nearest:
    nearest += 1
  return nearest


def split(face):
  """Cuts out the first cycle that closes, until none is left."""
  for end, vertex in enumerate(face):
    start = face.index(vertex)
    if start < end:
      return [face[start:end]] + split(face[:start] + face[end:])
  return [face]


def rotations(face):
  return [face[i:] + face[:i] for i in range(len(face))]


def canonical_mesh(points, faces):
  """points: list of (x, y, z) bins -> sorted points in use, sorted faces."""
  order = sorted(set(points), key=lambda point: point[::-1])
  cycles = []
  for face in faces:
    face = [order.index(points[index]) for index in face]
    for cycle in split(min(rotations(face))):
      cycle = min(rotations(cycle))
      if len(cycle) >= 3 and cycle not in cycles:
        cycles.append(cycle)
  cycles.sort(key=lambda cycle: (sorted(cycle), cycle))
  used = [index for index in range(len(order)) if any(index in cycle for cycle in cycles)]
  return ([order[index] for index in used],
          [[used.index(index) for index in cycle] for cycle in cycles])


def process_mesh(vertices, faces, bits):
  """vertices: (x, y, z) triples of an OBJ file, y up -> points and faces as above."""
  turned = [(z, x, y) for x, y, z in vertices]
  used = [turned[index] for face in faces for index in face]
  low = [min(point[axis] for point in used) for axis in range(3)]
  high = [max(point[axis] for point in used) for axis in range(3)]
  center = [(a + b) / 2 for a, b in zip(low, high)]
  sizes = [b - a for a, b in zip(low, high)]
  diagonal = math.sqrt(sum(size ** 2 for size in sizes))
  points = [tuple(quantize((point[axis] - center[axis]) / diagonal, bits) for axis in range(3))
            for point in turned]
  return canonical_mesh(points, faces)


def block_ends(first_keys, count):
  """Blocks of queries, cut again and again where that saves most pairs of a query and a key."""
  ends = [len(first_keys)]

  def num_pairs(ends):
    return sum((end - begin) * (end - first_keys[begin])
               for begin, end in zip([0] + ends, ends) if begin < end)

  while len(ends) < count:
    ends = min((sorted(ends + [place]) for place in range(len(first_keys))), key=num_pairs)
  return ends, num_pairs(ends)


def plan_rows(lengths, cost):
  """The cheapest of all numbers of rows, each filled longest first into the emptiest row."""
  plans = []
  for num_rows in range(1, len(lengths) + 1):
    rows = [[] for _ in range(num_rows)]
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
      min(rows, key=lambda row: sum(lengths[i] for i in row)).append(number)
    plans.append(rows)
  return min(plans, key=lambda rows: cost(rows, lengths))


def vertex_tokens(points):
  return [q + 1 for x, y, z in points for q in (z, y, x)] + [0]


def face_tokens(faces):
  flat = []
  for number, face in enumerate(faces):
    if number > 0:
      flat.append(1)
    for index in face:
      flat.append(index + 2)
  return flat + [0]
