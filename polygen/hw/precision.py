"""In which number format a device computes, from the user's `--precision_mode`."""
from typing import NamedTuple

DEFAULT_PRECISION = 'mix'
FLOAT32 = 'float32'

# What each accepted spelling asks for. All end in float32 here: a gain from mixed precision
# would have to be measured first.
_REASONS = {
    'mix': 'mix: mixed precision was never measured to gain on a {device}',
    'default': 'the default of a {device}',
    '': 'the default of a {device}',
    FLOAT32: 'as requested',
}


class Precision(NamedTuple):
  """A resolved precision: the format computed in and how it came about."""
  name: str
  reason: str

  @property
  def description(self):
    """One line for the log."""
    return 'Precision: {} ({})'.format(self.name, self.reason)


def parse_precision(mode, device):
  """Resolves a precision mode for a device.

  Args:
    mode: 'mix' (mixed precision where this device gains from it), 'default' or '' (what the
      device does by itself) or 'float32'.
    device: a `Device`.

  Returns:
    A `Precision`.

  Raises:
    ValueError: the mode is not one of these.
  """
  if mode not in _REASONS:
    raise ValueError('unknown precision mode {!r} on {}: choose one of {}'.format(
        mode, device.name, ', '.join(spelling or "''" for spelling in _REASONS)))
  return Precision(FLOAT32, _REASONS[mode].format(device=device.name.upper()))
