"""Whether mesh files that trimesh is to read hold as much as their headers promise.

Each check takes the bytes of a file and raises ValueError (or whatever comes of reading nonsense)
where the file is cut off or a number in it is too large to be true. What passes may still be
broken in other ways.
"""
import json
import re
import struct

_GLB_START = struct.Struct('<4sIII4s')  # magic, version, all bytes, bytes of the JSON text, 'JSON'
_STRIP, _FAN = 5, 6  # modes of a GLTF primitive


def check_ply(data):
  """ASCII: a line per element. Binary: trimesh compares the length itself."""
  header, end, body = data.partition(b'end_header')
  if not end:
    raise ValueError('its header does not end')
  promised = sum(map(int, re.findall(rb'^[ \t]*element[ \t]+\S+[ \t]+(\d+)', header, re.MULTILINE)))
  found = len(body.splitlines()) - 1  # the first is the rest of the header
  if b'ascii' in header.lower() and found < promised:
    raise ValueError(f'its header promises {promised} lines, but {max(0, found)} follow')


def check_stl(data):
  """Binary: 84 bytes and 50 per triangle. ASCII: the last solid ends."""
  if len(data) >= 84:
    count, = struct.unpack('<I', data[80:84])
    surplus = len(data) - 84 - 50 * count
    if surplus == 0:
      return
    if surplus % 2 ** 32 == 0:  # trimesh 4 would believe it
      raise ValueError(f'it promises {count} triangles')
  text = data.lower()
  if b'facet' not in text or b'\0' in text:
    raise ValueError('it is no text, and as a binary file it has not the length it promises')
  if b'endsolid' not in text[text.rindex(b'facet'):]:
    raise ValueError('it is cut off: "endsolid" is missing')


def check_glb(data):
  """The container holds what it says, and so does the GLTF in it."""
  magic, version, length, _, json_kind = _GLB_START.unpack_from(data)
  if magic != b'glTF' or version != 2 or json_kind != b'JSON':
    raise ValueError('it does not start as a file of version 2 does')
  if max(length, gltf_end(data)) > len(data):
    raise ValueError(f'it is cut off: {len(data)} of {length} bytes')
  check_gltf(data[_GLB_START.size:gltf_end(data)])


def gltf_end(data):
  """Where the JSON text in a GLB file ends."""
  return _GLB_START.size + _GLB_START.unpack_from(data)[3]


def check_gltf(data):
  """No accessor has more elements than there are bytes, and plain buffers hold the geometry."""
  header = json.loads(data.decode('utf-8-sig'))
  accessors = header.get('accessors', [])
  available = len(data) + sum(view['byteLength'] for view in header.get('bufferViews', []))
  if any(accessor['count'] > available for accessor in accessors):
    raise ValueError('it promises more elements than it has bytes')
  for mesh in header.get('meshes', []):
    for primitive in mesh['primitives']:
      used = [primitive['attributes'].get('POSITION'), primitive.get('indices')]
      for accessor in (accessors[index] for index in used if index is not None):
        if 'sparse' in accessor or 'bufferView' not in accessor:
          raise ValueError('it has compressed or sparse geometry, which cannot be read here')
      mode = primitive.get('mode')
      if mode == _FAN or mode == _STRIP and 'indices' not in primitive:
        raise ValueError('it has triangle fans, or strips without indices, which cannot be read '
                         'here')


# By the suffix of the file.
CHECKS = {'ply': check_ply, 'stl': check_stl, 'glb': check_glb, 'gltf': check_gltf}
