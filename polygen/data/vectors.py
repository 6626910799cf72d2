"""Vectors of three floats as tuples: for few at a time faster than arrays."""
import math


def add(u, v):
  """u + v."""
  return u[0] + v[0], u[1] + v[1], u[2] + v[2]


def minus(u, v):
  """u - v."""
  return u[0] - v[0], u[1] - v[1], u[2] - v[2]


def dot(u, v):
  """The inner product."""
  return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def cross(u, v):
  """The vector product."""
  return (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])


def length(u):
  """The Euclidean length."""
  return math.sqrt(dot(u, u))


def unit(u):
  """The vector of length 1 in the direction of u."""
  size = length(u)
  return u[0] / size, u[1] / size, u[2] / size


def distance(u, v):
  """The length of u - v."""
  return length(minus(u, v))


def angle(u, v):
  """The angle between two vectors, in radians."""
  return math.atan2(length(cross(u, v)), dot(u, v))
