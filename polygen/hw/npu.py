"""The TensorFlow adapter of Ascend NPUs, which comes with Ascend's toolkit CANN.

Written against Ascend/tensorflow master of December 2023, exercised off-device with a fake adapter,
never run on an Ascend device.

Only this file imports the adapter, and only when the NPU was chosen: the import changes every
session that the process makes afterwards.
"""
import functools
from typing import Callable, NamedTuple

NPU_BRIDGE = 'npu_bridge'  # for TensorFlow 1.15.0
NPU_DEVICE = 'npu_device'  # for TensorFlow 2.6.5


class NpuAdapter(NamedTuple):
  """What is used of the adapter, alike for both versions of TensorFlow.

  Attributes:
    name: of the package it was imported from.
    npu_config_proto: function (config_proto) -> tf.ConfigProto, which every session config goes
      through.
    wrap_optimizer: function (optimizer, loss_scale_manager) -> tf.train.Optimizer that scales the
      loss and skips the updates for which the device reports an overflow.
    set_iteration_per_loop: function (sess, train_op, iterations_per_loop) -> operation that runs
      so many steps at once.
  """
  name: str
  npu_config_proto: Callable
  wrap_optimizer: Callable
  set_iteration_per_loop: Callable


def tensorflow_version():
  """The version of the installed TensorFlow, e.g. '1.15.0'."""
  import tensorflow.compat.v1 as tf
  return tf.__version__


@functools.lru_cache(maxsize=None)
def load_adapter():
  """Imports the adapter for the installed TensorFlow, once per process.

  Returns:
    `NpuAdapter`.

  Raises:
    ValueError: there is none for this TensorFlow, or it cannot be imported; one line says why.
  """
  version = tensorflow_version()
  if version not in _LADDER:
    raise ValueError('Ascend needs TensorFlow {}, not {}'.format(' or '.join(_LADDER), version))
  name, load = _LADDER[version]
  try:
    return load()
  except ModuleNotFoundError as error:
    if error.name != name:
      raise _broken(name, error) from error
    raise ValueError('{} is missing (part of CANN, not on PyPI: install CANN and source its '
                     'set_env.sh)'.format(name)) from error
  except (ImportError, OSError, RuntimeError) as error:
    raise _broken(name, error) from error


def _broken(name, error):
  """The ValueError for an adapter that is there but fails."""
  return ValueError('{} cannot be imported ({}: {})'.format(
      name, type(error).__name__, ' '.join(str(error).split())))


def _load_npu_bridge():
  from npu_bridge.npu_init import NPULossScaleOptimizer, npu_config_proto, util
  return NpuAdapter(NPU_BRIDGE, npu_config_proto, NPULossScaleOptimizer,
                    util.set_iteration_per_loop)


def _load_npu_device():
  import npu_device
  from npu_device.compat.v1.npu_init import NPUOptimizer, npu_config_proto, util

  def wrap_optimizer(optimizer, loss_scale_manager):
    return NPUOptimizer(optimizer, loss_scale_manager=loss_scale_manager, is_loss_scale=True)

  npu_device.compat.enable_v1()
  return NpuAdapter(NPU_DEVICE, npu_config_proto, wrap_optimizer, util.set_iteration_per_loop)


_LADDER = {'1.15.0': (NPU_BRIDGE, _load_npu_bridge), '2.6.5': (NPU_DEVICE, _load_npu_device)}
