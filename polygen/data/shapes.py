"""Four analytic meshes to learn from, in the axes of an OBJ file (y up), winding outward."""
import numpy as np

CIRCLE_CORNERS = 32


def primitive_meshes():
  """The four meshes: {name: (vertices float32 [V, 3], faces as lists of 0-based indices)}."""
  meshes = {'cube': cube(), 'cylinder': cylinder(), 'cone': cone(), 'icosphere': icosphere()}
  return {name: (_clean(vertices), faces) for name, (vertices, faces) in meshes.items()}


def cube():
  """Corners (+-1, +-1, +-1): vertex 4i + 2j + k lies at (2i - 1, 2j - 1, 2k - 1)."""
  vertices = [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
  faces = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
  return vertices, faces


def cylinder(corners=CIRCLE_CORNERS):
  """Radius 1 around the y axis from y = -1 (vertices 0 to n - 1) to y = 1 (n to 2n - 1)."""
  bottom, top = _circle(corners, -1.), _circle(corners, 1.)
  ring = list(range(corners))
  sides = [[i, i + corners, j + corners, j] for i, j in zip(ring, ring[1:] + ring[:1])]
  return bottom + top, [ring, [i + corners for i in reversed(ring)]] + sides


def cone(corners=CIRCLE_CORNERS):
  """Base of radius 1 at y = -1 (vertices 0 to n - 1), apex at y = 1 (vertex n)."""
  ring = list(range(corners))
  sides = [[i, corners, j] for i, j in zip(ring, ring[1:] + ring[:1])]
  return _circle(corners, -1.) + [[0., 1., 0.]], [ring] + sides


def icosphere():
  """Icosahedron, each triangle cut into four, every vertex projected to radius 1."""
  vertices, triangles = icosahedron()
  vertices, middles, faces = list(vertices), {}, []

  def middle(i, j):
    edge = (min(i, j), max(i, j))
    if edge not in middles:
      middles[edge] = len(vertices)
      vertices.append([(a + b) / 2 for a, b in zip(vertices[i], vertices[j])])
    return middles[edge]

  for a, b, c in triangles:
    ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
    faces += [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
  vertices = np.array(vertices)
  return vertices / np.linalg.norm(vertices, axis=1, keepdims=True), faces


def icosahedron():
  """Vertices (0, +-1, +-phi) and cyclic shifts; the faces are all triples of mutual neighbours."""
  phi = (1 + 5 ** 0.5) / 2
  corners = [(0., a, b * phi) for a in (-1., 1.) for b in (-1., 1.)]
  vertices = np.array([np.roll(corner, shift) for shift in range(3) for corner in corners])
  distance = np.linalg.norm(vertices[:, None] - vertices[None], axis=-1)
  near = np.isclose(distance, 2.)
  triangles = [[i, j, k] for i in range(12) for j in range(i) for k in range(j)
               if near[i, j] and near[j, k] and near[k, i]]
  outward = [np.linalg.det(vertices[triangle]) > 0 for triangle in triangles]
  return vertices.tolist(), [triangle if out else triangle[::-1]
                             for triangle, out in zip(triangles, outward)]


def _circle(corners, y):
  """Corners of a regular polygon at height y; their order winds downward."""
  angles = 2 * np.pi * np.arange(corners) / corners
  return [[np.cos(angle), y, np.sin(angle)] for angle in angles]


def _clean(vertices):
  """float32 without the noise (and signs of zero) that would break exact symmetry."""
  return (np.round(np.asarray(vertices, np.float64), 12) + 0.).astype(np.float32)
