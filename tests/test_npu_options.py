"""Laws of the options of an NPU: names, types, legal values, what excludes what."""
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings, strategies as st

from polygen import hw
from polygen.hw import npu_modes
from polygen.hw.precision import Precision

# The arm of AttrValue that the adapter reads, from its contract.
ARMS = {
    'use_off_line': 'b', 'precision_mode': 's', 'precision_mode_v2': 's', 'modify_mixlist': 's',
    'op_precision_mode': 's', 'enable_data_pre_proc': 'b', 'iterations_per_loop': 'i',
    'mix_compile_mode': 'b', 'graph_run_mode': 'i', 'fusion_switch_file': 's', 'dynamic_input': 'b',
    'hcom_parallel': 'b', 'session_device_id': 'i', 'enable_dump': 'b', 'dump_path': 's',
    'dump_step': 's', 'dump_mode': 's', 'profiling_mode': 'b', 'profiling_options': 's',
    'deterministic': 'i'}
FILES = ('modify_mixlist', 'op_precision_mode', 'fusion_switch_file')
BOOLEANS = {'true': True, 'True': True, '1': True, 'false': False, 'False': False, '0': False}
MAX_INT32 = 2 ** 31 - 1
RANGES = {'iterations_per_loop': (1, MAX_INT32), 'graph_run_mode': (0, 1), 'deterministic': (0, 1),
          'session_device_id': (0, MAX_INT32)}
CHOICES = {
    'precision_mode': 'force_fp32 allow_fp32_to_fp16 force_fp16 must_keep_origin_dtype '
                      'allow_mix_precision cube_fp16in_fp32out allow_mix_precision_fp16 '
                      'allow_mix_precision_bf16 allow_fp32_to_bf16'.split(),
    'precision_mode_v2': 'fp16 origin cube_fp16in_fp32out mixed_float16 mixed_bfloat16'.split(),
    'dump_mode': ['input', 'output', 'all']}
STEPS = st.lists(st.one_of(
    st.integers(0, 99).map(str), st.tuples(st.integers(0, 9), st.integers(10, 99)).map(
        lambda ends: '{}-{}'.format(*ends))), min_size=1).map('|'.join)
PRINTABLE = st.text(st.characters(blacklist_categories=('C', 'Z')), min_size=1)
# What an option needs beside it.
COMPANIONS = {'enable_dump': ['dump_path=dumps'], 'iterations_per_loop': ['enable_data_pre_proc=1']}

# Precisions of an NPU.
DEFAULT = Precision('default', 'test')
MIXED = Precision('allow_mix_precision', 'test',
                  npu_option=('precision_mode', 'allow_mix_precision'))
FLOAT32 = Precision('force_fp32', 'test', npu_option=('precision_mode', 'force_fp32'))


def legal_values(name):
  """Strategy of (text, value it stands for)."""
  if ARMS[name] == 'b':
    return st.sampled_from(sorted(BOOLEANS.items()))
  if ARMS[name] == 'i':
    return st.integers(*RANGES[name]).map(lambda value: (str(value), value))
  texts = (st.sampled_from(CHOICES[name]) if name in CHOICES else
           STEPS if name == 'dump_step' else PRINTABLE)
  return texts.map(lambda value: (value, value))


def is_legal(name, text):
  """Whether the contract allows a text."""
  if ARMS[name] == 'b':
    return text.lower() in ('true', 'false', '0', '1')
  if ARMS[name] == 'i':
    digits = text != '' and all(character in '0123456789' for character in text)
    return digits and RANGES[name][0] <= int(text) <= RANGES[name][1]
  if name in CHOICES:
    return text in CHOICES[name]
  if name == 'dump_step':
    ends = [part.split('-') for part in text.split('|')]
    return all(len(pair) <= 2 and all(end and set(end) <= set('0123456789') for end in pair)
               for pair in ends)
  return text.strip() != '' and text.isprintable()


def refusal(texts):
  """The line with which options are refused."""
  with pytest.raises(ValueError) as caught:
    hw.parse_npu_options(texts)
  assert str(caught.value) and '\n' not in str(caught.value)
  return str(caught.value)


def parameters(precision, *texts):
  """{name: (arm, value)} of the custom optimizer in the session config."""
  config = hw.npu_session_config(precision, texts)
  optimizer, = config.graph_options.rewrite_options.custom_optimizers
  return {name: (value.WhichOneof('value'), getattr(value, value.WhichOneof('value')))
          for name, value in optimizer.parameter_map.items()}


def session_refusal(precision, *texts):
  """The line with which a session config is refused."""
  with pytest.raises(ValueError) as caught:
    hw.npu_session_config(precision, texts)
  assert str(caught.value) and '\n' not in str(caught.value)
  return str(caught.value)


def test_names_and_arms_are_those_of_the_contract():
  assert {name: option.arm for name, option in hw.NPU_OPTIONS.items()} == ARMS
  assert len(ARMS) == 20
  assert all(option.help and option.legal for option in hw.NPU_OPTIONS.values())


def test_precision_modes_are_those_of_the_contract():
  assert list(npu_modes.PRECISION_MODES) == CHOICES['precision_mode']
  assert list(npu_modes.PRECISION_MODES_V2) == CHOICES['precision_mode_v2']
  assert set(npu_modes.MIXED_MODES) == {mode for modes in CHOICES.values() for mode in modes
                                        if 'mix' in mode}


@pytest.mark.parametrize('name', sorted(ARMS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_legal_value_is_accepted(name, data):
  text, value = data.draw(legal_values(name))
  companions = COMPANIONS.get(name, [])
  parsed = hw.parse_npu_options(companions + ['{}={}'.format(name, text)])
  assert parsed[name] == value and type(parsed[name]) is type(value)
  assert len(parsed) == 1 + len(companions)


@pytest.mark.parametrize('name', sorted(ARMS))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_illegal_value_is_refused_saying_what_is_legal(name, data):
  text = data.draw(st.one_of(
      st.text(), st.integers().map(str), st.floats().map(str), st.sampled_from(
          ['', ' ', 'yes', 'None', ' 1', '1 ', '1_0', '٣', '+1', 'a\nb', '\ud800', '|', '1|',
           '|1', '1||2', '-1', '1-', '1-2-3'] + sorted(
              value for values in CHOICES.values() for value in values))).filter(
                  lambda text: not is_legal(name, text)))
  line = refusal(COMPANIONS.get(name, []) + ['{}={}'.format(name, text)])
  assert name in line and hw.NPU_OPTIONS[name].legal in line and repr(text) in line
  if name in CHOICES:
    assert all(choice in line for choice in CHOICES[name])


@settings(max_examples=50, deadline=None)
@given(name=st.text().filter(lambda name: name not in ARMS and '=' not in name))
def test_unknown_names_are_refused_listing_the_known_ones(name):
  line = refusal([name + '=1'])
  assert repr(name) in line and all(known in line for known in ARMS)
  assert 'name=value' in refusal([name])


def test_jit_compile_is_refused_with_the_reason():
  for value in ('1', 'true', 'auto'):
    line = refusal(['jit_compile=' + value])
    assert 'jit_compile' in line and 'type changed' in line


def test_the_last_one_wins_and_all_are_checked():
  assert hw.parse_npu_options(['deterministic=0', 'deterministic=1']) == {'deterministic': 1}
  assert hw.parse_npu_options([]) == {}
  assert 'deterministic' in refusal(['deterministic=2', 'deterministic=1'])
  assert hw.parse_npu_options(['profiling_options={"a"="b"}']) == {'profiling_options': '{"a"="b"}'}


@pytest.mark.parametrize('texts, words', [
    (['precision_mode=force_fp32', 'precision_mode_v2=origin'],
     ['precision_mode', 'precision_mode_v2']),
    (['mix_compile_mode=true', 'iterations_per_loop=2', 'enable_data_pre_proc=true'],
     ['mix_compile_mode', 'iterations_per_loop=1']),
    (['iterations_per_loop=10'], ['iterations_per_loop=10', 'enable_data_pre_proc=true']),
    (['iterations_per_loop=10', 'enable_data_pre_proc=false'], ['enable_data_pre_proc=true']),
    (['enable_dump=true'], ['dump_path'])])
def test_options_that_exclude_each_other(texts, words):
  for order in (texts, texts[::-1]):
    line = refusal(order)
    assert all(word in line for word in words)


def test_options_that_go_together():
  assert hw.parse_npu_options(['mix_compile_mode=true', 'iterations_per_loop=1'])
  assert hw.parse_npu_options(['mix_compile_mode=false', 'iterations_per_loop=2',
                               'enable_data_pre_proc=1'])


@pytest.mark.parametrize('name', sorted(ARMS))
def test_the_arm_of_every_option(name, tmp_path):
  path = tmp_path / 'file.cfg'
  path.write_text('x')
  texts = {'b': ['true', 'false'], 'i': [str(end) for end in RANGES.get(name, ())],
           's': CHOICES.get(name, ['0|2-4' if name == 'dump_step' else str(path)])}[ARMS[name]]
  assert texts
  precision = MIXED if name == 'modify_mixlist' else DEFAULT
  for text in texts:
    arm, value = parameters(precision, *(
        COMPANIONS.get(name, []) + ['{}={}'.format(name, text)]))[name]
    assert arm == ARMS[name]
    expected = {'b': text == 'true', 's': text.encode(), 'i': text.isdigit() and int(text)}[arm]
    assert value == expected


def test_text_is_utf_8():
  assert parameters(DEFAULT, 'profiling_options=Größe')['profiling_options'] == (
      's', 'Größe'.encode('utf-8'))


def test_default_options_can_be_replaced():
  assert parameters(DEFAULT) == {'use_off_line': ('b', True)}
  assert parameters(DEFAULT, 'use_off_line=false') == {'use_off_line': ('b', False)}


@pytest.mark.parametrize('text', ['precision_mode=force_fp16', 'precision_mode_v2=fp16',
                                  'precision_mode=allow_mix_precision'])
def test_the_precision_is_chosen_once(text):
  line = session_refusal(MIXED, text)
  assert text in line and '--precision_mode default' in line
  name, value = text.split('=')
  found = parameters(DEFAULT, text)
  assert found.pop(name) == ('s', value.encode()) and set(found) == {'use_off_line'}


def test_a_mixlist_needs_a_mixed_mode(tmp_path):
  path = tmp_path / 'lists.json'
  path.write_text('{}')
  mixlist = 'modify_mixlist={}'.format(path)
  for precision in (DEFAULT, FLOAT32):
    assert 'mixed' in session_refusal(precision, mixlist)
  assert 'modify_mixlist' in parameters(MIXED, mixlist)
  for name in ('precision_mode', 'precision_mode_v2'):
    for mode in CHOICES[name]:
      texts = [mixlist, '{}={}'.format(name, mode)]
      if 'mix' in mode:
        assert 'modify_mixlist' in parameters(DEFAULT, *texts)
      else:
        assert mode in session_refusal(DEFAULT, *texts)


@pytest.mark.parametrize('name', FILES)
def test_files_must_exist_and_become_absolute(name, tmp_path, monkeypatch):
  monkeypatch.chdir(str(tmp_path))
  text = name + '=some.cfg'
  assert hw.parse_npu_options([text]) == {name: 'some.cfg'}
  line = session_refusal(MIXED, text)
  assert name in line and 'some.cfg' in line
  (tmp_path / 'some.cfg').mkdir()
  assert name in session_refusal(MIXED, text)
  (tmp_path / 'some.cfg').rmdir()
  (tmp_path / 'some.cfg').write_text('x')
  assert parameters(MIXED, text)[name] == ('s', str(tmp_path / 'some.cfg').encode())


def test_the_folder_of_dumps_becomes_absolute(tmp_path, monkeypatch):
  monkeypatch.chdir(str(tmp_path))
  found = parameters(DEFAULT, 'enable_dump=true', 'dump_path=dumps')
  assert found['dump_path'] == ('s', str(tmp_path / 'dumps').encode())


def test_a_session_accepts_wrong_arms_silently():
  """Why all this is checked here: TensorFlow itself says nothing."""
  config = tf.ConfigProto()
  optimizer = config.graph_options.rewrite_options.custom_optimizers.add(name='NpuOptimizer')
  optimizer.parameter_map['iterations_per_loop'].s = b'-1'
  optimizer.parameter_map['no_such_option'].b = True
  with tf.Graph().as_default(), tf.Session(config=config) as session:
    assert session.run(tf.constant(2) + 1) == 3
