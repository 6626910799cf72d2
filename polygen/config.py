"""Frozen dataclasses for models, training and sampling; presets; JSON in and out.

The interface of a run is one `RunConfig`. `to_dict` / `from_dict` are inverse to each other, and
an unknown key, a missing one or a value of the wrong type is a ValueError that names it.
"""
import dataclasses
import json
import math
from typing import Tuple

from . import tokens

CONDITIONS = ('none', 'class')
LEARNING_RATE_DECAYS = ('none', 'cosine')
TRAINED_MODELS = ('both', 'vertex', 'face')
LOSS_SCALINGS = ('dynamic', 'fixed')
COMPILE_MODES = ('auto', 'on', 'off')

MAX_TRAINING_SEED = 2 ** 31 - 1  # an int32 inside the graph
MIN_TEMPERATURE = 1e-6  # logits divided by less are too large for float32


def _require_positive(config, *names):
  for name in names:
    if getattr(config, name) < 1:
      raise ValueError('{} must be at least 1, not {}'.format(name, getattr(config, name)))


def _require_one_of(config, name, choices):
  if getattr(config, name) not in choices:
    raise ValueError('{} must be one of {}, not {!r}'.format(
        name, ', '.join(choices), getattr(config, name)))


def _require_bits(bits):
  if not 1 <= bits <= tokens.MAX_QUANTIZATION_BITS:
    raise ValueError('quantization_bits must lie between 1 and {}, not {}'.format(
        tokens.MAX_QUANTIZATION_BITS, bits))


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
  """One stack of residual blocks (PolyGen, appendix C), encoder or decoder.

  `re_zero` multiplies each residual branch by a scalar that starts at 0. `memory_efficient`
  computes the activations of each branch again in the backward pass instead of keeping them, and
  chooses the variable layout of DeepMind's stacks of that name (layers/attention.py); the
  mathematics is the same.
  """
  hidden_size: int = 256
  fc_size: int = 1024
  num_heads: int = 4
  num_layers: int = 8
  dropout_rate: float = 0.2
  layer_norm: bool = True
  re_zero: bool = True
  memory_efficient: bool = False

  def __post_init__(self):
    _require_positive(self, 'hidden_size', 'fc_size', 'num_heads', 'num_layers')
    if self.hidden_size % self.num_heads:
      raise ValueError('hidden_size {} is not a multiple of num_heads {}'.format(
          self.hidden_size, self.num_heads))
    if not 0 <= self.dropout_rate < 1:
      raise ValueError('dropout_rate must lie in [0, 1), not {}'.format(self.dropout_rate))


@dataclasses.dataclass(frozen=True)
class VertexModelConfig:
  """The arguments of `polygen.models.VertexModel`."""
  decoder_config: TransformerConfig = TransformerConfig()
  quantization_bits: int = 8
  class_conditional: bool = False
  num_classes: int = 55
  max_num_input_verts: int = 2500
  use_discrete_embeddings: bool = True

  def __post_init__(self):
    _require_positive(self, 'num_classes', 'max_num_input_verts')
    _require_bits(self.quantization_bits)


@dataclasses.dataclass(frozen=True)
class FaceModelConfig:
  """The arguments of `polygen.models.FaceModel`.

  `truncate_vertices`: float vertices are quantised by truncation, as DeepMind's published face
  model did, instead of to the nearest bin.
  """
  encoder_config: TransformerConfig = TransformerConfig()
  decoder_config: TransformerConfig = TransformerConfig()
  class_conditional: bool = True
  num_classes: int = 55
  decoder_cross_attention: bool = True
  use_discrete_vertex_embeddings: bool = True
  quantization_bits: int = 8
  max_seq_length: int = 5000
  truncate_vertices: bool = False

  def __post_init__(self):
    _require_positive(self, 'num_classes', 'max_seq_length')
    _require_bits(self.quantization_bits)
    sizes = self.encoder_config.hidden_size, self.decoder_config.hidden_size
    if sizes[0] != sizes[1]:
      raise ValueError('the hidden_size of the encoder, {}, and of the decoder, {}, must be equal: '
                       'the decoder reads and points to encoded vertices'.format(*sizes))


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
  """Optimisation and the rhythm of a run.

  The loss is the sum in nats over the batch. Adam's second moment decays with 0.99: with 0.999 the
  toy run ends near 0.02, with 0.99 far lower. At a constant learning rate, or not clipped, its
  losses, once below 0.02, jump up at times (TOY_TRAINING). The loss scale acts where the precision
  asks for it (hw/precision.py).

  A step has `batch_size` meshes, or, if `tokens_per_batch` is not 0, as many of like length as have
  so many tokens. They are computed in `accumulate` micro-batches, one after another, whose
  gradients are added: the same update in less memory. `gradient_clip_norm` limits the norm of the
  gradients of each model; 0 does not. `eval_steps` acts where there are validation meshes.
  """
  training_steps: int = 5000
  model: str = 'both'
  batch_size: int = 4
  tokens_per_batch: int = 0
  accumulate: int = 1
  learning_rate: float = 5e-4
  learning_rate_decay: str = 'cosine'
  warmup_steps: int = 0
  gradient_clip_norm: float = 0.
  adam_beta1: float = 0.9
  adam_beta2: float = 0.99
  adam_epsilon: float = 1e-8
  loss_scaling: str = 'dynamic'
  loss_scale: float = 2. ** 15
  loss_scale_growth_steps: int = 1000
  random_shift: bool = False
  seed: int = 0
  log_steps: int = 10
  checkpoint_steps: int = 1000
  keep_checkpoints: int = 5
  eval_steps: int = 500
  sample_steps: int = 500
  num_samples: int = 4

  def __post_init__(self):
    _require_positive(self, 'training_steps', 'batch_size', 'accumulate', 'loss_scale_growth_steps',
                      'log_steps', 'checkpoint_steps', 'keep_checkpoints', 'sample_steps',
                      'eval_steps')
    for name in ('num_samples', 'tokens_per_batch', 'warmup_steps'):
      if getattr(self, name) < 0:
        raise ValueError('{} must be at least 0, not {}'.format(name, getattr(self, name)))
    _require_one_of(self, 'model', TRAINED_MODELS)
    if not 0 <= self.gradient_clip_norm < math.inf:
      raise ValueError('gradient_clip_norm must be a number of at least 0 (0: no clipping), not {}'
                       .format(self.gradient_clip_norm))
    if not 0 < self.learning_rate < math.inf:
      raise ValueError('learning_rate must be a positive number, not {}'.format(
          self.learning_rate))
    _require_one_of(self, 'learning_rate_decay', LEARNING_RATE_DECAYS)
    _require_one_of(self, 'loss_scaling', LOSS_SCALINGS)
    if not 1 <= self.loss_scale <= 2. ** 64:  # as the managers of hw/loss_scale.py have it
      raise ValueError('loss_scale must lie between 1 and 2^64, not {}'.format(self.loss_scale))
    if not (0 <= self.adam_beta1 < 1 and 0 <= self.adam_beta2 < 1):
      raise ValueError('adam_beta1 and adam_beta2 must lie in [0, 1), not {} and {}'.format(
          self.adam_beta1, self.adam_beta2))
    if not 0 < self.adam_epsilon < math.inf:
      raise ValueError('adam_epsilon must be a positive number, not {}'.format(self.adam_epsilon))
    if not 0 <= self.seed <= MAX_TRAINING_SEED:
      raise ValueError('seed must lie between 0 and {}, not {}'.format(
          MAX_TRAINING_SEED, self.seed))


  @property
  def parts(self):
    """Which of 'vertex' and 'face' are trained."""
    return ('vertex', 'face') if self.model == 'both' else (self.model,)


@dataclasses.dataclass(frozen=True)
class SamplingConfig:
  """How tokens are drawn; applied per row in the order mask, temperature, top-k, top-p.

  `mask_invalid`: draw only tokens that lead to a legal mesh.
  """
  temperature: float = 1.
  top_k: int = 0
  top_p: float = 0.95
  mask_invalid: bool = True

  def __post_init__(self):
    if not MIN_TEMPERATURE <= self.temperature < math.inf:
      raise ValueError('temperature must be a number of at least {:g}, not {}; top_k 1 is greedy'
                       .format(MIN_TEMPERATURE, self.temperature))
    if self.top_k < 0:
      raise ValueError('top_k must be at least 0 (0 switches it off), not {}'.format(self.top_k))
    if not 0 < self.top_p <= 1:
      raise ValueError('top_p must lie in (0, 1] (1 switches it off), not {}'.format(self.top_p))


@dataclasses.dataclass(frozen=True)
class RunConfig:
  """All that a run folder must know to be trained further and sampled from.

  `classes` are the class names in the order of their ids; empty in a run without classes.
  `data_digest` tells whether a continued run has the same meshes. `npu_options` are texts
  'name=value' for the Ascend adapter (hw/npu_options.py).
  """
  vertex_model: VertexModelConfig
  face_model: FaceModelConfig
  training: TrainingConfig = TrainingConfig()
  sampling: SamplingConfig = SamplingConfig()
  classes: Tuple[str, ...] = ()
  data_digest: str = ''
  npu_options: Tuple[str, ...] = ()

  def __post_init__(self):
    bits = self.vertex_model.quantization_bits, self.face_model.quantization_bits
    if bits[0] != bits[1]:
      raise ValueError('quantization_bits of vertex_model, {}, and of face_model, {}, must be '
                       'equal'.format(*bits))


TOY_TRANSFORMER = TransformerConfig(
    hidden_size=128, fc_size=512, num_heads=4, num_layers=3, dropout_rate=0.)

# The sizes of DeepMind's published weights.
PRETRAINED_VERTEX_DECODER = TransformerConfig(
    hidden_size=512, fc_size=2048, num_heads=8, num_layers=24, dropout_rate=0.4,
    memory_efficient=True)
PRETRAINED_FACE_ENCODER = dataclasses.replace(
    PRETRAINED_VERTEX_DECODER, num_layers=10, dropout_rate=0.2)
PRETRAINED_FACE_DECODER = dataclasses.replace(PRETRAINED_FACE_ENCODER, num_layers=14)

PAPER_TRAINING = TrainingConfig(
    training_steps=1000000, learning_rate=3e-4, warmup_steps=5000, gradient_clip_norm=1.,
    random_shift=True, eval_steps=5000, checkpoint_steps=5000,
    sample_steps=20000)

# Reaches the published losses in a fifth of the 5000 steps and stays there. Not clipped, face losses
# below 0.02 jump to thousands at times, at an epsilon of 1e-5 as at 1e-3: the gradient grows tenfold
# from step to step, and Adam moves every weight by the learning rate whatever its size. An epsilon
# of 1e-4 learns the faces of many meshes less well (benchmarks.learning: 6.6 bits, not 5.8).
TOY_TRAINING = TrainingConfig(learning_rate=7e-4, warmup_steps=200, gradient_clip_norm=1.,
                              adam_epsilon=1e-5)

PRESETS = {
    'toy': RunConfig(
        vertex_model=VertexModelConfig(
            decoder_config=TOY_TRANSFORMER, class_conditional=True, num_classes=4,
            max_num_input_verts=250),
        face_model=FaceModelConfig(
            encoder_config=TOY_TRANSFORMER, decoder_config=TOY_TRANSFORMER,
            class_conditional=False, max_seq_length=500),
        training=TOY_TRAINING),
    # The release's default sizes; limits and optimisation of the paper (section 4, appendix E).
    'paper': RunConfig(
        vertex_model=VertexModelConfig(class_conditional=True, max_num_input_verts=800),
        face_model=FaceModelConfig(class_conditional=False, max_seq_length=2800),
        training=PAPER_TRAINING),
    'pretrained': RunConfig(
        vertex_model=VertexModelConfig(
            decoder_config=PRETRAINED_VERTEX_DECODER, class_conditional=True,
            max_num_input_verts=5000),
        face_model=FaceModelConfig(
            encoder_config=PRETRAINED_FACE_ENCODER, decoder_config=PRETRAINED_FACE_DECODER,
            class_conditional=False, max_seq_length=8000),
        training=PAPER_TRAINING),
}


def as_transformer_config(config):
  """A TransformerConfig from one or from a dict of its fields (missing ones take the defaults)."""
  if isinstance(config, TransformerConfig):
    return config
  return from_dict(TransformerConfig, config, 'transformer config')


def to_dict(config):
  """A config as nested dicts of JSON values."""
  return dataclasses.asdict(config)


def from_dict(cls, values, where='config'):
  """The config of class `cls` with these (nested) fields; absent ones take their defaults.

  Raises:
    ValueError: an unknown key, a missing one or a wrong value; the message names its place.
  """
  if not isinstance(values, dict):
    raise ValueError('{}: expected an object of fields, not {!r}'.format(where, values))
  fields = {field.name: field for field in dataclasses.fields(cls)}
  unknown = sorted(set(values) - set(fields))
  if unknown:
    raise ValueError('{}: unknown key {!r}; known are {}'.format(
        where, unknown[0], ', '.join(sorted(fields))))
  missing = sorted(name for name, field in fields.items()
                   if name not in values and field.default is dataclasses.MISSING)
  if missing:
    raise ValueError('{}: key {!r} is missing'.format(where, missing[0]))
  arguments = {name: _field_value(fields[name].type, value, '{}.{}'.format(where, name))
               for name, value in values.items()}
  try:
    return cls(**arguments)
  except ValueError as error:
    raise ValueError('{}: {}'.format(where, error))


def overlay(config, values, where='config'):
  """`config` with the (nested) fields in `values` replaced: how a partial JSON file is applied."""
  merged = _merge(to_dict(config), values)
  return from_dict(type(config), merged, where)


def get_field(config, path):
  """The value at a dotted path, e.g. 'vertex_model.decoder_config.hidden_size'."""
  for name in path.split('.'):
    config = getattr(config, name)
  return config


def replace_fields(config, values):
  """`config` with the fields at the dotted paths in `values` replaced."""
  nested = {}
  for path, value in values.items():
    *parents, name = path.split('.')
    fields = nested
    for parent in parents:
      fields = fields.setdefault(parent, {})
    fields[name] = value
  return overlay(config, nested)


def read_json(path):
  """The object in a JSON file; a ValueError names the file if it is not JSON."""
  with open(path, encoding='utf-8') as file:
    try:
      return json.load(file)
    except ValueError as error:
      raise ValueError('{}: not valid JSON: {}'.format(path, error))


def write_json(config, path):
  """Writes a config as JSON."""
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(to_dict(config), file, indent=2)
    file.write('\n')


def differences(old, new, where=''):
  """Lines `key: old -> new` for every field in which two configs of one class differ."""
  lines = []
  for field in dataclasses.fields(old):
    name = where + field.name
    before, after = getattr(old, field.name), getattr(new, field.name)
    if dataclasses.is_dataclass(before):
      lines += differences(before, after, name + '.')
    elif before != after:
      lines.append('{}: {} -> {}'.format(name, before, after))
  return lines


def _field_value(kind, value, where):
  if dataclasses.is_dataclass(kind):
    return value if isinstance(value, kind) else from_dict(kind, value, where)
  if kind == Tuple[str, ...]:
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
      return tuple(value)
    raise ValueError('{}: expected a list of strings, not {!r}'.format(where, value))
  is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
  if kind is float and is_number:
    return float(value)
  if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
    raise ValueError('{}: expected {}, not {!r}'.format(where, kind.__name__, value))
  return value


def _merge(base, values):
  if not isinstance(base, dict) or not isinstance(values, dict):
    return values
  merged = dict(base)
  for key, value in values.items():
    merged[key] = _merge(base[key], value) if key in base else value
  return merged
