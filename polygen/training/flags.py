"""The flags of `python -m polygen.train` that set fields of the RunConfig."""
from typing import NamedTuple, Tuple

from .. import config as config_lib

TRANSFORMERS = ('vertex_model.decoder_config', 'face_model.encoder_config',
                'face_model.decoder_config')


class ConfigFlag(NamedTuple):
  """A flag `--name` and the fields it sets; the configs themselves check its value."""
  name: str
  type: type
  fields: Tuple[str, ...]
  help: str


def _training(name, kind, text):
  return ConfigFlag(name, kind, ('training.' + name,), text)


def _transformers(name, kind, text):
  return ConfigFlag(name, kind, tuple('{}.{}'.format(place, name) for place in TRANSFORMERS), text)


CONFIG_FLAGS = (
    _training('training_steps', int, 'steps in all'),
    _training('batch_size', int, 'meshes per step'),
    _training('tokens_per_batch', int, 'tokens per step, in meshes of like length; 0: batch_size '
              'meshes'),
    _training('accumulate', int, 'micro-batches that a batch is cut into, to be computed one after '
              'another: the same update in less memory'),
    _training('model', str, 'both, vertex or face: what is trained'),
    _training('learning_rate', float, 'of Adam, at the start or after warm-up'),
    _training('learning_rate_decay', str, 'none or cosine: to 0 over all steps'),
    _training('warmup_steps', int, 'steps over which the learning rate rises'),
    _training('gradient_clip_norm', float, 'the most that the norm of a model\'s gradients may be; '
              '0: any'),
    _training('loss_scaling', str, 'dynamic or fixed, where the precision scales the loss'),
    _training('loss_scale', float, 'the loss scale, at the start of the run'),
    _training('loss_scale_growth_steps', int, 'good updates in a row before a dynamic one doubles'),
    _training('seed', int, 'decides initial weights, order of the data, shuffles and samples'),
    _training('log_steps', int, 'steps between TensorBoard scalars'),
    _training('checkpoint_steps', int, 'steps between checkpoints; the last step writes one too'),
    _training('keep_checkpoints', int, 'how many of the last checkpoints stay'),
    _training('eval_steps', int, 'steps between evaluations on validation meshes'),
    _training('sample_steps', int, 'steps between samples; the last step draws some too'),
    _training('num_samples', int, 'meshes drawn each time'),
    _transformers('hidden_size', int, 'of every transformer'),
    _transformers('fc_size', int, 'of every transformer'),
    _transformers('num_layers', int, 'of every transformer'),
    _transformers('num_heads', int, 'of every transformer'),
    _transformers('dropout_rate', float, 'of every transformer'),
    ConfigFlag('max_num_vertices', int, ('vertex_model.max_num_input_verts',),
               'most vertices of a mesh, read or drawn'),
    ConfigFlag('max_face_tokens', int, ('face_model.max_seq_length',),
               'most face tokens of a mesh, read or drawn'),
    ConfigFlag('quantization_bits', int,
               ('vertex_model.quantization_bits', 'face_model.quantization_bits'),
               'bits per coordinate'),
)


def add_config_flags(parser):
  """Adds the flags to an argparse parser; none has a default, the preset has it."""
  parser.add_argument('--preset', choices=sorted(config_lib.PRESETS), default='toy',
                      help='where settings start from')
  parser.add_argument('--config', metavar='FILE.json',
                      help='settings that replace those of the preset, in the form of the '
                      'config.json of a run; flags replace both')
  parser.add_argument('--condition', choices=config_lib.CONDITIONS,
                      help='whether the vertex model is given the class (toy: class)')
  parser.add_argument('--random_shift', action='store_true', default=None,
                      help='move each mesh at random in every epoch')
  parser.add_argument('--no_random_shift', action='store_false', dest='random_shift',
                      help='leave them (presets paper and pretrained move them)')
  toy = config_lib.PRESETS['toy']
  for flag in CONFIG_FLAGS:
    parser.add_argument('--' + flag.name, type=flag.type, metavar='N', help='{} (toy: {})'.format(
        flag.help, config_lib.get_field(toy, flag.fields[0])))


def decides_batches(args):
  """Whether flags or the file of --config say how large batches are.

  Raises:
    ValueError, OSError: the file is wrong.
  """
  in_file = config_lib.read_json(args.config).get('training', {}) if args.config else {}
  return (args.batch_size is not None or args.tokens_per_batch is not None
          or not {'batch_size', 'tokens_per_batch'}.isdisjoint(in_file))


def config_from_args(args, values_for_data=None):
  """The RunConfig of parsed flags: preset, then what the data needs, then --config, then flags.

  Classes are unknown yet.

  Args:
    args: parsed flags.
    values_for_data: {dotted field: value}.

  Raises:
    ValueError, OSError: the file or a value is wrong.
  """
  run_config = config_lib.replace_fields(config_lib.PRESETS[args.preset], values_for_data or {})
  if args.config:
    run_config = config_lib.overlay(run_config, config_lib.read_json(args.config), args.config)
  values = {field: getattr(args, flag.name) for flag in CONFIG_FLAGS for field in flag.fields
            if getattr(args, flag.name) is not None}
  if args.random_shift is not None:
    values['training.random_shift'] = args.random_shift
  if args.batch_size is not None:
    if args.tokens_per_batch:
      raise ValueError('--batch_size takes so many meshes per step and --tokens_per_batch so many '
                       'tokens: choose one of them')
    values['training.tokens_per_batch'] = 0
  if args.condition:
    values['vertex_model.class_conditional'] = args.condition == 'class'
  return config_lib.replace_fields(run_config, values)
