"""What was written in any format is read back as the same mesh; broken files say what is wrong."""
import base64
import json
import logging
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from polygen import data
from polygen.data import foreign, obj
from polygen.data.reading import READABLE, read_mesh, read_vertices

try:
  import trimesh
except ImportError:
  trimesh = None

needs_trimesh = pytest.mark.skipif(
    trimesh is None, reason='trimesh is not installed (pip install ".[io]")')
SOLIDS = ('cube', 'cylinder', 'cone', 'icosphere')
# What trimesh writes: {name: (suffix, options of export)}.
EXPORTS = {
    'ply': ('ply', {'encoding': 'binary'}),
    'ply-ascii': ('ply', {'encoding': 'ascii'}),
    'stl': ('stl', {}),
    'stl-ascii': ('stl', {'file_type': 'stl_ascii'}),
    'off': ('off', {}),
    'glb': ('glb', {}),
    'gltf': ('gltf', {}),
}
exports = pytest.mark.parametrize('name', sorted(EXPORTS))


def random_solid(seed):
  rng = np.random.default_rng(seed)
  vertices = rng.normal(size=[30, 3]).astype(np.float32)
  return vertices, [rng.choice(30, 3, replace=False).tolist() for _ in range(50)]


def write(mesh, name, folder):
  """Writes a trimesh.Trimesh or Scene as trimesh does; the path."""
  suffix, options = EXPORTS[name]
  path = os.path.join(str(folder), 'mesh.' + suffix)
  content = mesh.export(**dict({'file_type': suffix}, **options))
  files = content if isinstance(content, dict) else {'mesh.' + suffix: content}
  for file_name, content in files.items():
    target = path if file_name.endswith('.gltf') else os.path.join(str(folder), file_name)
    with open(target, 'wb') as mesh_file:
      mesh_file.write(content.encode() if isinstance(content, str) else content)
  return path


def assert_same_processed(found, expected):
  found, expected = data.process_mesh(*found), data.process_mesh(*expected)
  np.testing.assert_array_equal(found['vertices'], expected['vertices'])
  np.testing.assert_array_equal(found['faces'], expected['faces'])


def assert_sound(mesh):
  vertices, faces = mesh
  assert vertices.dtype == np.float32 and vertices.shape[1:] == (3,)
  assert np.isfinite(vertices).all()
  assert faces and all(type(index) is int for face in faces for index in face)
  assert min(map(len, faces)) >= 3
  assert 0 <= min(map(min, faces)) and max(map(max, faces)) < len(vertices)


def corners(vertices, faces):
  """Sorted triangles by position, each from its smallest corner."""
  triangles = np.asarray(vertices, np.float64).round(5)[np.array(faces)].tolist()
  return sorted(min(face[i:] + face[:i] for i in range(3)) for face in triangles)


# What was written comes back.


@needs_trimesh
@pytest.mark.parametrize('solid', SOLIDS)
@pytest.mark.parametrize('name', data.FORMATS)
def test_what_write_mesh_writes(tmp_path, name, solid):
  vertices, faces = data.primitive_meshes()[solid]
  path = tmp_path / ('mesh.' + name.upper())
  data.write_mesh(vertices[:, obj.OBJ_TO_Z_UP], faces, path)
  found = read_mesh(path)
  assert_sound(found)
  expected = faces if name == 'obj' else data.triangulate(vertices, faces).tolist()
  assert_same_processed(found, (vertices, expected))
  assert read_vertices(str(path)).tolist() == found[0].tolist()


@needs_trimesh
@exports
@pytest.mark.parametrize('seed', range(5))
def test_what_trimesh_writes(tmp_path, name, seed, capfd, caplog):
  vertices, faces = random_solid(seed)
  path = write(trimesh.Trimesh(vertices, faces, process=False), name, tmp_path)
  with caplog.at_level(logging.DEBUG):
    found = read_mesh(path)
  assert capfd.readouterr() == ('', '') and not caplog.records
  assert_sound(found)
  assert corners(*found) == corners(vertices, faces)
  assert read_vertices(path).tolist() == found[0].tolist()


@needs_trimesh
def test_polygons_of_ply_files_become_triangles(tmp_path):
  content = PLY.replace('3 0 1 2\n', '4 0 1 2 3\n')
  (tmp_path / 'a.ply').write_text(content)
  assert sorted(read_mesh(tmp_path / 'a.ply')[1]) == [[0, 1, 2], [0, 2, 3], [2, 3, 0]]


@pytest.mark.parametrize('header', ['OFF\n5 3 0', '# made by hand\nOFF5 3 0', '\nOFF 5 3 9 # n',
                                    'COFF\r\n 5 3', 'STCNOFF\n5 3 0'])
def test_off_keeps_polygons_and_needs_no_trimesh(tmp_path, monkeypatch, header):
  monkeypatch.setitem(sys.modules, 'trimesh', None)
  path = tmp_path / 'a.off'
  path.write_text(header + '\n0 0 0 255 0 0\n2 0 0\n2 1 0 # corner\n1 2 0\n\n0 1 0\n'
                  '5 0 1 2 3 4\n\n3 0 1 2 255 0 0\n2 0 1\n')
  vertices, faces = read_mesh(path)
  assert vertices.tolist() == [[0, 0, 0], [2, 0, 0], [2, 1, 0], [1, 2, 0], [0, 1, 0]]
  assert faces == [[0, 1, 2, 3, 4], [0, 1, 2]]
  assert read_vertices(path).tolist() == vertices.tolist()


def test_obj_keeps_polygons_and_needs_no_trimesh(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'trimesh', None)
  vertices, faces = data.primitive_meshes()['cylinder']
  data.write_obj(vertices, faces, tmp_path / 'a.obj', transpose=False)
  found = read_mesh(tmp_path / 'a.obj')
  np.testing.assert_array_equal(found[0], vertices)
  assert found[1] == faces


# Scenes.


def a_scene():
  """Two boxes and a mirrored one, nested; and their triangles by position."""
  box = trimesh.creation.box(extents=[1, 2, 3])
  turn = trimesh.transformations.rotation_matrix(0.3, [1, 2, 3], [4, 5, 6])
  mirror = np.diag([-2., 1., 1., 1.])
  scene = trimesh.Scene()
  scene.graph.update('arm', 'world', matrix=turn)
  scene.add_geometry(box, node_name='first', geom_name='box', parent_node_name='arm',
                     transform=np.eye(4))
  scene.graph.update('second', 'arm', matrix=mirror @ turn, geometry='box')
  scene.graph.update('third', 'second', matrix=turn, geometry='box')
  expected = []
  for matrix in (turn, turn @ mirror @ turn, turn @ mirror @ turn @ turn):
    vertices = box.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    mirrored = np.linalg.det(matrix[:3, :3]) < 0
    expected += vertices[box.faces[:, ::-1] if mirrored else box.faces].tolist()
  return scene, expected


@needs_trimesh
@pytest.mark.parametrize('name', ['glb', 'gltf'])
def test_scenes_are_flattened(tmp_path, name):
  scene, expected = a_scene()
  vertices, faces = read_mesh(write(scene, name, tmp_path))
  assert (len(vertices), len(faces)) == (3 * 8, 3 * 12)
  found = vertices[np.array(faces)]
  order = np.lexsort(np.round(found.reshape(-1, 9), 3).T)
  other = np.lexsort(np.round(np.reshape(expected, [-1, 9]), 3).T)
  np.testing.assert_allclose(found[order], np.array(expected)[other], atol=1e-4)


def gltf(primitives, **more):
  """A GLTF file of six points and a triangle of three of them, its buffer inside."""
  points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [2, 1, 0]], '<f4')
  buffer = points.tobytes() + np.array([0, 1, 2], '<u2').tobytes()
  uri = 'data:application/octet-stream;base64,' + base64.b64encode(buffer).decode()
  return dict({
      'asset': {'version': '2.0'},
      'buffers': [{'byteLength': len(buffer), 'uri': uri}],
      'bufferViews': [{'buffer': 0, 'byteLength': 72},
                      {'buffer': 0, 'byteOffset': 72, 'byteLength': 6}],
      'accessors': [{'bufferView': 0, 'componentType': 5126, 'count': 6, 'type': 'VEC3'},
                    {'bufferView': 1, 'componentType': 5123, 'count': 3, 'type': 'SCALAR'}],
      'meshes': [{'primitives': primitives}],
      'nodes': [{'mesh': 0}], 'scenes': [{'nodes': [0]}], 'scene': 0}, **more)


TRIANGLE = {'attributes': {'POSITION': 0}, 'indices': 1}
POINTS = {'attributes': {'POSITION': 0}, 'mode': 0}


def write_gltf(folder, *arguments, **more):
  path = folder / 'a.gltf'
  path.write_text(json.dumps(gltf(*arguments, **more)))
  return path


@needs_trimesh
def test_points_and_lines_are_no_part_of_a_mesh(tmp_path):
  path = write_gltf(tmp_path, [TRIANGLE, dict(TRIANGLE, mode=1), POINTS])
  assert read_mesh(path)[1] == [[0, 1, 2]]
  assert len(read_vertices(path)) == 12
  path = write_gltf(tmp_path, [POINTS])
  assert len(read_vertices(path)) == 6
  with pytest.raises(ValueError, match='no faces'):
    read_mesh(path)


@needs_trimesh
def test_triangles_without_indices(tmp_path):
  path = write_gltf(tmp_path, [{'attributes': {'POSITION': 0}}])
  assert read_mesh(path)[1] == [[0, 1, 2], [3, 4, 5]]


@needs_trimesh
def test_a_root_may_have_any_name(tmp_path):
  nodes = [{'name': 'world', 'translation': [1, 2, 3], 'children': [1]},
           {'name': 'world', 'translation': [1, 1, 1], 'mesh': 0}]
  vertices, faces = read_mesh(write_gltf(tmp_path, [TRIANGLE], nodes=nodes))
  assert vertices[0].tolist() == [2, 3, 4] and faces == [[0, 1, 2]]


@needs_trimesh
def test_deep_scenes_take_no_longer(tmp_path):
  nodes = [{'children': [i + 1], 'translation': [1, 0, 0]} for i in range(500)] + [{'mesh': 0}]
  vertices, _ = read_mesh(write_gltf(tmp_path, [TRIANGLE], nodes=nodes))
  assert vertices[0].tolist() == [500, 0, 0]


@needs_trimesh
def test_textures_and_colours_are_ignored(tmp_path, monkeypatch):
  textured = gltf([dict(TRIANGLE, material=0)], images=[{'uri': 'http://localhost:1/none.png'}],
                  textures=[{'source': 0}],
                  materials=[{'pbrMetallicRoughness': {'baseColorTexture': {'index': 0}}}])
  (tmp_path / 'a.gltf').write_text(json.dumps(textured))
  monkeypatch.setitem(sys.modules, 'PIL', None)
  assert read_mesh(tmp_path / 'a.gltf')[1] == [[0, 1, 2]]
  header = PLY.replace('element face', 'comment TextureFile none.png\nelement face')
  (tmp_path / 'a.ply').write_text(header)
  assert len(read_mesh(tmp_path / 'a.ply')[1]) == 2


@needs_trimesh
@pytest.mark.parametrize('name', ['ply', 'ply-ascii', 'off', 'glb', 'gltf'])
def test_coloured_meshes(tmp_path, name):
  vertices, faces = random_solid(0)
  colours = np.random.default_rng(0).integers(0, 256, [30, 4]).astype(np.uint8)
  mesh = trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False)
  assert corners(*read_mesh(write(mesh, name, tmp_path))) == corners(vertices, faces)


PLY = '''ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
element face 2
property list uchar int vertex_indices
end_header
0 0 0
1 0 0
1 1 0
0 1 0
3 0 1 2
3 0 2 3
'''


@needs_trimesh
def test_edges_of_ply_files_are_ignored(tmp_path):
  edges = 'element edge 1\nproperty int vertex1\nproperty int vertex2\nend_header'
  (tmp_path / 'a.ply').write_text(PLY.replace('end_header', edges) + '0 1\n')
  assert read_mesh(tmp_path / 'a.ply')[1] == [[0, 1, 2], [0, 2, 3]]


@needs_trimesh
@pytest.mark.parametrize('name', ['ply', 'ply-ascii', 'glb'])
def test_point_clouds_have_vertices(tmp_path, name):
  path = write(trimesh.Scene(trimesh.PointCloud(np.eye(3))) if name == 'glb'
               else trimesh.PointCloud(np.eye(3)), name, tmp_path)
  assert read_vertices(path).tolist() == np.eye(3).tolist()
  with pytest.raises(ValueError, match='no faces'):
    read_mesh(path)


def test_vertices_of_an_obj_file_without_faces(tmp_path):
  (tmp_path / 'a.obj').write_text('v 0 1 2\n')
  assert read_vertices(tmp_path / 'a.obj').tolist() == [[0, 1, 2]]


@needs_trimesh
def test_buffers_lie_beside_the_file(tmp_path, monkeypatch):
  vertices, faces = random_solid(1)
  (tmp_path / 'in side').mkdir()
  path = write(trimesh.Trimesh(vertices, faces, process=False), 'gltf', tmp_path / 'in side')
  monkeypatch.chdir(tmp_path)
  assert corners(*read_mesh(os.path.join('in side', 'mesh.gltf'))) == corners(vertices, faces)
  for buffer in (tmp_path / 'in side').glob('*.bin'):
    buffer.rename(tmp_path / buffer.name)
  with pytest.raises(ValueError, match=r'mesh\.gltf: .*bin.* is not beside it'):
    read_mesh(path)
  content = open(path).read()
  for outside in ('../', str(tmp_path) + '/', 'http://localhost:1/', 'in%20side/../../'):
    with open(path, 'w') as mesh_file:
      mesh_file.write(content.replace('"uri":"', '"uri":"' + outside)
                      .replace('"uri": "', '"uri": "' + outside))
    with pytest.raises(ValueError, match='in its folder|beside it'):
      read_mesh(path)


# Broken files.


def refused(path, read=read_mesh):
  """The error of a file, which names it in one line."""
  with pytest.raises(ValueError) as caught:
    read(path)
  message = str(caught.value)
  assert message.startswith(str(path)) and '\n' not in message and len(message) > len(str(path)) + 9
  return message


@needs_trimesh
@pytest.mark.parametrize('kind', READABLE)
@pytest.mark.parametrize('read', [read_mesh, read_vertices])
def test_empty_files_and_junk(tmp_path, kind, read, capfd):
  path = tmp_path / ('a.' + kind)
  path.write_bytes(b'')
  assert 'the file is empty' in refused(path, read)
  rng = np.random.default_rng(0)
  starts = [b'', b'ply\nformat binary_little_endian 1.0\n', b'OFF\n', b'glTF\2\0\0\0', b'{',
            b'solid']
  for start in starts:
    for size in (1, 30, 3000):
      path.write_bytes(start + rng.integers(0, 256, size).astype(np.uint8).tobytes() + b'\0')
      refused(path, read)
  for text in (b'\n', b'{}', b'[]', b'null', b'[' * 100000, b'1', b'{"meshes": 3}', b'ply\n' * 9):
    path.write_bytes(text)
    refused(path, read)
  assert capfd.readouterr() == ('', '')


@needs_trimesh
@exports
def test_files_cut_off_or_changed_anywhere(tmp_path, name, capfd):
  vertices, faces = random_solid(2)
  path = write(trimesh.Trimesh(vertices, faces, process=False), name, tmp_path)
  whole = open(path, 'rb').read()
  rng = np.random.default_rng(3)
  found = {True: 0, False: 0}
  for cut in [True] * 60 + [False] * 120:
    place = int(rng.integers(0, len(whole)))
    content = whole[:place]
    if not cut:
      content += rng.integers(0, 256, 1).astype(np.uint8).tobytes() + whole[place + 1:]
    with open(path, 'wb') as mesh_file:
      mesh_file.write(content)
    try:
      mesh = read_mesh(path)
    except ValueError as error:
      assert str(error).startswith(path) and '\n' not in str(error)
      found[cut] += 1
    else:
      assert_sound(mesh)
  assert found[True] >= 55
  assert capfd.readouterr() == ('', '')


LIES = {
    'more-lines.ply': PLY.replace('face 2', 'face 2000000000').encode(),
    'binary.ply': PLY.replace('ascii', 'binary_little_endian').replace(
        'vertex 4', 'vertex 4000000000').encode(),
    'list.ply': (PLY.replace('ascii', 'binary_little_endian').replace('uchar', 'uint')
                 .partition('end_header\n')[0].encode() + b'end_header\n' + b'\xff' * 60),
    'index.ply': PLY.replace('3 0 2 3', '3 0 2 4').encode(),
    'negative.ply': PLY.replace('3 0 2 3', '3 0 2 -1').encode(),
    'nan.ply': PLY.replace('1 1 0', '1 nan 0').encode(),
    'large.ply': PLY.replace('1 1 0', '1 1e39 0').encode(),
    'word.ply': PLY.replace('1 1 0', '1 one 0').encode(),
    'count.stl': bytes(80) + struct.pack('<I', 2 ** 32 - 1) + bytes(50),
    'wraps.stl': bytes(80) + struct.pack('<I', 2 ** 31 + 1) + bytes(50),
    'ascii-wraps.stl': (b'solid facet endsolid'.ljust(80) + struct.pack('<I', 2 ** 31 + 1)
                        + b' ' * 50),
    'nan.stl': (bytes(80) + struct.pack('<I', 1)
                + np.full(12, np.nan, '<f4').tobytes() + bytes(2)),
    'vertices.off': b'OFF\n3000000000 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n',
    'faces.off': b'OFF\n3 3000000000 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n',
    'corners.off': b'OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3000000000 0 1 2\n',
    'index.off': b'OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 3\n',
    'negative.off': b'OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 -1\n',
    'binary.off': b'OFF BINARY\n' + bytes(99),
    'minus.off': b'OFF\n-1 1 0\n3 0 1 2\n',
    'nan.off': b'OFF\n3 1 0\n0 0 0\n1 nan 0\n0 1 0\n3 0 1 2\n',
    'faceless.off': b'OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n',
    'fan.gltf': json.dumps(gltf([dict(TRIANGLE, mode=6)])).encode(),
    'root.gltf': json.dumps(gltf([TRIANGLE], scenes=[{'nodes': [7]}])).encode(),
    'circle.gltf': json.dumps(gltf([TRIANGLE], nodes=[
        {'mesh': 0, 'children': [1]}, {'children': [0]}])).encode(),
    'accessor.gltf': json.dumps(gltf([{'attributes': {'POSITION': 5}}])).encode(),
    'index.gltf': json.dumps(gltf([TRIANGLE], accessors=[
        dict(gltf([])['accessors'][0], count=2), gltf([])['accessors'][1]])).encode(),
    'stride.gltf': json.dumps(gltf([TRIANGLE], bufferViews=[
        dict(gltf([])['bufferViews'][0], byteStride=1), gltf([])['bufferViews'][1]],
                                   accessors=[dict(gltf([])['accessors'][0], count=10 ** 12),
                                              gltf([])['accessors'][1]])).encode(),
    'zeros.gltf': json.dumps(gltf([TRIANGLE], accessors=gltf([])['accessors'] + [
        {'componentType': 5126, 'count': 10 ** 9, 'type': 'MAT4'}])).encode(),
}


@needs_trimesh
@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='memory is read as on Linux')
@pytest.mark.parametrize('name', sorted(LIES))
def test_lies_are_found_without_gigabytes(tmp_path, name, capfd):
  (tmp_path / name).write_bytes(LIES[name])
  code = ('import resource, sys; import trimesh; from polygen.data.reading import read_mesh\n'
          'resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n'
          'try: read_mesh(sys.argv[1])\n'
          'except ValueError as error: print(error)\n'
          'print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])')
  command = [sys.executable, '-c', code, str(tmp_path / name)]
  printed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                           check=True)
  message, kilobytes = printed.stdout.decode().splitlines()
  assert message.startswith(str(tmp_path / name) + ': ') and 'MemoryError' not in message
  assert int(kilobytes) < 500000 and not printed.stderr


def test_an_unknown_suffix_names_the_known_ones(tmp_path):
  for name in ('mesh', 'mesh.dae', 'mesh.obj.gz', '.ply'):
    (tmp_path / name).write_text('v')
    assert '.obj, .ply, .stl, .off, .glb, .gltf' in refused(tmp_path / name)


# What cannot be opened, and what is not installed.


@pytest.mark.parametrize('kind', READABLE)
@pytest.mark.parametrize('read', [read_mesh, read_vertices])
def test_what_cannot_be_opened_is_an_os_error(tmp_path, kind, read, monkeypatch):
  path = tmp_path / ('a.' + kind)
  with pytest.raises(FileNotFoundError):
    read(path)
  path.mkdir()
  with pytest.raises(IsADirectoryError):
    read(path)
  locked = tmp_path / ('b.' + kind)
  locked.write_text('x')
  locked.chmod(0)
  if os.access(str(locked), os.R_OK):  # root may read everything
    def refuse(*arguments, **named):
      raise PermissionError(13, 'Permission denied', str(locked))
    monkeypatch.setattr('builtins.open', refuse)
  with pytest.raises(PermissionError):
    read(locked)


@pytest.mark.parametrize('kind', foreign.KINDS)
def test_without_trimesh_the_error_says_what_to_install(tmp_path, monkeypatch, kind):
  monkeypatch.setitem(sys.modules, 'trimesh', None)
  (tmp_path / ('a.' + kind)).write_text('x')
  with pytest.raises(ImportError, match=r'GLTF files need trimesh: pip install "polygen\[io\]"'):
    read_mesh(tmp_path / ('a.' + kind))


def test_reading_loads_trimesh_on_use_alone():
  code = ('import sys; from polygen.data import reading; '
          'print(sorted({"trimesh", "tensorflow"} & set(sys.modules)))')
  assert subprocess.check_output([sys.executable, '-c', code]).split() == [b'[]']
