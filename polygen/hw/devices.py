"""Which device the graphs run on."""
from typing import NamedTuple

AUTO = 'auto'
CPU = 'cpu'
GPU = 'gpu'
DEVICE_CHOICES = (AUTO, CPU, GPU)


class Device(NamedTuple):
  """A chosen device: its name ('cpu' or 'gpu') and why it was chosen."""
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


def choose_device(requested=AUTO):
  """Resolves a device name once; afterwards only the resulting `Device` is passed on.

  Args:
    requested: one of `DEVICE_CHOICES`; 'auto' takes the GPU when there is one.

  Returns:
    A `Device`, never named 'auto'.

  Raises:
    ValueError: the name is unknown, or a GPU is asked for and TensorFlow sees none.
  """
  if requested not in DEVICE_CHOICES:
    raise ValueError('unknown device {!r}: choose one of {}'.format(
        requested, ', '.join(DEVICE_CHOICES)))
  if requested == CPU:
    return Device(CPU, 'as requested')
  num_gpus = count_gpus()
  if num_gpus:
    seen = '{} visible to TensorFlow'.format(num_gpus)
    return Device(GPU, seen if requested == AUTO else 'as requested, {}'.format(seen))
  if requested == GPU:
    raise ValueError('device gpu: TensorFlow sees no GPU here; install its driver and a TensorFlow '
                     'built for it, or choose cpu or auto')
  return Device(CPU, 'TensorFlow sees no GPU')
