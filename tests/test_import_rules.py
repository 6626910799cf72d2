"""The package keeps its import rules, and the checker sees those who break them."""
import pytest

import import_rules
from checkout import ROOT

MODULES = {'polygen', 'polygen.tokens', 'polygen.config', 'polygen.cli', 'polygen.hw',
           'polygen.hw.devices', 'polygen.data', 'polygen.data.obj', 'polygen.data.faces',
           'polygen.layers', 'polygen.layers.masks', 'polygen.models', 'polygen.models.vertex',
           'polygen.checkpoint', 'polygen.sampling', 'polygen.training', 'polygen.training.loop',
           'polygen.train', 'polygen.sample'}


def package_sources():
  """{module: (text, is_package)} of every file of the package."""
  sources = {}
  for path in sorted((ROOT / 'polygen').rglob('*.py')):
    parts = list(path.relative_to(ROOT).with_suffix('').parts)
    is_package = parts[-1] == '__init__'
    module = '.'.join(parts[:-1] if is_package else parts)
    sources[module] = (path.read_text(encoding='utf-8'), is_package)
  return sources


def test_the_package_keeps_the_rules():
  sources = package_sources()
  assert {'polygen', 'polygen.tokens', 'polygen.hw.devices'} <= set(sources)
  assert len(sources) > 10
  found = [fault for module, (source, is_package) in sources.items()
           for fault in import_rules.faults(module, source, sources, is_package)]
  assert not found, '\n'.join(found)


def test_the_package_has_no_cycles():
  graph = import_rules.import_graph(package_sources())
  assert sum(map(len, graph.values())) > 10
  assert import_rules.find_cycle(graph) is None


def test_every_folder_is_a_package():
  folders = {path.parent for path in (ROOT / 'polygen').rglob('*.py')}
  assert folders
  assert not [str(folder) for folder in folders if not (folder / '__init__.py').is_file()]


INSIDE = 'def f():\n  '


@pytest.mark.parametrize('module, source', [
    ('polygen.train', 'from . import cli, config, tokens\nfrom .training.loop import run'),
    ('polygen.train', 'from .hw import devices\nimport tensorflow.compat.v1 as tf'),
    ('polygen.cli', 'import argparse\nfrom .hw import DEVICE_CHOICES'),
    ('polygen.training.loop', 'from .. import checkpoint, config\nfrom ..data.obj import read'),
    ('polygen.sampling', 'from .models.vertex import VertexModel'),
    ('polygen.models.vertex', 'from ..layers import masks\nfrom ..tokens import STOP'),
    ('polygen.data.obj', 'from .faces import f\nfrom ..tokens import STOP\nimport numpy as np'),
    ('polygen.data.obj', INSIDE + 'import tensorflow.compat.v1 as tf'),
    ('polygen.data.obj', INSIDE + 'import trimesh'),
    ('polygen.data.obj', INSIDE + 'from matplotlib import pyplot as plt'),
    ('polygen.layers.masks', 'import math, os.path\nimport tensorflow.compat.v1 as tf'),
    ('polygen.layers.masks', 'import tensorflow.compat.v1 as tf\ny = tf.nn.relu(1)'),
    ('polygen.hw.devices', INSIDE + 'from npu_bridge.npu_init import RewriterConfig')])
def test_good_code_passes(module, source):
  assert import_rules.faults(module, source, MODULES) == []


@pytest.mark.parametrize('module, source, words', [
    ('polygen.train', 'from . import sample', 'forbidden direction'),
    ('polygen.sample', 'from .train import main', 'forbidden direction'),
    ('polygen.cli', 'from .training import loop', 'forbidden direction'),
    ('polygen.training.loop', 'from .. import sampling', 'forbidden direction'),
    ('polygen.training.loop', 'from ..cli import Progress', 'forbidden direction'),
    ('polygen.sampling', 'from .layers import masks', 'forbidden direction'),
    ('polygen.checkpoint', 'from . import tokens', 'forbidden direction'),
    ('polygen.models.vertex', 'from ..data import obj', 'forbidden direction'),
    ('polygen.data.obj', 'from ..config import X', 'forbidden direction'),
    ('polygen.data.obj', INSIDE + 'from ..models import vertex', 'forbidden direction'),
    ('polygen.layers.masks', 'from .. import tokens', 'forbidden direction'),
    ('polygen.layers.masks', 'from ..hw.devices import Device', 'forbidden direction'),
    ('polygen.hw.devices', 'from ..config import X', 'forbidden direction'),
    ('polygen.tokens', 'from .config import X', 'forbidden direction'),
    ('polygen.tokens', 'from . import __version__', 'forbidden direction'),
    ('polygen.train', 'from .missing import x', 'no such module'),
    ('polygen.data.obj', 'from ... import other', 'beyond the package'),
    ('polygen.data.obj', 'from .faces import *', 'star import'),
    ('polygen.train', 'import polygen.config', 'absolute import'),
    ('polygen.train', INSIDE + 'from polygen import config', 'absolute import'),
    ('polygen.models.vertex', 'import tensorflow as tf', 'TensorFlow other than'),
    ('polygen.models.vertex', 'import tensorflow.compat.v1', 'TensorFlow other than'),
    ('polygen.models.vertex', 'from tensorflow.compat import v1 as tf', 'TensorFlow other than'),
    ('polygen.models.vertex', 'import tensorflow.python.ops', 'TensorFlow other than'),
    ('polygen.data.obj', 'import tensorflow.compat.v1 as tf', 'outside a function'),
    ('polygen.data.obj', 'class A:\n  import tensorflow.compat.v1 as tf', 'outside a function'),
    ('polygen.cli', 'import tensorflow.compat.v1 as tf', 'outside a function'),
    ('polygen.data.obj', 'import matplotlib.pyplot as plt', 'outside a function'),
    ('polygen.train', 'try:\n  import trimesh\nexcept ImportError:\n  pass', 'outside a function'),
    ('polygen.hw.devices', 'import npu_device', 'outside a function'),
    ('polygen.train', INSIDE + 'import npu_bridge', 'only hw'),
    ('polygen.training.loop', INSIDE + 'from hccl.manage.api import get_rank_id', 'only hw'),
    ('polygen.models.vertex', 'import sonnet as snt', 'not a dependency'),
    ('polygen.models.vertex', 'import tensor2tensor', 'not a dependency'),
    ('polygen.models.vertex', 'import tensorflow_probability as tfp', 'not a dependency'),
    ('polygen.data.obj', INSIDE + 'import networkx', 'not a dependency'),
    ('polygen.models.vertex', 'import keras', 'not a dependency'),
    ('polygen.train', 'from absl import flags', 'not a dependency'),
    ('polygen.data.obj', 'import pytest', 'not a dependency'),
    ('polygen.train', 'import importlib\nimportlib.import_module("keras")', 'import by string'),
    ('polygen.models.vertex', 'x = tf.contrib.layers', 'banned'),
    ('polygen.models.vertex', 'x = tf.estimator.Estimator', 'banned'),
    ('polygen.train', 'tf.flags.DEFINE_string', 'banned'),
    ('polygen.models.vertex', 'x = tf.keras.layers.Dense(3)', 'banned'),
    ('polygen.models.vertex', 'x = tf.layers.dense', 'banned'),
    ('polygen.train', 'tf.disable_v2_behavior()', 'whole process'),
    ('polygen.train', INSIDE + 'tf.enable_eager_execution()', 'whole process'),
    ('polygen.train', 'tf.compat.v1.disable_eager_execution()', 'whole process'),
    ('polygen.train', 'tf.logging.set_verbosity(tf.logging.ERROR)', 'whole process'),
    ('polygen.train', 'tf.reset_default_graph()', 'whole process')])
def test_bad_code_is_caught(module, source, words):
  found = import_rules.faults(module, source, MODULES)
  assert any(words in fault for fault in found), found


def test_cycles_are_found():
  sources = {'polygen': ('', True), 'polygen.data': ('from .obj import read', True),
             'polygen.data.obj': ('from . import faces', False),
             'polygen.data.faces': ('def f():\n  from .obj import read', False)}
  cycle = import_rules.find_cycle(import_rules.import_graph(sources))
  assert cycle == ['polygen.data.faces', 'polygen.data.obj', 'polygen.data.faces'] or (
      cycle == ['polygen.data.obj', 'polygen.data.faces', 'polygen.data.obj'])
  sources['polygen.data.faces'] = ('', False)
  assert import_rules.find_cycle(import_rules.import_graph(sources)) is None
  sources['polygen.data.faces'] = ('from . import read', False)
  assert import_rules.find_cycle(import_rules.import_graph(sources))
