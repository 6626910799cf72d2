"""Pictures of meshes. matplotlib is imported on use, without pyplot and so without global state."""
import math

import numpy as np

from .. import tokens

# Seen from the camera: the light comes from above and from the right.
_LIGHT_RIGHT, _LIGHT_UP = 0.45, 0.65
_AMBIENT, _BRIGHTNESS = 0.45, 1.15
_FACE_COLOR = (0.36, 0.56, 0.83)
_EDGE_COLOR = (0.10, 0.16, 0.27)
_VERTEX_COLOR = (0.85, 0.33, 0.10)

_SHEET_COLUMNS = 8
_SHEET_CELL = 1.6     # inches
_SHEET_TITLE = 0.42   # inches
_SHEET_MARGIN = 0.1   # inches
_SHEET_DPI = 110
_SHEET_ELEVATION, _SHEET_AZIMUTH = 25, -55   # degrees
_SHEET_VERTEX_SIZE, _SHEET_VERTEX_ALPHA = 3, 0.8
_HALF_WIDTH = 0.46    # of the cube that a cell shows, in diagonals of the mesh

# matplotlib leaves a wide margin around 3D axes; this fills it.
_ZOOM = 1.3


def plot_meshes(mesh_list, ax_lims=0.3, fig_size=4, el=30, rot_start=120, vert_size=10,
                vert_alpha=0.75, n_cols=4):
  """Draws meshes side by side.

  Args:
    mesh_list: dicts with 'vertices', floats [V, 3] as (x, y, z) with z up; optionally 'faces',
      lists of vertex indices or an array [F, corners] (None: vertices alone), and 'title', a
      string.
    ax_lims: every axis runs from -ax_lims to ax_lims.
    fig_size: inches per mesh.
    el, rot_start: elevation and azimuth of the camera, degrees.
    vert_size, vert_alpha: area (points^2) and opacity of the vertices.
    n_cols: most meshes in a row.

  Returns:
    matplotlib.figure.Figure.
  """
  columns = max(1, min(len(mesh_list), n_cols))
  rows = max(1, math.ceil(len(mesh_list) / columns))
  figure = _new_figure(fig_size * columns, fig_size * rows)
  for place, mesh in enumerate(mesh_list, 1):
    axes = figure.add_subplot(rows, columns, place, projection='3d')
    _draw_mesh(axes, mesh, np.zeros(3), ax_lims, el, rot_start, vert_size, vert_alpha)
  return figure


def write_contact_sheet(path, rows):
  """Writes a PNG of titled groups of meshes, each mesh scaled to fill its cell.

  Args:
    path: file to write.
    rows: list of (title, mesh_list), meshes as for `plot_meshes`. Long lists take several lines.
  """
  most = max([len(mesh_list) for _, mesh_list in rows] + [1])
  columns = min(most, _SHEET_COLUMNS)
  lines = [max(1, math.ceil(len(mesh_list) / columns)) for _, mesh_list in rows]
  width = columns * _SHEET_CELL
  height = sum(lines) * _SHEET_CELL + len(rows) * _SHEET_TITLE + _SHEET_MARGIN
  figure = _new_figure(width, height)
  top = height
  for (title, mesh_list), count in zip(rows, lines):
    top -= _SHEET_TITLE
    figure.text(_SHEET_MARGIN / width, (top + _SHEET_MARGIN) / height, title, fontsize=12,
                fontweight='bold', va='bottom', color=_EDGE_COLOR)
    for place, mesh in enumerate(mesh_list):
      line, column = divmod(place, columns)
      bottom = top - (line + 1) * _SHEET_CELL
      axes = figure.add_axes(
          [column / columns, bottom / height, 1 / columns, _SHEET_CELL / height],
          projection='3d')
      center, radius = _bounds(mesh['vertices'])
      # Points on top of faces would hide the shape.
      vert_size = 0 if _faces(mesh) else _SHEET_VERTEX_SIZE
      _draw_mesh(axes, mesh, center, radius, _SHEET_ELEVATION, _SHEET_AZIMUTH, vert_size,
                 _SHEET_VERTEX_ALPHA)
    top -= count * _SHEET_CELL
  figure.savefig(path, dpi=_SHEET_DPI, format='png')


def _new_figure(width, height):
  try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from mpl_toolkits import mplot3d  # noqa: F401, registers the projection '3d'
  except ImportError as error:
    raise ImportError('pictures need matplotlib: pip install "polygen[plot]" '
                      '(from a checkout: pip install ".[plot]")') from error
  figure = Figure(figsize=(width, height), facecolor='white')
  FigureCanvasAgg(figure)
  return figure


def _draw_mesh(axes, mesh, center, radius, el, azimuth, vert_size, vert_alpha):
  """Draws one mesh; the axes show the cube of half-width `radius` around `center`."""
  from mpl_toolkits.mplot3d.art3d import Poly3DCollection
  vertices = np.asarray(mesh['vertices'], np.float64).reshape(-1, 3)
  polygons = [vertices[list(face)] for face in _faces(mesh)
              if len(face) >= tokens.MIN_FACE_CORNERS]
  if polygons:
    axes.add_collection3d(Poly3DCollection(
        polygons, facecolors=_shades(polygons, el, azimuth), edgecolors=_EDGE_COLOR + (0.7,),
        linewidths=0.4))
  if len(vertices) and vert_size:
    axes.scatter(*vertices.T, s=vert_size, alpha=vert_alpha, lw=0, color=_VERTEX_COLOR)
  axes.set_xlim(center[0] - radius, center[0] + radius)
  axes.set_ylim(center[1] - radius, center[1] + radius)
  axes.set_zlim(center[2] - radius, center[2] + radius)
  axes.set_box_aspect((1, 1, 1), zoom=_ZOOM)
  axes.view_init(el, azimuth)
  axes.set_axis_off()
  if mesh.get('title'):
    axes.text2D(0.5, 0.02, mesh['title'], transform=axes.transAxes, fontsize=8, ha='center',
                va='bottom', color=_EDGE_COLOR)


def _faces(mesh):
  faces = mesh.get('faces')
  return [] if faces is None else list(faces)


def _shades(polygons, el, azimuth):
  """One RGB color per polygon; both of its sides are lit alike, so winding does not show."""
  el, azimuth = np.radians(el), np.radians(azimuth)
  to_camera = np.array([np.cos(el) * np.cos(azimuth), np.cos(el) * np.sin(azimuth), np.sin(el)])
  right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.])
  light = to_camera + _LIGHT_RIGHT * right + _LIGHT_UP * np.cross(to_camera, right)
  light /= np.linalg.norm(light)
  normals = np.array([_normal(polygon) for polygon in polygons])
  facing = np.where(normals @ to_camera < 0, -1., 1.)
  brightness = _AMBIENT + (1 - _AMBIENT) * np.clip(facing * (normals @ light), 0, 1)
  return np.clip(brightness[:, None] * np.array(_FACE_COLOR) * _BRIGHTNESS, 0, 1)


def _normal(polygon):
  """Unit normal by Newell's method, 0 for a polygon without area."""
  normal = np.cross(polygon, np.roll(polygon, -1, axis=0)).sum(axis=0)
  length = np.linalg.norm(normal)
  return normal / length if length > 0 else np.zeros(3)


def _bounds(vertices):
  """Centre of the bounding box and the half-width of a cube that shows it well."""
  vertices = np.asarray(vertices, np.float64).reshape(-1, 3)
  if not len(vertices):
    return np.zeros(3), 1.
  low, high = vertices.min(axis=0), vertices.max(axis=0)
  diagonal = np.linalg.norm(high - low)
  return (low + high) / 2, _HALF_WIDTH * diagonal if diagonal > 0 else 1.
