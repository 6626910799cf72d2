"""Which device the graphs run on."""
import glob
import os
from typing import NamedTuple

from .npu import load_adapter

AUTO = 'auto'
CPU = 'cpu'
GPU = 'gpu'
NPU = 'npu'
DEVICE_CHOICES = (AUTO, CPU, GPU, NPU)

# The driver of Ascend NPUs makes one such file for each.
NPU_FILES = '/dev/davinci[0-9]*'


class Device(NamedTuple):
  """A chosen device: its name ('cpu', 'gpu' or 'npu') and why it was chosen."""
  name: str
  reason: str

  @property
  def description(self):
    """One line for the log."""
    return 'Device: {} ({})'.format(self.name, self.reason)


def count_gpus():
  """Number of GPUs TensorFlow can use, without initialising any of them.

  Honours CUDA_VISIBLE_DEVICES and a host program's `tf.config.set_visible_devices`.
  """
  import tensorflow.compat.v1 as tf
  return len(tf.config.experimental.get_visible_devices('GPU'))


def count_npus():
  """Number of Ascend NPUs that the driver of this machine shows."""
  return len(glob.glob(NPU_FILES))


def num_cores():
  """Cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):  # not on every system
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def choose_device(requested=AUTO):
  """Resolves a device name once; afterwards only the resulting `Device` is passed on.

  Choosing the NPU imports its adapter, which changes every later session of the process; 'auto'
  tries that only where the machine shows an NPU.

  Args:
    requested: one of `DEVICE_CHOICES`; 'auto' takes the NPU when it works, else the GPU when there
      is one, else the CPU.

  Returns:
    A `Device`, never named 'auto'.

  Raises:
    ValueError: the name is unknown, a GPU is asked for and TensorFlow sees none, or the NPU is
      asked for and its adapter is missing.
  """
  if requested not in DEVICE_CHOICES:
    raise ValueError('unknown device {!r}: choose one of {}'.format(
        requested, ', '.join(DEVICE_CHOICES)))
  if requested == AUTO:
    return _choose_automatically()
  if requested == NPU:
    return _require_npu()
  if requested == GPU:
    return _require_gpu()
  return Device(CPU, 'as requested')


def _require_npu():
  try:
    return Device(NPU, 'as requested, through {}'.format(load_adapter().name))
  except ValueError as error:
    raise ValueError('device npu: {}; or choose cpu, gpu or auto'.format(error)) from error


def _require_gpu():
  num_gpus = count_gpus()
  if not num_gpus:
    raise ValueError('device gpu: TensorFlow sees no GPU here; install its driver and a TensorFlow '
                     'built for it, or choose cpu or auto')
  return Device(GPU, 'as requested, {} visible to TensorFlow'.format(num_gpus))


def _choose_automatically():
  why_no_npu = ''
  num_npus = count_npus()
  if num_npus:
    try:
      return Device(NPU, '{} in /dev, through {}'.format(num_npus, load_adapter().name))
    except ValueError as error:
      why_no_npu = '; davinci devices are there, but {}'.format(error)
  num_gpus = count_gpus()
  if num_gpus:
    return Device(GPU, '{} visible to TensorFlow{}'.format(num_gpus, why_no_npu))
  return Device(CPU, 'TensorFlow sees no GPU{}'.format(why_no_npu))
