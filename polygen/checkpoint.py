"""The run folder, its checkpoints, and weights in DeepMind's naming.

    <run>/config.json             RunConfig
    <run>/checkpoints/model-<step>.{index,data-*}, checkpoint
    <run>/summaries/              TensorBoard events
    <run>/samples/step_<step>/    OBJ files; samples/step_<step>.png
"""
import dataclasses
import os
import re

import tensorflow.compat.v1 as tf

from . import config as config_lib
from .models import FaceModel, VertexModel

_NEVER = 10000.  # hours after which another checkpoint stays for good, as tf.train.Saver has it

# The last part of the names of optimizer slots and counters.
OPTIMIZER_SUFFIXES = ('Adam', 'Adam_1', 'beta1_power', 'beta2_power', 'global_step')


class CheckpointError(ValueError):
  """A checkpoint that is damaged or belongs to other models; the text is one line."""


def build_models(config):
  """The models that a RunConfig trains: {'vertex': VertexModel, 'face': FaceModel}, or one."""
  models = {}
  if 'vertex' in config.training.parts:
    models['vertex'] = VertexModel(**_arguments(config.vertex_model))
  if 'face' in config.training.parts:
    models['face'] = FaceModel(**_arguments(config.face_model))
  return models


class RunFolder:
  """Paths of a run and what is in them."""

  def __init__(self, path):
    self.path = path
    self.config_path = os.path.join(path, 'config.json')
    self.checkpoints = os.path.join(path, 'checkpoints')
    self.summaries = os.path.join(path, 'summaries')
    self.samples = os.path.join(path, 'samples')
    self.validation = os.path.join(path, 'validation.jsonl')

  def read_config(self):
    """The RunConfig of the run.

    Raises:
      FileNotFoundError: the folder is not a run.
      ValueError: its config cannot be read.
    """
    if not os.path.isfile(self.config_path):
      if self.checkpoint_prefixes():
        raise FileNotFoundError('{} is missing: restore it, the checkpoints of the run cannot be '
                                'used without it'.format(self.config_path))
      raise FileNotFoundError(
          '{} is not a run folder: it has no config.json; train one with '
          'python -m polygen.train --output_path {}'.format(self.path, self.path))
    return config_lib.from_dict(
        config_lib.RunConfig, config_lib.read_json(self.config_path), self.config_path)

  def checkpoint_prefixes(self):
    """The prefixes of all checkpoints by step; read from the folder, so that a run can be moved."""
    names = os.listdir(self.checkpoints) if os.path.isdir(self.checkpoints) else []
    found = filter(None, (re.match(r'(model-\d+)\.index$', name) for name in names))
    return sorted((os.path.join(self.checkpoints, match.group(1)) for match in found),
                  key=checkpoint_step)

  def latest_checkpoint(self):
    """The prefix of the last checkpoint, or None."""
    return (self.checkpoint_prefixes() or [None])[-1]

  def require_checkpoint(self):
    """The prefix of the last checkpoint.

    Raises:
      FileNotFoundError: there is none.
    """
    prefix = self.latest_checkpoint()
    if prefix is None:
      raise FileNotFoundError('{} has no checkpoints: train first, or choose another --run_path'
                              .format(self.path))
    return prefix

  def checkpoint_prefix(self):
    """The prefix that `tf.train.Saver.save` extends by the step."""
    os.makedirs(self.checkpoints, exist_ok=True)
    return os.path.join(self.checkpoints, 'model')


class Checkpoints:
  """Saves and restores all variables of the default graph, which must exist.

  Args:
    folder: RunFolder.
    keep: how many of the last checkpoints stay.
    restores: whether `restore` will be called, for which operations are made at once.
  """

  def __init__(self, folder, keep, restores=False):
    self._folder = folder
    self._saver = tf.train.Saver(saver_def=_saving(keep), save_relative_paths=True)
    self._restorer = tf.train.Saver() if restores else None
    self._saver.recover_last_checkpoints(folder.checkpoint_prefixes())

  def save(self, session, step):
    """Writes the checkpoint of a step, and removes the oldest beyond `keep`."""
    self._saver.save(session, self._folder.checkpoint_prefix(), step, write_meta_graph=False)

  def restore(self, session, prefix):
    """Reads a checkpoint; a CheckpointError says what is wrong with it."""
    restore(self._restorer, session, prefix)


def _saving(keep):
  """The tf.train.SaverDef of a Saver that saves all variables and can restore none.

  Left to itself a Saver makes a thousand operations more, most of them to restore, which a new run
  never does.
  """
  variables = tf.global_variables()
  graph = tf.get_default_graph()
  prefix = tf.placeholder(tf.string, [])
  with tf.device('/device:CPU:0'):
    save = tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=[variable.op.name for variable in variables],
        shape_and_slices=[''] * len(variables),
        tensors=[graph.as_graph_element(variable) for variable in variables])
    with tf.control_dependencies([save]):
      saved = tf.identity(prefix)
  return tf.train.SaverDef(
      filename_tensor_name=prefix.name, save_tensor_name=saved.name,
      restore_op_name=tf.no_op().name,  # a Saver insists on one
      max_to_keep=keep, keep_checkpoint_every_n_hours=_NEVER, version=tf.train.SaverDef.V2)


def open_trained(run_path, face_run_path=None):
  """Both models of a run, or the vertex model of one and the face model of another.

  Args:
    run_path: the run folder.
    face_run_path: that of the face model; None: the same.

  Returns:
    RunConfig of both models, {part: prefix of the checkpoint it is in}.

  Raises:
    FileNotFoundError: a folder is no run or has no checkpoint.
    ValueError: a model is missing, or they do not go together.
  """
  folder = RunFolder(run_path)
  config, prefix = folder.read_config(), folder.require_checkpoint()
  if 'vertex' not in config.training.parts:
    raise ValueError('{} holds a face model alone: give the run of a vertex model as --run_path, '
                     'and this one as --face_run_path'.format(run_path))
  if face_run_path is None:
    if 'face' not in config.training.parts:
      raise ValueError('{} holds a vertex model alone: give the run of a face model as '
                       '--face_run_path'.format(run_path))
    return config, {'vertex': prefix, 'face': prefix}
  face_folder = RunFolder(face_run_path)
  face_config, face_prefix = face_folder.read_config(), face_folder.require_checkpoint()
  if 'face' not in face_config.training.parts:
    raise ValueError('{} holds a vertex model alone'.format(face_run_path))
  if face_config.face_model.class_conditional and config.classes != face_config.classes:
    raise ValueError('{} and {} were trained on other classes'.format(run_path, face_run_path))
  config = dataclasses.replace(
      config, face_model=face_config.face_model,
      training=dataclasses.replace(config.training, model='both'))
  return config, {'vertex': prefix, 'face': face_prefix}


def checkpoint_step(prefix):
  """The step in the name of a checkpoint."""
  return int(prefix.rsplit('-', 1)[1])


def unused_path(path):
  """`path`, or path_2, path_3, ... if it exists: nothing is ever overwritten."""
  root, extension = os.path.splitext(path)
  number, candidate = 1, path
  while os.path.exists(candidate):
    number += 1
    candidate = '{}_{}{}'.format(root, number, extension)
  return candidate


def restore_models(session, models, prefixes):
  """Fills the variables of models from checkpoints of runs; a model that was not built has none.

  Args:
    session: tf.Session.
    models: {part: model}.
    prefixes: {part: prefix of the checkpoint that has it}.

  Raises:
    CheckpointError: it is damaged, or a variable is missing from it or has another shape; each is
      named.
  """
  with session.graph.as_default():
    for part, model in models.items():
      if model.variables:
        check_variables(model, variable_shapes(prefixes[part]), prefixes[part])
        restore(tf.train.Saver(model.variables), session, prefixes[part])


def restore(saver, session, prefix):
  """Fills the variables of a tf.train.Saver; raises a CheckpointError if that fails."""
  try:
    saver.restore(session, prefix)
  except (tf.errors.OpError, ValueError) as error:
    raise _damaged(prefix, error)


def variable_shapes(prefix):
  """{name: shape} of a checkpoint; raises a CheckpointError if it cannot be read."""
  try:
    return tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
  except (tf.errors.OpError, ValueError, RuntimeError) as error:
    raise _damaged(prefix, error)


def _damaged(prefix, error):
  missing = re.search(r'Key (\S+) not found in checkpoint', str(error))
  if missing:
    return CheckpointError('the checkpoint {} has no variable {}: it was written by another '
                           'version of this project'.format(prefix, missing.group(1)))
  return CheckpointError('the checkpoint {} cannot be restored ({}): restore its files, or delete '
                         'them to go on from the one before'.format(prefix, type(error).__name__))


def restore_deepmind(session, model, checkpoint_prefix):
  """Fills a model from a TF 1 checkpoint in DeepMind's naming, of either attention layout.

  A face model truncates float vertices from then on, as DeepMind's weights expect: restore before
  the model is called, or build it with truncate_vertices=True. A model without variables in the
  graph of the session is built first. Optimizer slots and a global step are ignored with one line.

  Args:
    session: tf.Session.
    model: VertexModel or FaceModel.
    checkpoint_prefix: path of the checkpoint without `.index`, a string or os.PathLike.

  Raises:
    CheckpointError: a variable is missing from the checkpoint or has another shape, or the
      checkpoint has weights that the model lacks; every one is named. Or it is damaged.
    FileNotFoundError: no such checkpoint.
  """
  checkpoint_prefix = os.fspath(checkpoint_prefix)
  if not os.path.exists(checkpoint_prefix + '.index'):
    raise FileNotFoundError('no checkpoint at {}: give the path without .index'.format(
        checkpoint_prefix))
  shapes = variable_shapes(checkpoint_prefix)
  with session.graph.as_default():
    called_before = bool(model.variables)
    model.build()
    check_variables(model, shapes, checkpoint_prefix)
    ignored = _ignored_entries(model, shapes, checkpoint_prefix)
    restore(tf.train.Saver(model.variables), session, checkpoint_prefix)
  if ignored:
    print('{}: ignored {} entries that are no weights of {}, e.g. {}'.format(
        checkpoint_prefix, len(ignored), model.name, ignored[0]))
  if isinstance(model, FaceModel):
    _truncate_from_now_on(model, called_before)


def check_variables(model, shapes, prefix):
  """Raises a CheckpointError that names the variables a checkpoint lacks or misshapes.

  Args:
    model: a built model.
    shapes: dict from name to shape, of the checkpoint.
    prefix: path of the checkpoint, for the message.
  """
  wrong = []
  for variable in model.variables:
    name, shape = variable.op.name, variable.shape.as_list()
    if name not in shapes:
      wrong.append('{} is missing'.format(name))
    elif list(shapes[name]) != shape:
      wrong.append('{} has shape {}, not {}'.format(name, list(shapes[name]), shape))
  if wrong:
    raise CheckpointError('{} does not fit {}: {}'.format(prefix, model.name, '; '.join(wrong)))


def _ignored_entries(model, shapes, prefix):
  known = {variable.op.name for variable in model.variables}
  others = sorted(set(shapes) - known)
  lacking = [name for name in others if name.startswith(model.name + '/')
             and name.rsplit('/', 1)[-1] not in OPTIMIZER_SUFFIXES]
  if lacking:
    raise CheckpointError('{} has weights that {} lacks (is its config another one?): {}'.format(
        prefix, model.name, ', '.join(lacking)))
  return others


def _truncate_from_now_on(model, called_before):
  nearest_so_far = called_before and not model.config.truncate_vertices
  if nearest_so_far and model.config.use_discrete_vertex_embeddings:
    print('{}: outputs built before this restore quantise vertices to the nearest bin; later ones '
          'truncate, as these weights expect'.format(model.name))
  model.config = dataclasses.replace(model.config, truncate_vertices=True)


def _arguments(config):
  return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
