import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
import strategies
from polygen import data, tokens

relaxed = settings(deadline=None, max_examples=50)


@relaxed
@given(strategies.bin_meshes(max_bin=4095))
def test_vertex_tokens_round_trip_and_agree_with_the_naive_twin(mesh):
  vertices, _ = mesh
  flat = data.flatten_vertices(vertices)
  assert flat.dtype == np.int32
  assert len(flat) == tokens.vertex_sequence_length(len(vertices))
  assert flat.tolist() == naive.vertex_tokens(vertices.tolist())
  back = data.unflatten_vertices(flat)
  assert back.dtype == np.int32 and back.tolist() == vertices.tolist()


@relaxed
@given(strategies.bin_meshes(), st.lists(st.integers(0, 9), max_size=9))
def test_vertex_tokens_after_stop_are_ignored(mesh, tail):
  vertices, _ = mesh
  flat = np.concatenate([data.flatten_vertices(vertices), np.array(tail, np.int32)])
  assert data.unflatten_vertices(flat).tolist() == vertices.tolist()


@pytest.mark.parametrize('removed', [1, 2, 3, 4])
def test_an_unfinished_vertex_is_dropped(removed):
  vertices = np.arange(12).reshape(4, 3)
  flat = data.flatten_vertices(vertices)[:-removed]
  kept = 4 if removed == 1 else 3
  assert data.unflatten_vertices(flat).tolist() == vertices[:kept].tolist()
  with_stop = np.append(flat, [tokens.STOP, 5, 5])
  assert data.unflatten_vertices(with_stop).tolist() == vertices[:kept].tolist()


@relaxed
@given(strategies.any_faces(20))
def test_face_tokens_round_trip_and_agree_with_the_naive_twin(faces):
  flat = data.flatten_faces(faces)
  assert flat.dtype == np.int32
  assert len(flat) == sum(map(len, faces)) + len(faces)
  assert flat.tolist() == naive.face_tokens(faces)
  assert data.unflatten_faces(flat) == faces
  assert data.unflatten_faces(flat.tolist()) == faces


@relaxed
@given(strategies.any_faces(20), st.lists(st.integers(0, 9), max_size=9))
def test_face_tokens_after_stop_are_ignored(faces, tail):
  flat = np.concatenate([data.flatten_faces(faces), np.array(tail, np.int32)])
  assert data.unflatten_faces(flat) == faces


@relaxed
@given(strategies.any_faces(20), st.data())
def test_a_cut_off_sequence_keeps_the_finished_faces(faces, draw):
  flat = data.flatten_faces(faces)
  length = draw.draw(st.integers(0, len(flat) - 1))
  finished = int((flat[:length] == tokens.NEW_FACE).sum())
  assert data.unflatten_faces(flat[:length]) == faces[:finished]


def test_no_faces():
  assert data.flatten_faces([]).tolist() == [tokens.STOP]
  assert data.unflatten_faces([tokens.STOP]) == []
  assert data.unflatten_faces(np.zeros(0, np.int32)) == []


def test_faces_under_three_corners_are_dropped():
  assert data.unflatten_faces([2, 3, 1, 1, 2, 3, 4, 1, 0]) == [[0, 1, 2]]
