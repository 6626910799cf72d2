"""Packages that only some functions need: imported on use, and missed with advice."""


def import_trimesh(needed_by='PLY, STL and GLB files'):
  """The module trimesh. needed_by: a plural, for the message.

  Raises:
    ImportError: it is not installed; says which command does it.
  """
  try:
    import trimesh
  except ImportError as error:
    raise ImportError(f'{needed_by} need trimesh: pip install "polygen[io]" '
                      '(from a checkout: pip install ".[io]")') from error
  return trimesh
