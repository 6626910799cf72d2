"""Writes the four analytic meshes: python -m polygen.data.primitives DIR"""
import os
import sys

from . import obj
from .shapes import primitive_meshes


def write_primitives(folder):
  """Writes NAME.obj for each of the four meshes and returns the paths."""
  os.makedirs(folder, exist_ok=True)
  paths = []
  for name, (vertices, faces) in primitive_meshes().items():
    paths.append(os.path.join(folder, name + '.obj'))
    obj.write_obj(vertices, faces, paths[-1], transpose=False)
  return paths


def main(arguments):
  if len(arguments) != 1:
    print('usage: python -m polygen.data.primitives DIR', file=sys.stderr)
    return 2
  for path in write_primitives(arguments[0]):
    print(path)
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
