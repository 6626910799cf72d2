"""The class of a mesh file, from the folders it lies in.

    [.../]<synset>/<model>/...                          a synset of ShapeNetCore v2: its name
    [.../]<digits>/<model>/models/model_normalized.obj  another synset: its number
    [.../]<digits>/<model>/model.obj
    <class>/.../x.obj                                   the first folder
    x.obj                                               the stem of the file
"""
import os
import re

_IN_SYNSET = re.compile(r'(?:.*/)?(\d{8})/[^/]+/')
_SHAPENET = re.compile(r'(?:.*/)?(\d{8})/[^/]+/(?:models/model_normalized|model)\.\w+$')

# The 55 synsets of ShapeNetCore v2, by number; a class id of DeepMind's published weights is the
# position in this order (49 is table).
SHAPENET_SYNSETS = {
    '02691156': 'airplane', '02747177': 'trash bin', '02773838': 'bag', '02801938': 'basket',
    '02808440': 'bathtub', '02818832': 'bed', '02828884': 'bench', '02843684': 'birdhouse',
    '02871439': 'bookshelf', '02876657': 'bottle', '02880940': 'bowl', '02924116': 'bus',
    '02933112': 'cabinet', '02942699': 'camera', '02946921': 'can', '02954340': 'cap',
    '02958343': 'car', '02992529': 'cellphone', '03001627': 'chair', '03046257': 'clock',
    '03085013': 'keyboard', '03207941': 'dishwasher', '03211117': 'display',
    '03261776': 'earphone', '03325088': 'faucet', '03337140': 'file cabinet',
    '03467517': 'guitar', '03513137': 'helmet', '03593526': 'jar', '03624134': 'knife',
    '03636649': 'lamp', '03642806': 'laptop', '03691459': 'loudspeaker', '03710193': 'mailbox',
    '03759954': 'microphone', '03761084': 'microwave', '03790512': 'motorbike', '03797390': 'mug',
    '03928116': 'piano', '03938244': 'pillow', '03948459': 'pistol', '03991062': 'flowerpot',
    '04004475': 'printer', '04074963': 'remote control', '04090263': 'rifle', '04099429': 'rocket',
    '04225987': 'skateboard', '04256520': 'sofa', '04330267': 'stove', '04379243': 'table',
    '04401088': 'telephone', '04460130': 'tower', '04468005': 'train', '04530566': 'watercraft',
    '04554684': 'washer'}


def label_of(name, folder_name=''):
  """The class of a file by its path relative to the folder; for ShapeNet the number of the synset.

  folder_name: of the folder itself, which may be that of one synset.

  >>> label_of('chair/old/a.obj'), label_of('a.obj'), label_of('04379243/m/part.obj')
  ('chair', 'a', '04379243')
  """
  path = folder_name + '/' + name
  known, layout = _IN_SYNSET.match(path), _SHAPENET.match(path)
  if known and known.group(1) in SHAPENET_SYNSETS:
    return known.group(1)
  if layout:
    return layout.group(1)
  return name.split('/')[0] if '/' in name else os.path.splitext(name)[0]


def class_ids(labels):
  """Names of the classes and the id of each label.

  Where one label is a synset of ShapeNetCore v2, the ids are those of all 55, whether or not they
  are there, as published weights have them; other labels follow. Else labels are sorted.

  Args:
    labels: different results of `label_of`.

  Returns:
    (list of names in the order of their ids, {label: id}).
  """
  ordered = sorted(labels)
  if not SHAPENET_SYNSETS.keys().isdisjoint(labels):
    ordered = sorted(SHAPENET_SYNSETS) + sorted(set(labels) - set(SHAPENET_SYNSETS))
  return ([SHAPENET_SYNSETS.get(label, label) for label in ordered],
          {label: number for number, label in enumerate(ordered)})
