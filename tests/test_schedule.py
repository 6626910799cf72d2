"""The learning rate over a run."""
import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from polygen.config import TrainingConfig
from polygen.training.schedule import learning_rate

CONFIG = TrainingConfig(training_steps=40, learning_rate=0.3)


def rates(config, steps):
  with tf.Graph().as_default(), tf.Session() as session:
    step = tf.placeholder(tf.int64, [])
    rate = learning_rate(config, step)
    return np.array([session.run(rate, {step: number}) for number in steps])


def test_cosine_falls_from_the_rate_to_0():
  found = rates(CONFIG, range(41))
  np.testing.assert_allclose(found, 0.15 * (1 + np.cos(np.pi * np.arange(41) / 40)), atol=1e-6)
  assert found[0] == np.float32(0.3) and (np.diff(found) < 0).all()
  assert found[-1] == pytest.approx(0, abs=1e-6)


def test_none_stays():
  constant = dataclasses.replace(CONFIG, learning_rate_decay='none')
  assert (rates(constant, [0, 17, 40]) == np.float32(0.3)).all()


def test_another_name_is_an_error():
  with pytest.raises(ValueError, match='learning_rate_decay.*cosine.*linear'):
    dataclasses.replace(CONFIG, learning_rate_decay='linear')


def test_warm_up_rises_to_the_rate_then_the_cosine_falls():
  warm = dataclasses.replace(CONFIG, warmup_steps=10)
  found = rates(warm, range(41))
  np.testing.assert_allclose(found[:10], 0.3 * np.arange(1, 11) / 10, rtol=1e-6)
  np.testing.assert_allclose(
      found[10:], 0.15 * (1 + np.cos(np.pi * np.arange(31) / 30)), atol=1e-6)
  constant = rates(dataclasses.replace(warm, learning_rate_decay='none'), range(41))
  assert (constant[9:] == np.float32(0.3)).all() and constant[0] == pytest.approx(0.03)
  assert np.isfinite(rates(dataclasses.replace(CONFIG, warmup_steps=100), [0, 40, 99])).all()
