"""What decides the content of a prepared folder."""
from typing import NamedTuple, Tuple

from ... import tokens

SPLITS = ('train', 'validation', 'test')
# Fractions as decimal numbers do not sum to 1 exactly.
SPLIT_TOLERANCE = 1e-6


class PrepareSettings(NamedTuple):
  """Limits, format, split and variation. The defaults are those of the paper (section 4).

  Attributes:
    max_vertices, max_face_tokens: larger meshes are left out.
    quantization_bits: bits per coordinate.
    split: shares of SPLITS.
    seed: of the split and of the varied copies.
    merge_planar: degrees within which faces are merged to n-gons; 0 leaves them.
    augment: varied copies of each mesh of the training split, beside itself.
    max_file_mb: larger files are not read, so that memory is bounded.
  """
  max_vertices: int = 800
  max_face_tokens: int = 2800
  quantization_bits: int = 8
  split: Tuple[float, ...] = (0.925, 0.025, 0.05)
  seed: int = 0
  merge_planar: float = 0.
  augment: int = 0
  max_file_mb: float = 100.


def checked_settings(settings):
  """The settings, whole numbers where floats belong made such; a ValueError names a senseless one.
  """
  defaults = PrepareSettings()
  settings = PrepareSettings(*(
      tuple(map(float, value)) if name == 'split' else type(getattr(defaults, name))(value)
      for name, value in settings._asdict().items()))
  for name in ('max_vertices', 'max_face_tokens', 'max_file_mb'):
    if not getattr(settings, name) > 0:
      raise ValueError(f'{name} must be positive, not {getattr(settings, name)}')
  if not 1 <= settings.quantization_bits <= tokens.MAX_QUANTIZATION_BITS:
    raise ValueError(f'quantization_bits must lie between 1 and {tokens.MAX_QUANTIZATION_BITS}, '
                     f'not {settings.quantization_bits}')
  shares = settings.split
  if (len(shares) != len(SPLITS) or not all(0 <= share <= 1 for share in shares)
      or abs(sum(shares) - 1) > SPLIT_TOLERANCE):
    raise ValueError('split must be {} shares that sum to 1, for {}; not {}'.format(
        len(SPLITS), ', '.join(SPLITS), ','.join(map(str, shares))))
  if settings.seed < 0 or settings.augment < 0:
    raise ValueError('seed and augment must not be negative')
  if not 0 <= settings.merge_planar < 90:
    raise ValueError(f'merge_planar must be an angle below 90 degrees, not '
                     f'{settings.merge_planar:g}')
  return settings
