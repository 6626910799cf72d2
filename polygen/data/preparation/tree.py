"""Every mesh file of a folder, at any depth, links followed."""
import heapq
import os
from typing import NamedTuple

from ..reading import is_mesh_name


class MeshFile(NamedTuple):
  """A file, or a folder that cannot be listed.

  Attributes:
    name: path relative to the folder, with '/'.
    problem: why it cannot be read, or None.
  """
  name: str
  problem: str = None


def mesh_files(folder):
  """MeshFiles of all files with the suffix of a mesh, sorted by name; hidden ones are left out.

  Links to folders are followed, after all that lies in the folder itself; none is entered twice.

  Raises:
    OSError: the folder itself cannot be listed.
  """
  os.listdir(folder)
  found, entered = [], set()
  folders, links = [''], []
  while folders or links:
    below = folders.pop() if folders else heapq.heappop(links)
    path = os.path.join(folder, below)
    try:
      here = os.stat(path)
      entries = [entry for entry in os.scandir(path) if not entry.name.startswith('.')]
    except OSError as error:
      found.append(MeshFile(below.rstrip('/'), f'the folder cannot be read: {error.strerror}'))
      continue
    if (here.st_dev, here.st_ino) in entered:
      continue
    entered.add((here.st_dev, here.st_ino))
    for entry in entries:
      if not _is_folder(entry):
        if is_mesh_name(entry.name):
          found.append(MeshFile(below + entry.name))
      elif entry.is_symlink():
        heapq.heappush(links, below + entry.name + '/')
      else:
        folders.append(below + entry.name + '/')
  return sorted(found, key=lambda file: file.name)


def _is_folder(entry):
  try:
    return entry.is_dir()
  except OSError:  # a link that leads to itself
    return False
