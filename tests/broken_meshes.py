"""A tree of mesh files, some broken in every way that is known, and what should become of each."""
import os

import numpy as np

from benchmarks import objects
from polygen import data

TRIANGLE = b'v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n'
LIMITS = {'max_vertices': 190, 'max_face_tokens': 900}


def _wheel(corners):
  """One face of many corners."""
  angles = 2 * np.pi * np.arange(corners) / corners
  return np.stack([np.cos(angles), 0 * angles, np.sin(angles)], axis=-1), [list(range(corners))]


def _obj_bytes(vertices, faces):
  lines = ['v {:.9g} {:.9g} {:.9g}'.format(*row) for row in np.asarray(vertices).tolist()]
  lines += ['f ' + ' '.join(str(index + 1) for index in face) for face in faces]
  return '\n'.join(lines).encode() + b'\n'


def _many_faces():
  rng = np.random.default_rng(0)
  return rng.random([40, 3]), [rng.permutation(40)[:3].tolist() for _ in range(300)]


# {kind: (content, reason in the report, a part of the message)}
BROKEN = {
    'empty': (b'', 'broken file', 'empty'),
    'only_vertices': (b'v 0 0 0\nv 1 0 0\nv 0 1 0\n', 'broken file', 'without a face'),
    'truncated': (TRIANGLE[:-4], 'broken file', 'at least 3 corners'),
    'wrong_index': (TRIANGLE + b'f 1 2 9\n', 'broken file', 'line 5: vertex index 9'),
    'index_0': (TRIANGLE + b'f 0 1 2\n', 'broken file', 'line 5: vertex index 0'),
    'nan': (b'v nan 0 0\n' + TRIANGLE, 'broken file', 'line 1: a coordinate is not a finite'),
    'binary_junk': (bytes(range(256)) * 40, 'broken file', 'binary'),
    'words': (b'v one two three\n', 'broken file', "'one' is not a coordinate"),
    'one_point': (b'v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n', 'no area', 'no area'),
    'line': (b'v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n', 'no area', 'no area'),
    'many_vertices': (_obj_bytes(*_wheel(200)), 'too many vertices',
                      '200 are more than max_vertices = 190'),
    'many_faces': (_obj_bytes(*_many_faces()), 'too many face tokens',
                   'are more than max_face_tokens = 900'),
    'large': (TRIANGLE + b'# filler\n' * 40000, 'file too large', 'max_file_mb = 0.3'),
    'not.stl': (b'solid x\nendsolid x\n', 'broken file', ''),
    'cut.ply': (b'ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n'
                b'property float z\nelement face 1\nproperty list uchar int vertex_indices\n'
                b'end_header\n0 0 0\n1 0', 'broken file', ''),
    'junk.glb': (b'glTF' + bytes(range(200)), 'broken file', ''),
}
MAX_FILE_MB = 0.3


def write_tree(folder, count, share_broken=0.1, seed=0):
  """Writes `count` files; every 1 / share_broken-th is broken, its kinds in turn.

  Returns:
    {name of a broken file: kind}.
  """
  objects.write_objects(folder, count, seed)
  names = sorted(os.path.join(root, name)[len(folder) + 1:].replace(os.sep, '/')
                 for root, _, names in os.walk(folder) for name in names)
  chosen = np.random.default_rng(seed).permutation(len(names))[:int(count * share_broken)]
  kinds, broken = sorted(BROKEN), {}
  for place, number in enumerate(sorted(chosen.tolist())):
    name, kind = names[number], kinds[place % len(kinds)]
    os.remove(os.path.join(folder, name))
    suffix = os.path.splitext(kind)[1] or '.obj'
    name = os.path.splitext(name)[0] + suffix
    with open(os.path.join(folder, name), 'wb') as file:
      file.write(BROKEN[kind][0])
    broken[name] = kind
  return broken


def settings(**others):
  """PrepareSettings with the limits that the broken ones are beyond."""
  return data.PrepareSettings(**dict(LIMITS, max_file_mb=MAX_FILE_MB, split=(0.8, 0.1, 0.1),
                                     **others))
