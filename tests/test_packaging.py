"""The wheel: what it holds, and that it works alone in an empty folder."""
import email.parser
import pathlib
import re
import zipfile

import pytest

from checkout import ROOT, copy_checkout, run_python


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
  """The wheel built from a copy of the checkout (so that no build products appear in it)."""
  source = tmp_path_factory.mktemp('source')
  assert copy_checkout(source) > 10
  run_python('-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-index', '--no-build-isolation',
             '--wheel-dir', source / 'wheels', source)
  wheels = list((source / 'wheels').glob('*.whl'))
  assert len(wheels) == 1
  return wheels[0]


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
  """A folder that holds the installed wheel and nothing else."""
  target = tmp_path_factory.mktemp('installed')
  run_python('-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index', '--target', target,
             wheel)
  return target


def metadata(wheel):
  """The parsed METADATA of a wheel."""
  with zipfile.ZipFile(str(wheel)) as archive:
    name, = [name for name in archive.namelist() if name.endswith('.dist-info/METADATA')]
    return email.parser.Parser().parsestr(archive.read(name).decode('utf-8'))


def test_wheel_holds_the_package_and_the_license_only(wheel):
  with zipfile.ZipFile(str(wheel)) as archive:
    names = archive.namelist()
  modules = {str(path.relative_to(ROOT).as_posix()) for path in (ROOT / 'polygen').rglob('*.py')}
  assert len(modules) > 10
  assert {name for name in names if '.dist-info/' not in name} == modules
  assert any(pathlib.PurePosixPath(name).name == 'LICENSE' for name in names)
  top_level = [name for name in names if name.endswith('top_level.txt')]
  with zipfile.ZipFile(str(wheel)) as archive:
    assert [archive.read(name).decode().split() for name in top_level] == [['polygen']]


def test_license_is_apache_2():
  text = (ROOT / 'LICENSE').read_text()
  assert 'Apache License' in text and 'Version 2.0, January 2004' in text and len(text) > 11000


def test_requirements_and_extras(wheel):
  wheel_metadata = metadata(wheel)
  version = re.search(r"__version__ = '(.+)'", (ROOT / 'polygen' / '__init__.py').read_text())
  assert wheel_metadata['Version'] == version.group(1)
  assert set(wheel_metadata.get_all('Provides-Extra')) == {'plot', 'io', 'tensorboard', 'test'}
  requirements = [re.sub(r'[ ()"\']', '', requirement)
                  for requirement in wheel_metadata.get_all('Requires-Dist')]
  assert {requirement for requirement in requirements if 'extra==' not in requirement} == {
      'tensorflow==1.15.0;python_version<3.8', 'protobuf<3.21;python_version<3.8',
      'numpy<1.19;python_version<3.8', 'tensorflow>=2.6;python_version>=3.8',
      'numpy;python_version>=3.8', 'tqdm'}


def test_the_installed_package_trains_from_an_empty_folder(installed, tmp_path):
  """Python finds the package in the installed folder alone: no checkout, no meshes beside it."""
  where = run_python('-c', 'import polygen; print(polygen.__file__)', cwd=tmp_path,
                     search_path=[installed])
  assert pathlib.Path(where.strip()).parent.parent.resolve() == installed.resolve()
  output = run_python(
      '-m', 'polygen.train', '--training_steps', '5', '--hidden_size', '16', '--fc_size', '32',
      '--num_layers', '1', '--num_samples', '1', cwd=tmp_path, search_path=[installed])
  for line in (r'^Loss \(vertices\) [0-9.e+-]+$', r'^Loss \(faces\) [0-9.e+-]+$',
               r'^StepTime: [0-9.e+-]+$', r'^TimetoTrain: [0-9.e+-]+$'):
    assert re.search(line, output, re.MULTILINE), (line, output)
  files = [path.relative_to(tmp_path) for path in tmp_path.rglob('*') if path.is_file()]
  assert {path.parts[0] for path in files} == {'output'}
  assert any(path.name == 'config.json' for path in files)
  assert any(path.suffix == '.index' for path in files), files
