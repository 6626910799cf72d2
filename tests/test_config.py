"""Laws of polygen.config and of the flags that fill it."""
import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polygen import cli, config
from polygen.training import flags

# Older versions of hypothesis now and then call a config of some 40 small values too large.
relaxed = settings(deadline=None, max_examples=20,
                   suppress_health_check=[HealthCheck.data_too_large])
sizes = st.integers(1, 64)
ids = st.sampled_from(sorted(config.PRESETS))


def leaves(cls, prefix=''):
  """The dotted paths of all plain fields below a dataclass, with their types."""
  for field in dataclasses.fields(cls):
    if dataclasses.is_dataclass(field.type):
      yield from leaves(field.type, prefix + field.name + '.')
    else:
      yield prefix + field.name, field.type


LEAVES = dict(leaves(config.RunConfig))


def nested(path, value):
  """{'a': {'b': value}} of 'a.b'."""
  for name in reversed(path.split('.')):
    value = {name: value}
  return value


@st.composite
def transformer_configs(draw, hidden_size=None):
  heads = draw(st.integers(1, 4))
  return config.TransformerConfig(
      hidden_size=hidden_size or heads * draw(sizes), fc_size=draw(sizes),
      num_heads=1 if hidden_size else heads, num_layers=draw(sizes),
      dropout_rate=draw(st.floats(0, 0.99)), layer_norm=draw(st.booleans()),
      re_zero=draw(st.booleans()), memory_efficient=draw(st.booleans()))


@st.composite
def run_configs(draw):
  bits, hidden_size = draw(st.integers(1, 16)), draw(sizes)
  return config.RunConfig(
      vertex_model=config.VertexModelConfig(
          draw(transformer_configs()), bits, draw(st.booleans()), draw(sizes), draw(sizes),
          draw(st.booleans())),
      face_model=config.FaceModelConfig(
          draw(transformer_configs(hidden_size)), draw(transformer_configs(hidden_size)),
          draw(st.booleans()), draw(sizes), draw(st.booleans()), draw(st.booleans()), bits,
          draw(sizes), draw(st.booleans())),
      training=config.TrainingConfig(
          training_steps=draw(sizes), batch_size=draw(sizes),
          seed=draw(st.integers(0, 2 ** 31 - 1)),
          learning_rate=draw(st.floats(1e-9, 1)), random_shift=draw(st.booleans())),
      sampling=config.SamplingConfig(draw(st.floats(1e-3, 10)), draw(st.integers(0, 9)),
                                     draw(st.floats(1e-3, 1))),
      classes=tuple(draw(st.lists(st.text(max_size=5), max_size=3))))


@relaxed
@given(run_configs())
def test_json_round_trip(run_config):
  text = json.dumps(config.to_dict(run_config))
  assert config.from_dict(config.RunConfig, json.loads(text)) == run_config


def test_files_round_trip(tmp_path):
  path = str(tmp_path / 'config.json')
  assert len(config.PRESETS) == 3
  for preset in config.PRESETS.values():
    run_config = dataclasses.replace(preset, classes=('würfel', 'a b'))
    config.write_json(run_config, path)
    assert config.from_dict(config.RunConfig, config.read_json(path)) == run_config


@relaxed
@given(run_configs(), run_configs())
def test_overlay(a, b):
  assert config.overlay(a, {}) == a
  assert config.overlay(a, config.to_dict(b)) == b
  changed = config.overlay(a, {'training': {'batch_size': 65}})
  assert changed.training.batch_size == 65
  back = dataclasses.replace(changed.training, batch_size=a.training.batch_size)
  assert dataclasses.replace(changed, training=back) == a


@relaxed
@given(run_configs(), run_configs(), st.sampled_from(
    [path for path in sorted(LEAVES) if not path.endswith(('bits', 'hidden_size', 'num_heads'))]))
def test_replace_fields_changes_one_field_and_differences_names_it(a, b, path):
  value = config.get_field(b, path)
  changed = config.replace_fields(a, {path: value})
  assert config.get_field(changed, path) == value
  expected = [] if config.get_field(a, path) == value else [path]
  assert [line.split(':')[0] for line in config.differences(a, changed)] == expected
  assert config.replace_fields(changed, {path: config.get_field(a, path)}) == a


@relaxed
@given(ids, st.sampled_from(sorted(LEAVES)))
def test_an_unknown_key_is_named_with_its_place(name, path):
  parent, _, leaf = ('RUN.' + path).rpartition('.')
  values = nested(path[:-len(leaf)] + leaf + '_x', 1)
  with pytest.raises(ValueError) as caught:
    config.overlay(config.PRESETS[name], values, 'RUN')
  assert str(caught.value).startswith("{}: unknown key '{}_x'".format(parent, leaf))
  assert leaf in str(caught.value).split('known are')[1]


@relaxed
@given(st.sampled_from(sorted(LEAVES)), st.sampled_from([None, [1], {'a': 1}, 'text', True, 1.5]))
def test_a_wrong_type_is_named_with_its_place(path, value):
  free_text = ['text'] if path == 'data_digest' else []
  legal = {bool: [True], float: [1.5], str: free_text}.get(LEAVES[path], [])
  if value in legal and isinstance(value, tuple(map(type, legal))):
    return
  with pytest.raises(ValueError) as caught:
    config.overlay(config.PRESETS['toy'], nested(path, value), 'RUN')
  assert str(caught.value).startswith('RUN.' + path.rpartition('.')[0])
  assert path.rpartition('.')[2] in str(caught.value) and repr(value) in str(caught.value)


def test_a_part_must_be_an_object():
  for values, place in (([1], 'RUN'), ({'training': 5}, 'RUN.training')):
    with pytest.raises(ValueError, match='^{}: expected an object'.format(place)):
      config.overlay(config.PRESETS['toy'], values, 'RUN')


def test_a_missing_key_is_named():
  with pytest.raises(ValueError, match="^run.json: key 'face_model' is missing"):
    config.from_dict(config.RunConfig, {'vertex_model': {}}, 'run.json')
  assert config.from_dict(config.TrainingConfig, {}) == config.TrainingConfig()


BAD_VALUES = [
    ('training.batch_size', 0), ('training.training_steps', -1), ('training.log_steps', 0),
    ('training.num_samples', -1), ('training.learning_rate', 0.),
    ('training.learning_rate_decay', 'linear'), ('training.learning_rate', float('nan')),
    ('training.learning_rate', float('inf')),
    ('training.adam_beta1', 1.), ('training.adam_beta2', -0.1), ('training.adam_epsilon', 0.),
    ('training.seed', -1), ('training.seed', 2 ** 31), ('sampling.temperature', 0.),
    ('sampling.temperature', 9e-7), ('sampling.temperature', float('inf')),
    ('sampling.temperature', float('nan')), ('sampling.top_k', -1), ('sampling.top_p', 0.),
    ('sampling.top_p', 2.), ('vertex_model.decoder_config.num_heads', 3),
    ('vertex_model.decoder_config.dropout_rate', 1.), ('vertex_model.quantization_bits', 0),
    ('vertex_model.quantization_bits', 17), ('face_model.decoder_config.hidden_size', 64),
    ('face_model.max_seq_length', 0)]


@pytest.mark.parametrize('path, value', BAD_VALUES)
def test_a_bad_value_is_named_with_its_place(path, value):
  with pytest.raises(ValueError) as caught:
    config.overlay(config.PRESETS['toy'], nested(path, value), 'RUN')
  place, _, words = str(caught.value).partition(': ')
  assert ('RUN.' + path).startswith(place + '.') and place != 'RUN'
  assert path.rpartition('.')[2] in words
  assert '\n' not in str(caught.value)


def test_the_least_temperature_is_legal():
  assert config.SamplingConfig(temperature=config.MIN_TEMPERATURE).temperature == 1e-6


def test_both_models_have_the_same_bits():
  with pytest.raises(ValueError, match='bits of vertex_model, 5, and of face_model, 8'):
    config.replace_fields(config.PRESETS['toy'], {'vertex_model.quantization_bits': 5})


def test_not_json(tmp_path):
  for content in (b'{"training": ', b'\xff\xfe\x00', b''):
    path = tmp_path / 'broken.json'
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
      config.read_json(str(path))
    assert str(path) in str(caught.value) and 'not valid JSON' in str(caught.value)


def test_presets():
  toy, pretrained = config.PRESETS['toy'], config.PRESETS['pretrained']
  assert toy.training == config.TrainingConfig(
      training_steps=5000, batch_size=4, learning_rate=7e-4, warmup_steps=200,
      gradient_clip_norm=1., adam_beta2=0.99, adam_epsilon=1e-5, random_shift=False)
  for path in flags.TRANSFORMERS:
    assert config.get_field(toy, path) == config.TransformerConfig(
        hidden_size=128, fc_size=512, num_heads=4, num_layers=3, dropout_rate=0.)
  assert toy.vertex_model.class_conditional and not toy.face_model.class_conditional
  assert toy.face_model.decoder_cross_attention
  assert (toy.vertex_model.max_num_input_verts, toy.face_model.max_seq_length) == (250, 500)
  decoder = pretrained.vertex_model.decoder_config
  assert (decoder.num_layers, decoder.hidden_size, decoder.dropout_rate) == (24, 512, 0.4)
  assert pretrained.vertex_model.num_classes == 55
  assert pretrained.face_model.encoder_config.num_layers == 10
  paper = config.PRESETS['paper']
  assert paper.training == pretrained.training
  assert (paper.training.learning_rate, paper.training.warmup_steps) == (3e-4, 5000)
  for path in flags.TRANSFORMERS:
    assert config.get_field(paper, path) == config.TransformerConfig()
  assert (paper.vertex_model.max_num_input_verts, paper.face_model.max_seq_length) == (800, 2800)


def test_a_dict_will_do_for_a_transformer_config():
  assert config.as_transformer_config({'num_layers': 3}) == config.TransformerConfig(num_layers=3)
  with pytest.raises(ValueError, match="transformer config: unknown key 'layers'"):
    config.as_transformer_config({'layers': 3})


# Flags.


def config_of(*arguments):
  parser = cli.ArgumentParser('polygen.demo', 'A demonstration.')
  flags.add_config_flags(parser)
  return flags.config_from_args(parser.parse_args([str(argument) for argument in arguments]))


def test_without_flags_it_is_the_toy_preset():
  assert config_of() == config.PRESETS['toy']
  assert config_of('--preset', 'pretrained') == config.PRESETS['pretrained']


@pytest.mark.parametrize('flag', flags.CONFIG_FLAGS, ids=lambda flag: flag.name)
def test_every_flag_sets_its_fields_and_no_other(flag):
  value = {'loss_scaling': 'fixed', 'loss_scale': 2., 'model': 'face'}.get(
      flag.name, {int: 8, float: 0.25, str: 'none'}[flag.type])
  toy, found = config.PRESETS['toy'], config_of('--' + flag.name.replace('_', '-'), value)
  changed = [line.split(':')[0] for line in config.differences(toy, found)]
  assert flag.fields and set(changed) <= set(flag.fields)
  assert all(config.get_field(found, field) == value for field in flag.fields)


def test_switches():
  assert config_of('--random_shift').training.random_shift
  assert not config_of('--preset', 'paper', '--no_random_shift').training.random_shift
  assert config_of('--preset', 'paper').training.random_shift
  with pytest.raises(ValueError, match='choose one of them'):
    config_of('--batch_size', 3, '--tokens_per_batch', 100)
  assert not config_of('--condition', 'none').vertex_model.class_conditional
  uncond = {'vertex_model': {'class_conditional': False}}
  assert config.overlay(config.PRESETS['toy'], uncond) == config_of('--condition', 'none')


def test_a_file_replaces_the_preset_and_flags_replace_both(tmp_path):
  path = tmp_path / 'partial.json'
  path.write_text(json.dumps({
      'training': {'batch_size': 7, 'learning_rate': 1}, 'sampling': {'top_p': 0.5},
      'vertex_model': {'class_conditional': False}}))
  found = config_of('--config', path, '--batch_size', 9)
  assert (found.training.batch_size, found.training.learning_rate) == (9, 1.)
  assert found.sampling.top_p == 0.5 and not found.vertex_model.class_conditional
  assert found.training.training_steps == config.PRESETS['toy'].training.training_steps
  assert config_of('--config', path, '--condition', 'class').vertex_model.class_conditional
  pretrained = config_of('--preset', 'pretrained', '--config', path)
  assert pretrained.vertex_model.decoder_config.num_layers == 24
  assert pretrained.training.batch_size == 7


def test_the_config_of_a_run_will_do_as_a_file(tmp_path):
  run_config = dataclasses.replace(config_of('--hidden_size', 64), classes=('a', 'b'))
  config.write_json(run_config, str(tmp_path / 'config.json'))
  assert config_of('--config', tmp_path / 'config.json') == run_config


def test_errors_of_a_file_name_it(tmp_path):
  path = tmp_path / 'wrong.json'
  for values, words in (({'trainin': {}}, "unknown key 'trainin'"),
                        ({'training': {'batch_size': 0}}, 'batch_size must be at least 1')):
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError) as caught:
      config_of('--config', path)
    assert str(caught.value).startswith(str(path)) and words in str(caught.value)
