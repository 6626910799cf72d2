"""Vertices given by the user: into the coordinates of the models, and back."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from polygen import data


def test_whole_vertices_are_those_of_the_processed_mesh():
  compared = []

  @settings(max_examples=50, deadline=None)
  @given(strategies.file_meshes(), strategies.BITS)
  def compare(mesh, bits):
    points, _ = mesh
    # Every vertex has a face, so that processing drops none but those of faces without area.
    faces = [[i, (i + 1) % len(points), (i + 2) % len(points)] for i in range(len(points))]
    try:
      processed = data.process_mesh(points, faces, bits)['vertices']
    except ValueError:
      return  # no face is left
    found = data.whole_vertices(points, bits)
    assert set(map(tuple, processed)) <= set(map(tuple, found.bins))
    check(found, points, bits)
    compared.append(len(processed) == len(found.bins))

  compare()
  assert sum(compared) > 10


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 8), st.lists(st.tuples(*[st.floats(-0.5, 0.5)] * 3), min_size=1, max_size=9),
       st.floats(-10, 10), st.floats(0.1, 10))
def test_lowest_vertices_lie_in_their_frame(bits, points, shift, diagonal):
  model_points = np.array(points)
  frame = data.Frame((shift, -shift, 2 * shift), diagonal)
  points = model_points * diagonal + frame.center
  near = data.quantize_verts(model_points[:, [2, 0, 1]], bits)
  try:
    found = data.lowest_vertices(points, bits, frame)
  except ValueError as error:
    # Only where there are fewer than three, the highest of them in the last two bins or nearly so.
    assert 'above' in str(error)
    assert len(np.unique(near, axis=0)) < 3 and near[:, 2].max() >= 2 ** bits - 2
    return
  assert not found.whole and found.frame == frame
  # Of rounding in the frame nothing is left but ties.
  assert np.abs(found.bins[:, None] - near[None]).max(axis=-1).min(axis=0).max() <= 1
  check(found, points, bits)


def check(found, points, bits):
  """The law of both: sorted, different bins, and positions that are given points."""
  zyx = [tuple(vertex) for vertex in found.bins[:, ::-1].tolist()]
  assert zyx == sorted(set(zyx))
  assert found.bins.dtype == np.int32 and found.bins.min() >= 0 and found.bins.max() < 2 ** bits
  turned = {tuple(point) for point in np.float64(points)[:, [2, 0, 1]].tolist()}
  assert set(map(tuple, found.positions.tolist())) <= turned
  drawn = data.dequantize_verts(found.bins, bits)
  for moved in (drawn, drawn + np.float32([0.25, -0.5, 0.125])):
    placed = found.place(moved)
    assert placed.dtype == np.float32
    np.testing.assert_array_equal(placed, found.positions.astype(np.float32))
  more = np.concatenate([drawn, drawn[-1:] + np.float32(1 / (2 ** bits - 1))])
  new = found.place(more)[-1] - np.array(found.frame.center)[[2, 0, 1]]
  np.testing.assert_allclose(new / found.frame.diagonal, more[-1], atol=1e-4 * (
      1 + np.abs(found.frame.center).max() / found.frame.diagonal))


def test_equal_vertices_are_welded_and_keep_the_place_of_the_first():
  points = [[0, 0, 0], [4, 0, 0], [4.001, 0, 0], [0, 4, 0], [0, 4, 0], [0, 0, 4]]
  found = data.whole_vertices(points, 6)
  assert len(found.bins) == 4
  assert sorted(found.place(data.dequantize_verts(found.bins, 6))[:, [1, 2, 0]].tolist()) == [
      [0, 0, 0], [0, 0, 4], [0, 4, 0], [4, 0, 0]]


@pytest.mark.parametrize('make, points, message', [
    (data.whole_vertices, [], 'no vertices'),
    (data.lowest_vertices, [], 'no vertices'),
    (data.whole_vertices, [[0, 0, 0]] * 3, 'no extent'),
    (data.whole_vertices, [[0, 0, 0], [1, 0, 0], [0, 0, 0]], 'fall into 2 bins'),
    (data.whole_vertices, [[0, 0, 0], [1, 0, 0], [np.nan, 0, 0]], 'not finite'),
    (data.lowest_vertices, [[np.inf, 0, 0]], 'not finite'),
    (data.lowest_vertices, [[0.6, 0, 0]], r'outside the bounding box.*--prefix_frame'),
    (data.lowest_vertices, [[0.5, 0.5, 0.5]], 'no others fit above'),
])
def test_unfit_vertices_are_refused(make, points, message):
  with pytest.raises(ValueError, match=message):
    make(points)


def test_the_top_may_be_given_after_two_others():
  found = data.lowest_vertices([[0, 0, 0], [0, 0.2, 0], [0.5, 0.5, 0.5]])
  assert found.bins[-1].tolist() == [255, 255, 255]
  # z is up: the second coordinate of the file orders the vertices.
  assert found.positions[:, 2].tolist() == [0, 0.2, 0.5]
