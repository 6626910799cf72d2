"""Samples with given vertices: by the models, the sampler and the command."""
import os
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import model_cases
import randomise
import tiny
from model_cases import BITS, SHALLOW
from polygen import data, sample, sampling
from polygen.config import SamplingConfig

MOST = 5
COUNT = 6
DRAWING = {'only_return_complete': False, 'seed': 4, 'max_sample_length': MOST}


def bins_of(vertices):
  return data.quantize_verts(vertices, BITS)


@pytest.fixture(scope='module')
def continuing():
  """function (prefix, recenter) -> outputs of the samples that start with it, or of all new ones.

  The weights are those of every call.
  """
  with tf.Graph().as_default():
    model = model_cases.vertex_model(decoder_config=SHALLOW)
    model.build()
    session = randomise.randomised_session(model.variables)

  def draw(prefix=None, recenter_verts=False, **options):
    with session.graph.as_default():
      return session.run(model.sample(COUNT, prefix=prefix, recenter_verts=recenter_verts,
                                      **dict(DRAWING, **options)))

  return draw


@pytest.mark.parametrize('mask_invalid', [False, True])
def test_a_sample_continued_from_its_own_beginning_is_the_sample(continuing, mask_invalid):
  free = continuing(mask_invalid=mask_invalid)
  assert len({row.tobytes() for row in free['vertices']}) == COUNT
  for length in (1, 2, 3):
    rows = free['num_vertices'] > length
    assert rows.sum() > 1
    continued = continuing(bins_of(free['vertices'][:, :length]), mask_invalid=mask_invalid)
    for key in ('completed', 'vertices', 'num_vertices'):
      np.testing.assert_array_equal(continued[key][rows], free[key][rows])


def test_every_sample_starts_with_the_prefix(continuing):
  prefix = np.int32([[[3, 0, 1], [1, 2, 5]]])
  outputs = continuing(prefix, mask_invalid=True)
  assert outputs['completed'].all() and (outputs['num_vertices'] > 2).all()
  np.testing.assert_array_equal(bins_of(outputs['vertices'][:, :2]), np.repeat(prefix, COUNT, 0))
  for vertices, count in zip(outputs['vertices'], outputs['num_vertices']):
    zyx = [tuple(vertex) for vertex in bins_of(vertices[:count, ::-1]).tolist()]
    assert zyx == sorted(set(zyx))
  assert len({row.tobytes() for row in outputs['vertices']}) > 1


def test_compiled_loops_continue_alike(continuing):
  prefix = np.int32([[[3, 0, 1], [1, 2, 5]]])
  plain, compiled = [
      continuing(prefix, mask_invalid=True, static_batch=True, compile_loop=compile_it)
      for compile_it in (False, True)]
  for key, value in plain.items():
    np.testing.assert_array_equal(compiled[key], value)


@pytest.mark.parametrize('shape, message', [
    ((1, MOST + 1, 3), 'prefix has 6 vertices'), ((1, 0, 3), 'prefix has 0 vertices'),
    ((2, 1, 3), 'must be equal, or 1'), ((1, 3), 'rank 3'), ((1, 1, 2), 'size 3')])
def test_an_unfit_prefix_is_refused(continuing, shape, message):
  with pytest.raises(ValueError, match=message):
    continuing(np.zeros(shape, np.int32))


def samples_of(given, recenter=False):
  """Four samples of random models."""
  with tf.Graph().as_default():
    models = (model_cases.vertex_model(decoder_config=SHALLOW, class_conditional=True),
              model_cases.face_model(decoder_config=SHALLOW, class_conditional=False))
    sampler = sampling.Sampler(models, 3, SamplingConfig(top_p=1.), recenter=recenter, given=given)
    for model in models:
      model.build()
    variables = [variable for model in models for variable in model.variables]
    with randomise.randomised_session(variables) as session:
      return list(sampler.sample(session, 4, seed=3))


FRAME = data.Frame((1., 2., 3.), 10.)


@pytest.mark.parametrize('recenter', [False, True])
def test_a_sampler_keeps_given_vertices_where_they_were(recenter):
  points = np.array([[1, -1, 3], [2, 0, 2], [0, 1, 4], [3, 3, 3.5]])
  whole = data.whole_vertices(points, BITS)
  samples = samples_of(whole, recenter)
  assert len(samples) == 4
  for drawn in samples:
    assert drawn.completed and drawn.faces and drawn.class_id is None
    np.testing.assert_array_equal(drawn.vertices, points[:, [2, 0, 1]].astype(np.float32))
  lowest = data.lowest_vertices(points[:2], BITS, FRAME)
  samples = samples_of(lowest, recenter)
  assert len({len(drawn.vertices) for drawn in samples} - {2}) >= 1
  for drawn in samples:
    assert drawn.completed and drawn.faces and drawn.class_id is not None
    np.testing.assert_array_equal(drawn.vertices[:2], points[:2, [2, 0, 1]].astype(np.float32))
    others = (drawn.vertices[2:] - np.array(FRAME.center)[[2, 0, 1]]) / FRAME.diagonal
    bins = (others + 0.5) * (2 ** BITS - 1)
    np.testing.assert_allclose(bins, np.round(bins), atol=1e-4)


def test_models_without_room_are_refused():
  points = np.random.default_rng(0).random([model_cases.MAX_FACE_TOKENS, 3]) - 0.5
  with pytest.raises(ValueError, match='14 vertices.*15 tokens.*at most 14'):
    samples_of(data.whole_vertices(points, BITS))
  with pytest.raises(ValueError, match='7 vertices.*at most 6'):
    samples_of(data.lowest_vertices(points[:model_cases.MAX_VERTICES + 1], BITS))
  with pytest.raises(ValueError, match='bins of 5 bits, the models of 4'):
    samples_of(data.lowest_vertices(points[:1], BITS + 1))


# The command.


def command(run_path, out, *flags):
  return sample.main(['--run_path', run_path, '--out', str(out), '--seed', '1', '--num_samples',
                      '2'] + [str(flag) for flag in flags]).pictured


def write_points(path, points):
  path.write_text(''.join('v {} {} {}\n'.format(*point) for point in points))
  return path


@pytest.mark.parametrize('suffix', ['obj', 'ply'])
def test_faces_for_the_vertices_of_a_file(tiny_run, tmp_path, suffix):
  points = [[10, 0, 0], [12, 0, 0], [10, 3, 0], [10, 0, 5]]
  samples = command(tiny_run, tmp_path / 'out', '--format', suffix, '--vertices',
                    write_points(tmp_path / 'points.obj', points))
  names = sorted(tiny.files(tmp_path / 'out'))
  assert names == ['sample_000.' + suffix, 'sample_001.' + suffix, 'samples.json', 'samples.png']
  for name, drawn in zip(names, samples):
    path = os.path.join(str(tmp_path / 'out'), name)
    vertices = (data.read_obj(path)[0] if suffix == 'obj'
                else pytest.importorskip('trimesh').load(path, process=False).vertices)
    assert sorted(vertices.tolist()) == sorted(points)
    assert drawn.completed and {index for face in drawn.faces for index in face} == set(range(4))


def test_a_prefix_from_a_file(tiny_run, tmp_path, capsys):
  points = [[10, 0, 0], [12, 0, 0]]
  path = write_points(tmp_path / 'points.obj', points)
  line = tiny.error_of(sample.main, ['--run_path', tiny_run, '--prefix', path], capsys)
  assert 'points.obj' in line and '--prefix_frame' in line
  samples = command(tiny_run, tmp_path / 'out', '--prefix', path, '--prefix_frame', 11, 1, 0, 4,
                    '--class_label', 'octahedron')
  for number, drawn in enumerate(samples):
    vertices, _ = data.read_obj(str(tmp_path / 'out' / 'sample_00{}.obj'.format(number)))
    assert vertices[:2].tolist() == points
    assert drawn.completed and 3 <= len(vertices) <= tiny.MAX_VERTICES
    assert (vertices[2:, 1] >= 0).all()  # the second axis of a file is the vertical one


@pytest.mark.parametrize('flags, words', [
    (['--vertices', 'FILE', '--prefix', 'FILE'], ['--vertices', '--prefix', 'choose']),
    (['--prefix_frame', '0', '0', '0', '1'], ['--prefix_frame', '--prefix']),
    (['--vertices', 'FILE', '--prefix_frame', '0', '0', '0', '1'], ['--prefix_frame']),
    (['--prefix', 'FILE', '--prefix_frame', '0', '0', '0', '-1'], ['--prefix_frame', '-1']),
    (['--prefix', 'FILE', '--prefix_frame', '0', '0', '1'], ['--prefix_frame', '4']),
    (['--vertices', 'FILE'], ['FILE', '3 vertices', '2 bins']),
    (['--vertices', 'missing.obj'], ['missing.obj', 'No such file']),
    (['--vertices', 'MANY'], ['33 vertices', 'at most 32']),
    (['--prefix', 'MANY'], ['33 vertices', 'at most 6']),
    (['--format', 'xyz'], ['--format', 'xyz', 'glb'])])
def test_bad_flags(tiny_run, tmp_path, capsys, flags, words):
  before = tiny.files(tiny_run)
  paths = {'FILE': write_points(tmp_path / 'two.obj', [[0, 0, 0], [0.4, 0, 0]]),
           'MANY': write_points(tmp_path / 'many.obj', [
               [0.4 * (i % 4) / 4, 0.4 * (i // 16) / 4, 0.4 * (i // 4 % 4) / 4]
               for i in range(33)])}
  line = tiny.error_of(sample.main, ['--run_path', tiny_run] + [
      str(paths.get(flag, flag)) for flag in flags], capsys)
  words = [os.path.basename(str(paths.get(word, word))) for word in words]
  assert all(word in line for word in words), line
  assert tiny.files(tiny_run) == before


def test_a_format_without_its_library_is_an_error_before_anything_is_drawn(
    tiny_run, tmp_path, capsys, monkeypatch):
  monkeypatch.setitem(sys.modules, 'trimesh', None)
  line = tiny.error_of(sample.main, [
      '--run_path', tiny_run, '--format', 'glb', '--out', tmp_path / 'out'], capsys)
  assert 'polygen[io]' in line and not (tmp_path / 'out').exists()
