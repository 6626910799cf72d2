"""Laws that both models share, on random variables: gradients, classes, variables, seeds."""
import numpy as np
import pytest

import model_cases
import sampling_cases


@pytest.fixture(params=model_cases.VERTEX_CASES + model_cases.FACE_CASES)
def case(request):
  return model_cases.case(request.param)


@pytest.fixture
def batch(case):
  return model_cases.batch_of(case)


@pytest.fixture(params=sorted(sampling_cases.CASES))
def sampling(request):
  return sampling_cases.sampling_case(request.param)


def test_the_class_matters_if_there_is_one(case, batch):
  logits = case.run(case.logits, batch)
  labels = (batch['class_label'] + 1) % model_cases.NUM_CLASSES
  others = case.run(case.logits, dict(batch, class_label=labels))
  assert (np.abs(others - logits).max() > 1e-2) == case.model.config.class_conditional


def test_gradients_reach_every_variable(case, batch):
  gradients = case.run(case.gradients, batch)
  assert len(gradients) == len(case.after_call)
  for name, gradient in gradients.items():
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-6, name


def test_sampling_adds_no_variable(case):
  assert case.after_call and case.after_call == case.after_sample


def test_a_call_adds_no_variable(sampling):
  assert sampling.after_sample and sampling.after_sample == sampling.after_call


def test_without_a_seed_every_run_differs(sampling):
  first, *others = [sampling.run(sampling.fresh)[sampling.drawn] for _ in range(5)]
  assert any((first != other).any() for other in others)
  again = [sampling.run(sampling.seeded)[sampling.drawn] for _ in range(2)]
  np.testing.assert_array_equal(*again)
