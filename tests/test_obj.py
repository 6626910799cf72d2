import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from polygen import data
from polygen.data import obj

relaxed = settings(deadline=None, max_examples=40)

TRIANGLE = 'v 0 0 0\nv 1 0 0\nv 0 1 0\n'


def parse(text):
  return obj.parse_obj(text if isinstance(text, bytes) else text.encode())


@st.composite
def dressed_files(draw):
  """A mesh and OBJ bytes that say the same with everything the grammar allows."""
  vertices, faces = draw(strategies.file_meshes())
  blank = st.sampled_from([' ', '  ', '\t', ' \\\n ', ' \\\r\n\t', '\\\n'])
  indent = st.sampled_from(['', ' ', '\t '])
  tail = st.sampled_from(['', ' ', ' # note', '# f 1 2', ' #\\', '\t# caf\xe9'])
  noise = st.sampled_from([
      '', '#', '# v 1 2 3', '# C:\\meshes\\', 'o part', 'g a b', 'usemtl blue', 's off',
      'mtllib some file.mtl', 'vt 0.5 0.5', 'vn 0 0 1', 'vp 0.1 \\\n 0.2', 'l 1 2', 'p 1',
      'o \xff\xfe\x85', 'g', '   ', 'curv 0 1 1 2'])
  extra = st.sampled_from(['', ' 1.0', ' 0.5 0.5 0.5', ' 1 0 0 1'])
  corner_end = st.sampled_from(['', '/7', '//8', '/7/8', '/-1/-2', '/'])
  end = st.sampled_from(['\n', '\r\n'])

  def statement(words, after=''):
    line = draw(indent) + words[0]
    for word in words[1:]:
      line += draw(blank) + word
    return line + after + draw(tail)

  # Faces may precede vertices: negative indices count from the vertices read so far.
  places = draw(st.lists(st.integers(0, len(vertices)), min_size=len(faces),
                         max_size=len(faces)))
  places.sort()
  lines, written = [], 0

  def write_vertices(stop):
    for vertex in vertices[written:stop]:
      numbers = ['%.9g' % coordinate for coordinate in vertex]
      lines.append(statement(['v'] + numbers, draw(extra)))
      lines.extend(draw(st.lists(noise, max_size=1)))

  for place, face in zip(places, faces):
    write_vertices(place)
    written = place
    words = ['f']
    for index in face:
      backward = index < written and draw(st.booleans())
      words.append(str(index - written if backward else index + 1) + draw(corner_end))
    lines.append(statement(words))
  write_vertices(len(vertices))
  text = ''.join(line + draw(end) for line in lines)
  mark = draw(st.sampled_from([b'', b'\xef\xbb\xbf']))
  return vertices, faces, mark + text.encode('latin-1')


@relaxed
@given(dressed_files())
def test_the_whole_grammar_reads_as_the_plain_mesh(example):
  vertices, faces, content = example
  found_vertices, found_faces = obj.parse_obj(content)
  assert found_vertices.dtype == np.float32
  np.testing.assert_array_equal(found_vertices, vertices)
  assert found_faces == faces


def assert_bulk_agrees(content):
  """Reading in bulk gives up, or finds what reading line by line finds; returns what it found."""
  found = obj._parse_plain(content)
  if found is not None:
    vertices, faces = obj._parse_any(content, 'OBJ', needs_faces=False)
    assert vertices.dtype == found[0].dtype == np.float32
    np.testing.assert_array_equal(vertices, found[0])
    assert faces == found[1]
  return found


@relaxed
@given(dressed_files())
def test_bulk_agrees_on_the_whole_grammar(example):
  assert_bulk_agrees(example[2])


@settings(deadline=None, max_examples=300)
@given(strategies.file_meshes(), st.data())
def test_bulk_agrees_on_files_with_anything_inserted(mesh, draw):
  vertices, faces = mesh
  lines = ['v %.9g %.9g %.9g' % tuple(vertex) for vertex in vertices.tolist()]
  lines += ['f ' + ' '.join(f'{i + 1}/2/{i + 1}' for i in face) for face in faces]
  text = '\n'.join(lines)
  anything = st.sampled_from([
      '/', ' ', '\t', '\n', '\r', '\f', '#', '\\', '\\\n', '_', '-', '+', '.', '0', '1', '9', 'v', 'f',
      'e', 'v ', 'f ', 'vn ', '\nf', '\nv', '\n ', '/1', ' /', 'nan', '1e99', '\x1c', '\x85', '\xa0',
      '\0', '\n# '])
  for _ in range(draw.draw(st.integers(0, 4))):
    place = draw.draw(st.integers(0, len(text)))
    cut = draw.draw(st.integers(0, 2))
    text = text[:place] + draw.draw(anything) + text[place + cut:]
  assert_bulk_agrees(text.encode('latin-1'))


@relaxed
@given(strategies.file_meshes(), st.sampled_from(['\n', '\r\n']), st.booleans())
def test_plain_files_are_read_in_bulk(mesh, end, textured):
  vertices, faces = mesh
  lines = ['# by hand', 'mtllib a_b.mtl', 'o some_part', '']
  lines += ['v %.9g %.9g %.9g 1' % tuple(vertex) for vertex in vertices.tolist()]
  lines += ['vt 0.5 0.5', 'vn 0 0 1', 'usemtl red', 's off']
  lines += ['f ' + ' '.join(f'{i + 1}/1/1' if textured else str(i + 1) for i in face)
            for face in faces]
  found = assert_bulk_agrees(end.join(lines).encode())
  np.testing.assert_array_equal(found[0], vertices)
  assert found[1] == faces


@relaxed
@given(strategies.file_meshes(), st.booleans())
def test_writing_and_reading_is_exact(tmp_path_factory, mesh, transpose):
  path = tmp_path_factory.getbasetemp() / 'mesh.obj'
  vertices, faces = mesh
  before = vertices.copy(), [list(face) for face in faces]
  data.write_obj(vertices, faces, str(path), transpose=transpose)
  np.testing.assert_array_equal(vertices, before[0])
  assert faces == before[1]
  found_vertices, found_faces = data.read_obj(path)
  np.testing.assert_array_equal(
      found_vertices[:, [2, 0, 1]] if transpose else found_vertices, vertices)
  assert found_faces == faces


@relaxed
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=9,
                max_size=9))
def test_every_float32_survives(tmp_path_factory, numbers):
  path = tmp_path_factory.getbasetemp() / 'floats.obj'
  vertices = np.array(numbers, np.float32).reshape(3, 3)
  data.write_obj(vertices, [[0, 1, 2]], path, transpose=False)
  np.testing.assert_array_equal(data.read_obj(path)[0], vertices)


@pytest.mark.parametrize('dtype', [np.int32, np.float32, np.float64])
def test_scale_leaves_its_argument_alone(tmp_path, dtype):
  vertices = np.arange(9).reshape(3, 3).astype(dtype)
  data.write_obj(vertices, np.array([[0, 1, 2]]), tmp_path / 'a.obj', scale=0.5)
  np.testing.assert_array_equal(vertices.ravel(), np.arange(9))
  found, faces = data.read_obj(tmp_path / 'a.obj')
  np.testing.assert_array_equal(found[:, [2, 0, 1]], vertices * 0.5)
  assert faces == [[0, 1, 2]]


def test_indices_are_never_guessed(tmp_path):
  data.write_obj(np.eye(4)[:, :3], [[1, 2, 3]], tmp_path / 'a.obj')
  assert data.read_obj(tmp_path / 'a.obj')[1] == [[1, 2, 3]]


def test_a_mesh_without_faces_can_be_written(tmp_path):
  data.write_obj(np.zeros((0, 3)), [], tmp_path / 'a.obj')
  assert (tmp_path / 'a.obj').read_bytes() == b''


def test_process_and_write_are_inverse_turns(tmp_path):
  vertices, faces = data.primitive_meshes()['cone']
  mesh = data.process_mesh(vertices, faces)
  data.write_obj(data.dequantize_verts(mesh['vertices']), data.unflatten_faces(mesh['faces']),
                 tmp_path / 'a.obj')
  again = data.load_process_mesh(tmp_path / 'a.obj')
  assert again['vertices'][:, 2].argmax() == mesh['vertices'][:, 2].argmax() == 32
  assert again['faces'].tolist() == mesh['faces'].tolist()


def test_old_mac_line_ends_and_a_last_line_without_end():
  vertices, faces = parse((TRIANGLE + 'f 1 2 3').replace('\n', '\r'))
  assert len(vertices) == 3 and faces == [[0, 1, 2]]


def test_a_comment_ends_with_its_line_even_after_a_backslash():
  assert len(parse('# C:\\meshes\\\n' + TRIANGLE + 'f 1 2 3')[0]) == 3


def test_a_forward_reference_is_legal():
  assert parse('f 1 2 3\n' + TRIANGLE)[1] == [[0, 1, 2]]


ERRORS = [
    (TRIANGLE + 'f 0 1 2\n', 4, 'index 0'),
    (TRIANGLE + '\n# note\nf 1 2 4\n', 6, 'index 4 is beyond the 3 vertices'),
    (TRIANGLE + 'f 1 2 99999999999999999999999', 4, 'beyond the 3 vertices'),
    ('v 0 0 0\nf -1 -2 -3\nv 1 0 0\nv 0 1 0\n', 2, 'index -2 counts back beyond the 1'),
    (TRIANGLE + 'f 1 2\n', 4, 'at least 3 corners, this one has 2'),
    (TRIANGLE + 'f\n', 4, 'at least 3 corners, this one has 0'),
    (TRIANGLE + 'f 1 \\\n 2\n', 4, 'at least 3 corners'),
    (TRIANGLE + 'f 1 2 3.0\n', 4, "'3.0' is not a vertex index"),
    (TRIANGLE + 'f 1 2 /3\n', 4, 'is not a vertex index'),
    (TRIANGLE + 'f 1 2 1_0\n', 4, "'1_0' is not a vertex index"),
    ('v 0 0\n' + TRIANGLE + 'f 1 2 3\n', 1, '3 coordinates, this one has 2'),
    ('v 0 0 # 0\n' + TRIANGLE + 'f 1 2 3\n', 1, '3 coordinates, this one has 2'),
    (TRIANGLE + 'v 0 zero 0\nf 1 2 3\n', 4, "'zero' is not a coordinate"),
    (TRIANGLE + 'v 0 1_0 0\nf 1 2 3\n', 4, "'1_0' is not a coordinate"),
    (TRIANGLE + 'f 1 2 3\nv nan 0 0\n', 5, 'finite'),
    (TRIANGLE + 'v 0 -inf 0\nf 1 2 3\n', 4, 'finite'),
    (TRIANGLE + 'v 0 0 1e39\nf 1 2 3\n', 4, 'finite'),
    ('', 1, 'without a vertex'),
    ('# only\n\nvn 0 0 1\n', 3, 'without a vertex'),
    ('f 1 2 3\n', 1, 'without a vertex'),
    (TRIANGLE + 'l 1 2\n', 4, 'without a face'),
    (b'v 0 0 0\n\0\x01', 2, 'binary or UTF-16'),
    ((TRIANGLE + 'f 1 2 3').encode('utf-16'), 1, 'binary or UTF-16'),
    ((TRIANGLE + 'f 1 2 3').encode('utf-16-be'), 1, 'binary or UTF-16'),
    (TRIANGLE.replace('\n', '\r\n') + 'f 0 1 2', 4, 'index 0'),
]


@pytest.mark.parametrize('content, line, reason', ERRORS)
@pytest.mark.parametrize('read', [data.read_obj, data.load_process_mesh])
def test_errors_name_file_line_and_reason(tmp_path, read, content, line, reason):
  path = tmp_path / 'broken.obj'
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(ValueError) as error:
    read(path)
  message = str(error.value)
  assert message.startswith(f'{path}, line {line}: ')
  assert reason in message and '\n' not in message


def test_errors_of_processing_name_the_file(tmp_path):
  path = tmp_path / 'flat.obj'
  path.write_text(TRIANGLE + 'f 1 1 2\n')
  with pytest.raises(ValueError, match='flat.obj: no face is left'):
    data.load_process_mesh(path)


def test_a_missing_file_is_an_os_error(tmp_path):
  with pytest.raises(FileNotFoundError):
    data.read_obj(tmp_path / 'none.obj')
