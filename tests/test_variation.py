"""Random scales and warps keep the order, the symmetry and the box of a mesh."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from polygen.data import variation
from polygen.data.variation import random_merge_angle, vary

relaxed = settings(deadline=None, max_examples=50)


def generator(seed):
  return np.random.Generator(np.random.Philox(key=[seed, 0]))


def points_in_a_box(seed, num_points=50):
  """Coordinates [V, 3] in random order, many of them twice."""
  rng = generator(seed)
  points = rng.uniform(-1, 1, [num_points, 3]) * 10. ** rng.integers(-3, 4, 3)
  rows = rng.integers(0, num_points, [num_points, 3])
  return points[rows, np.arange(3)] + rng.normal(size=3)


@relaxed
@given(strategies.SEEDS)
def test_the_order_along_each_axis_is_kept(seed):
  points = points_in_a_box(seed)
  varied = vary(points, generator(seed + 1))
  assert varied.dtype == np.float64 and varied.shape == points.shape
  for before, after in zip(points.T, varied.T):
    order = np.argsort(before)
    is_new = np.diff(before[order]) > 0
    assert is_new.sum() > 10 and (~is_new).sum() > 5
    assert (np.diff(after[order])[is_new] > 0).all()
    assert (np.diff(after[order])[~is_new] == 0).all()


@relaxed
@given(strategies.SEEDS)
def test_the_box_is_scaled_about_its_centre(seed):
  points = points_in_a_box(seed)
  varied = vary(points, generator(seed + 1))
  low, high = points.min(axis=0), points.max(axis=0)
  varied_low, varied_high = varied.min(axis=0), varied.max(axis=0)
  np.testing.assert_allclose(varied_low + varied_high, low + high, rtol=1e-9, atol=1e-9)
  scales = (varied_high - varied_low) / (high - low)
  assert (scales >= 0.75 - 1e-9).all() and (scales <= 1.25 + 1e-9).all()
  assert len(set(scales.tolist())) == 3


@relaxed
@given(strategies.SEEDS)
def test_the_horizontal_axes_stay_symmetric(seed):
  half = generator(seed).uniform(-1, 1, [50, 3])
  points = np.concatenate([half, -half])
  varied = vary(points, generator(seed + 1))
  extent = np.abs(varied).max(axis=0)
  front, back = varied[:len(half)] / extent, varied[len(half):] / extent
  for axis in (0, 2):
    np.testing.assert_allclose(front[:, axis], -back[:, axis], rtol=0, atol=1e-12)
  assert not np.allclose(front[:, 1], -back[:, 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize('axis', range(3))
def test_the_warp_has_five_equal_pieces(axis):
  line = np.zeros([501, 3])
  line[:, axis] = np.linspace(-2., 2., 501)
  for seed in range(5):
    slopes = np.diff(vary(line, generator(seed))[:, axis]) / np.diff(line[:, axis])
    pieces = slopes.reshape(5, 100)
    np.testing.assert_allclose(pieces, np.repeat(pieces[:, 50:51], 100, axis=1), rtol=1e-6)
    different = len(set(np.round(pieces[:, 50], 6)))
    assert different == (5 if axis == 1 else 3)


def test_a_warp_keeps_the_ends_and_slopes_in_proportion():
  slopes = np.array([1., 2., 4., 1., 2.])
  borders = np.linspace(-1, 1, 6)
  np.testing.assert_allclose(variation._warp(borders, slopes),
                             [-1, -0.8, -0.4, 0.4, 0.6, 1], atol=1e-12)
  np.testing.assert_allclose(variation._warp(borders, np.ones(5)), borders, atol=1e-12)


def test_log_slopes_are_normal_of_variance_one_half():
  rng = generator(0)
  slopes = np.array([variation._slopes(rng, symmetric=False) for _ in range(4000)])
  logs = np.log(slopes)
  assert logs.shape == (4000, 5)
  assert logs.mean() == pytest.approx(0, abs=0.03) and logs.var() == pytest.approx(0.5, rel=0.05)
  skewness = ((logs - logs.mean()) ** 3).mean() / logs.std() ** 3
  assert abs(skewness) < 0.1
  np.testing.assert_allclose(np.corrcoef(logs.T), np.eye(5), atol=0.08)


def test_slopes_of_a_symmetric_warp_are_mirrored():
  rng = generator(0)
  slopes = np.array([variation._slopes(rng, symmetric=True) for _ in range(4000)])
  np.testing.assert_array_equal(slopes, slopes[:, ::-1])
  assert np.log(slopes[:, :3]).var() == pytest.approx(0.5, rel=0.05)
  np.testing.assert_allclose(np.corrcoef(slopes[:, :3].T), np.eye(3), atol=0.08)


def test_scales_fill_their_range_evenly():
  corners = np.array([[-1., -1., -1.], [1., 1., 1.]])
  rng = generator(0)
  scales = np.array([np.ptp(vary(corners, rng), axis=0) / 2 for _ in range(4000)])
  assert scales.min() >= 0.75 - 1e-9 and scales.max() <= 1.25 + 1e-9
  for column in scales.T:
    shares = np.histogram(column, bins=5, range=(0.75 - 1e-9, 1.25 + 1e-9))[0] / len(column)
    np.testing.assert_allclose(shares, 0.2, atol=0.03)
  np.testing.assert_allclose(np.corrcoef(scales.T), np.eye(3), atol=0.08)


def test_the_same_generator_gives_the_same_variant():
  points = points_in_a_box(0)
  np.testing.assert_array_equal(vary(points, generator(1)), vary(points, generator(1)))
  assert not np.array_equal(vary(points, generator(1)), vary(points, generator(2)))


@given(st.integers(0, 2), st.integers(0, 2))
def test_an_axis_without_extent_stays(axis, other):
  points = points_in_a_box(3)
  flat = points.copy()
  flat[:, [axis, other]] = 0.1
  varied = vary(flat, generator(4))
  np.testing.assert_array_equal(varied[:, [axis, other]], flat[:, [axis, other]])
  rest = [number for number in range(3) if number not in (axis, other)]
  assert rest
  assert (varied[:, rest] != flat[:, rest]).any()
  # What the other axes get does not depend on it.
  np.testing.assert_array_equal(varied[:, rest], vary(points, generator(4))[:, rest])


@pytest.mark.parametrize('points', [np.zeros([0, 3]), np.ones([1, 3]), np.full([4, 3], -7.)])
def test_nothing_to_vary(points):
  varied = vary(points, generator(0))
  assert varied.dtype == np.float64
  np.testing.assert_array_equal(varied, points)


def test_as_many_numbers_are_drawn_for_every_mesh():
  following = []
  for points in (np.zeros([0, 3]), np.ones([1, 3]), points_in_a_box(0)):
    rng = generator(0)
    vary(points, rng)
    following.append(rng.random())
  assert len(set(following)) == 1


def test_integers_and_lists_are_taken_and_left_alone():
  points = np.random.RandomState(0).randint(-9, 9, [20, 3])
  before = points.copy()
  varied = vary(points, generator(0))
  np.testing.assert_array_equal(points, before)
  np.testing.assert_array_equal(vary(points.tolist(), generator(0)), varied)
  floats = points.astype(np.float64)
  vary(floats, generator(0))
  np.testing.assert_array_equal(floats, before)


def test_angles_lie_between_1_and_20_degrees():
  rng = generator(0)
  angles = np.array([random_merge_angle(rng) for _ in range(4000)])
  assert isinstance(random_merge_angle(rng), float)
  assert angles.min() >= 1 and angles.max() <= 20
  shares = np.histogram(angles, bins=5, range=(1, 20))[0] / len(angles)
  np.testing.assert_allclose(shares, 0.2, atol=0.03)
