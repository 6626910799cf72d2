"""What a command runs on: device, precision and the options of the NPU, resolved once."""
import os
from typing import NamedTuple, Tuple

from .devices import AUTO, CPU, NPU, Device, choose_device, num_cores
from .loss_scale import LossScaleOptimizer
from .npu import load_adapter
from .npu_options import PRECISION_OPTIONS, parse_npu_options
from .precision import DEFAULT_PRECISION, Precision, parse_precision
from .session import session_config


class Machine(NamedTuple):
  """The one object that commands pass on.

  Attributes:
    device: Device.
    precision: Precision.
    npu_options: texts 'name=value', checked on every device and used on the NPU.
  """
  device: Device
  precision: Precision
  npu_options: Tuple[str, ...] = ()

  @property
  def description(self):
    """Lines for the log."""
    return '{}\n{}'.format(self.device.description, self.precision.description)

  @property
  def static_shapes(self):
    """Whether every shape and loop length must be fixed before the graph runs."""
    return self.device.name == NPU

  @property
  def num_shards(self):
    """Independent graphs that may run at the same time: one for each core of a CPU, else 1."""
    return num_cores() if self.device.name == CPU else 1

  @property
  def steps_per_run(self):
    """Training steps of one session.run: `iterations_per_loop` on the NPU, else 1."""
    if self.device.name != NPU:
      return 1
    return parse_npu_options(self.npu_options).get('iterations_per_loop', 1)

  def session_config(self, side_by_side=1):
    """The tf.ConfigProto of a session: see session.py."""
    return session_config(self.device, self.precision, self.npu_options, side_by_side)

  def scaled(self, optimizer, manager):
    """The optimizer under loss scaling, where the precision asks for it.

    Args:
      optimizer: tf.train.Optimizer whose slots exist.
      manager: loss-scale manager (loss_scale.py).
    """
    if not self.precision.scale_loss:
      return optimizer
    if self.device.name == NPU:
      return load_adapter().wrap_optimizer(optimizer, manager)
    return LossScaleOptimizer(optimizer, manager)

  def looped(self, session, train):
    """The train operation, repeated `steps_per_run` times by one session.run."""
    if self.steps_per_run == 1:
      return train
    return load_adapter().set_iteration_per_loop(session, train, self.steps_per_run)


def choose_machine(device=AUTO, precision_mode=DEFAULT_PRECISION, npu_options=()):
  """Resolves what the user asked for.

  Raises:
    ValueError: a device that is not there, an unknown mode, a wrong option, several NPUs.
  """
  chosen = choose_device(device)
  for name, value in parse_npu_options(npu_options).items():
    if name in PRECISION_OPTIONS:
      raise ValueError('npu_option {0}={1}: choose the precision with --precision_mode {1}'.format(
          name, value))
  if chosen.name == NPU and os.environ.get('RANK_SIZE', '1') != '1':
    raise ValueError('RANK_SIZE is {}, but one process on one NPU is all that is supported: set '
                     'RANK_SIZE=1'.format(os.environ['RANK_SIZE']))
  machine = Machine(chosen, parse_precision(precision_mode, chosen), tuple(npu_options))
  machine.session_config()  # refuses options that do not go together
  return machine
