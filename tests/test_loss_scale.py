"""Laws of loss scaling: managers against a plain twin, skipped updates, names, continued runs."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings, strategies as st

from polygen import hw
from polygen.hw import loss_scale


class PlainManager:
  """A dynamic loss scale in plain Python."""

  def __init__(self, scale, rise_every, fall_every, rise, fall):
    self.scale, self.rise_every, self.fall_every = scale, rise_every, fall_every
    self.rise, self.fall = rise, fall
    self.good = self.bad = self.skipped = 0

  def update(self, finite):
    if finite:
      self.good, self.bad = self.good + 1, 0
      if self.good == self.rise_every:
        self.scale, self.good = self.scale * self.rise, 0
    else:
      self.good, self.bad, self.skipped = 0, self.bad + 1, self.skipped + 1
      if self.bad == self.fall_every:
        self.scale, self.bad = max(1., self.scale * self.fall), 0


@settings(max_examples=15, deadline=None)
@given(st.floats(1., 2. ** 20), st.integers(1, 4), st.integers(1, 3), st.sampled_from([2, 1.5]),
       st.sampled_from([.5, .8]), st.lists(st.booleans(), min_size=1, max_size=25))
def test_a_dynamic_scale_follows_its_rule(scale, rise_every, fall_every, rise, fall, updates):
  plain = PlainManager(np.float32(scale), rise_every, fall_every, rise, fall)
  with tf.Graph().as_default(), tf.Session() as session:
    manager = hw.ExponentialUpdateLossScaleManager(scale, rise_every, fall_every, rise, fall)
    finite = tf.placeholder(tf.bool, [])
    present, update = manager.get_loss_scale(), manager.update_loss_scale(finite)
    session.run(tf.global_variables_initializer())
    for each in updates:
      session.run(update, {finite: each})
      plain.update(each)
      assert session.run(present) == pytest.approx(plain.scale, rel=1e-5)
      assert session.run(manager.skipped_updates) == plain.skipped


def test_the_defaults_are_those_of_the_adapter():
  """decr_every_n_nan_or_inf=2, incr_ratio=2, decr_ratio=0.8."""
  with tf.Graph().as_default(), tf.Session() as session:
    manager = hw.ExponentialUpdateLossScaleManager(100., 1000)
    bad = manager.update_loss_scale(tf.constant(False))
    session.run(tf.global_variables_initializer())
    scales = []
    for _ in range(4):
      session.run(bad)
      scales.append(session.run(manager.get_loss_scale()))
  assert scales == pytest.approx([100., 80., 80., 64.])


def test_a_scale_stays_between_1_and_the_largest():
  with tf.Graph().as_default(), tf.Session() as session:
    manager = hw.ExponentialUpdateLossScaleManager(2. ** 63, 1, 1)
    updates = [manager.update_loss_scale(tf.constant(finite)) for finite in (True, False)]
    session.run(tf.global_variables_initializer())
    ends = []
    for update in updates:
      for _ in range(300):
        session.run(update)
      ends.append(session.run(manager.get_loss_scale()))
  assert ends == [loss_scale.MAX_LOSS_SCALE, 1.]


@pytest.mark.parametrize('make', [
    lambda: hw.FixedLossScaleManager(0.5),
    lambda: hw.FixedLossScaleManager(1e30),
    lambda: hw.ExponentialUpdateLossScaleManager(1e30, 10),
    lambda: hw.ExponentialUpdateLossScaleManager(0, 10),
    lambda: hw.ExponentialUpdateLossScaleManager(1, 0),
    lambda: hw.ExponentialUpdateLossScaleManager(1, 1, decr_every_n_nan_or_inf=0),
    lambda: hw.ExponentialUpdateLossScaleManager(1, 1, incr_ratio=1),
    lambda: hw.ExponentialUpdateLossScaleManager(1, 1, decr_ratio=1)])
def test_illegal_settings_are_refused(make):
  with tf.Graph().as_default(), pytest.raises(ValueError, match='not'):
    make()


class OneVariable:
  """A variable whose gradient is fed, under Adam and loss scaling."""

  def __init__(self, make_manager):
    self.variable = tf.get_variable('x', [2], tf.float32, tf.ones_initializer(),
                                    use_resource=True)
    self.factor = tf.placeholder(tf.float32, [2])
    self.global_step = tf.train.get_or_create_global_step()
    adam = tf.train.AdamOptimizer(0.1)
    adam._create_slots([self.variable])
    self.slots = [adam.get_slot(self.variable, name) for name in adam.get_slot_names()]
    self.manager = make_manager()
    optimizer = hw.LossScaleOptimizer(adam, self.manager)
    self.unused = tf.get_variable('unused', [], use_resource=True)
    self.gradients = optimizer.compute_gradients(
        tf.reduce_sum(self.variable * self.factor), [self.variable, self.unused])
    self.train = optimizer.apply_gradients(self.gradients, self.global_step)

  def state(self, session):
    return session.run([self.variable, self.global_step] + self.slots)


def fixed_manager():
  return hw.FixedLossScaleManager(1024.)


def dynamic_manager():
  return hw.ExponentialUpdateLossScaleManager(1024., 10, 1, 2, 0.5)


@pytest.mark.parametrize('make_manager, broken', [
    (fixed_manager, np.inf), (fixed_manager, np.nan), (dynamic_manager, -np.inf),
    (dynamic_manager, np.nan), (dynamic_manager, 3e38)])
def test_an_overflow_changes_nothing_but_the_count(make_manager, broken):
  """3e38 is finite, but not when scaled."""
  with tf.Graph().as_default(), tf.Session() as session:
    case = OneVariable(make_manager)
    session.run(tf.global_variables_initializer())
    good, bad = {case.factor: [1., 2.]}, {case.factor: [1., broken]}
    before = case.state(session)
    session.run(case.train, good)
    moved = case.state(session)
    assert len(moved) == 4 and all((a != b).any() if a.shape else a != b
                                   for a, b in zip(before, moved))
    session.run(case.train, bad)
    for a, b in zip(moved, case.state(session)):
      np.testing.assert_array_equal(a, b)
    assert session.run(case.manager.skipped_updates) == 1
    session.run(case.train, good)
    assert session.run(case.manager.skipped_updates) == 1
    assert session.run(case.global_step) == 2


def test_gradients_are_those_of_the_loss_itself_and_none_is_missing():
  with tf.Graph().as_default(), tf.Session() as session:
    case = OneVariable(fixed_manager)
    assert [variable.op.name for _, variable in case.gradients] == ['x']
    session.run(tf.global_variables_initializer())
    gradient = session.run(case.gradients[0][0], {case.factor: [3., -5.]})
  assert gradient.tolist() == [3., -5.]


def test_without_the_overflow_check_every_update_is_made():
  with tf.Graph().as_default(), tf.Session() as session:
    case = OneVariable(lambda: hw.FixedLossScaleManager(2., enable_overflow_check=False))
    session.run(tf.global_variables_initializer())
    session.run(case.train, {case.factor: [1., np.nan]})
    assert np.isnan(session.run(case.variable)[1])
    assert session.run(case.manager.skipped_updates) == 0


def test_scaled_and_unscaled_updates_agree():
  """A power of two loses nothing in float32."""
  updates = [{'factor': np.float32(pair)} for pair in ([3, -5], [1e-3, 2], [-7, 0.1])]
  results = []
  for make_manager in (lambda: hw.FixedLossScaleManager(1.), dynamic_manager):
    with tf.Graph().as_default(), tf.Session() as session:
      case = OneVariable(make_manager)
      session.run(tf.global_variables_initializer())
      for update in updates:
        session.run(case.train, {case.factor: update['factor']})
      results.append(case.state(session))
  assert results[0][1] == 3 and (results[0][0] != 1).all()
  for a, b in zip(*results):
    np.testing.assert_array_equal(a, b)


def test_the_state_goes_through_a_checkpoint(tmp_path):
  """And from one manager to the other: both have the same variables."""
  with tf.Graph().as_default(), tf.Session() as session:
    case = OneVariable(dynamic_manager)
    session.run(tf.global_variables_initializer())
    session.run(case.train, {case.factor: [1., np.inf]})
    session.run(case.train, {case.factor: [1., 1.]})
    prefix = tf.train.Saver().save(session, str(tmp_path / 'model'), write_meta_graph=False)
  for make_manager, scale in ((dynamic_manager, 512.), (fixed_manager, 1024.)):
    with tf.Graph().as_default(), tf.Session() as session:
      case = OneVariable(make_manager)
      tf.train.Saver().restore(session, prefix)
      assert session.run(case.manager.get_loss_scale()) == scale
      assert session.run(case.manager.skipped_updates) == 1
      names = [variable.op.name for variable in tf.global_variables()]
      assert 'loss_scale/good_updates' in names
      assert session.run('loss_scale/good_updates/Read/ReadVariableOp:0') == 1
