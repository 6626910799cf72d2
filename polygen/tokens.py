"""Every special number of the two token languages, once.

Vertex sequence, V vertices sorted by (z, y, x), length 3V + 1:

    position   0   1   2   3   4   5  ...  3V
    token      z0  y0  x0  z1  y1  x1 ...  STOP      coordinate bin q is token q + 1

Face sequence, length = sum of the face sizes + number of faces:

    f0_0 f0_1 f0_2 NEW_FACE f1_0 f1_1 f1_2 f1_3 STOP     vertex i is token i + 2
"""
STOP = 0
NEW_FACE = 1

VERTEX_TOKEN_OFFSET = 1
FACE_TOKEN_OFFSET = 2

# The encoder of the face model puts one learned vector per special token before the vertices.
NUM_SPECIAL_FACE_TOKENS = FACE_TOKEN_OFFSET

# Streams of the sampling noise: what one sample draws for its vertices and for its faces.
VERTEX_NOISE_STREAM = 0
FACE_NOISE_STREAM = 1

# A coordinate in the middle between two bins belongs to the lower one, also when float noise of up
# to this share of a bin has moved it: the centre of every mesh is such a tie.
QUANTIZATION_TIE_MARGIN = 1e-3

MAX_QUANTIZATION_BITS = 16

COORDINATES_PER_VERTEX = 3
MIN_FACE_CORNERS = 3


def num_bins(quantization_bits):
  """Number of coordinate bins."""
  return 2 ** quantization_bits


def max_bin(quantization_bits):
  """The highest coordinate bin; also the factor between bins and the unit interval."""
  return 2 ** quantization_bits - 1


def vertex_vocabulary(quantization_bits):
  """Number of vertex tokens: STOP and one per bin."""
  return num_bins(quantization_bits) + VERTEX_TOKEN_OFFSET


def vertex_sequence_length(num_vertices):
  """Number of vertex tokens of a mesh, STOP included."""
  return COORDINATES_PER_VERTEX * num_vertices + 1
