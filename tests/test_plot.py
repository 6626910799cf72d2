import subprocess
import sys

import numpy as np
import pytest

from polygen import data

try:
  import matplotlib
except ImportError:
  matplotlib = None

needs_matplotlib = pytest.mark.skipif(
    matplotlib is None, reason='matplotlib is not installed (pip install ".[plot]")')


def drawable(name, title=None):
  mesh = data.process_mesh(*data.primitive_meshes()[name])
  return {'vertices': data.dequantize_verts(mesh['vertices']),
          'faces': data.unflatten_faces(mesh['faces']), 'title': title}


def odd_meshes():
  cube = drawable('cube')['vertices']
  return [
      {'vertices': np.zeros((0, 3)), 'faces': []},
      {'vertices': np.zeros((0, 3))},
      {'vertices': np.zeros((1, 3)), 'faces': [], 'title': 'a point'},
      {'vertices': np.zeros((4, 3)), 'faces': [[0, 1, 2]]},
      {'vertices': cube, 'faces': None},
      {'vertices': cube, 'faces': [[], [0], [0, 1], [0, 0, 1], [0, 1, 2, 3, 1]]},
      {'vertices': cube * 1e-12, 'faces': [[0, 1, 2]]},
      {'vertices': cube.tolist(), 'faces': [np.array([0, 1, 2])]},
      {'vertices': cube, 'faces': np.array([[0, 1, 2, 3], [4, 5, 6, 7]])},
      {'vertices': cube, 'faces': np.zeros((0, 3), int)},
  ]


def ink(pixels):
  """Share of the pixels that are not white."""
  return float((np.asarray(pixels)[..., :3] < 250).any(axis=-1).mean())


def pixels_of(figure):
  figure.canvas.draw()
  return np.asarray(figure.canvas.buffer_rgba())


@needs_matplotlib
def test_a_figure_with_one_cell_per_mesh():
  figure = data.plot_meshes([drawable('cube'), drawable('cone', 'title')] * 3, fig_size=1)
  assert isinstance(figure, matplotlib.figure.Figure)
  assert len(figure.axes) == 6
  assert figure.get_size_inches().tolist() == [4, 2]
  assert ink(pixels_of(figure)) > 0.05


@needs_matplotlib
def test_faces_and_vertices_leave_ink():
  mesh = drawable('icosphere')
  points = ink(pixels_of(data.plot_meshes([dict(mesh, faces=None)], fig_size=1)))
  solid = ink(pixels_of(data.plot_meshes([mesh], fig_size=1)))
  assert 0 < points < solid


@needs_matplotlib
def test_faces_may_be_an_array(tmp_path):
  mesh = drawable('cube')
  as_array = dict(mesh, faces=np.array(mesh['faces']))
  assert as_array['faces'].shape == (6, 4)
  np.testing.assert_array_equal(*[
      pixels_of(data.plot_meshes([each], fig_size=1)) for each in (mesh, as_array)])
  sheets = []
  for each in (mesh, as_array):
    data.write_contact_sheet(str(tmp_path / 'sheet.png'), [('Cube', [each])])
    sheets.append((tmp_path / 'sheet.png').read_bytes())
  assert sheets[0] == sheets[1]


@needs_matplotlib
@pytest.mark.parametrize('number', range(len(odd_meshes())))
def test_odd_meshes_can_be_drawn(tmp_path, number):
  mesh = odd_meshes()[number]
  pixels_of(data.plot_meshes([mesh], fig_size=1))
  data.write_contact_sheet(str(tmp_path / 'sheet.png'), [('Odd', [mesh])])


@needs_matplotlib
def test_nothing_to_draw(tmp_path):
  pixels_of(data.plot_meshes([], fig_size=1))
  for rows in ([], [('Samples', [])]):
    data.write_contact_sheet(str(tmp_path / 'sheet.png'), rows)


@needs_matplotlib
def test_a_contact_sheet_shows_every_group(tmp_path):
  from matplotlib import image
  path = tmp_path / 'sheet.png'
  meshes = [drawable(name, name) for name in data.primitive_meshes()]
  data.write_contact_sheet(path, [('Training meshes', meshes), ('Samples', meshes * 3)])
  pixels = image.imread(str(path)) * 255
  assert pixels.shape[0] > 300 and pixels.shape[1] > 300
  for part in np.array_split(pixels, 3):
    assert ink(part) > 0.05


@needs_matplotlib
def test_no_global_backend_is_touched():
  code = ('import sys; from polygen import data; data.plot_meshes([]); '
          'print("matplotlib.pyplot" in sys.modules)')
  assert subprocess.check_output([sys.executable, '-c', code]).split() == [b'False']


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
  for name in list(sys.modules):
    if name.split('.')[0] in ('matplotlib', 'mpl_toolkits'):
      monkeypatch.delitem(sys.modules, name)
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  with pytest.raises(ImportError, match=r'pip install "polygen\[plot\]"'):
    data.plot_meshes([])
