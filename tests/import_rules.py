"""The import rules of the package, checked on its syntax trees.

    train, sample, ...    -> everything below, never each other
    cli                   -> hw (its device and precision names)
    training, sampling    -> models, data, checkpoint, hw, config, tokens
    sample_files          -> data
    checkpoint            -> models, config
    models                -> layers, tokens, config
    data                  -> tokens
    config                -> tokens
    layers, hw, tokens    -> nothing of polygen

A part is a module or a subpackage directly below `polygen`; inside a part imports are free, but
nowhere circular. A part this table does not name is a command.
"""
import ast
import importlib.util
import sys
import sysconfig

PACKAGE = 'polygen'

MAY_IMPORT = {
    'cli': {'hw'},
    'training': {'models', 'data', 'checkpoint', 'hw', 'config', 'tokens'},
    'sampling': {'models', 'data', 'checkpoint', 'hw', 'config', 'tokens'},
    'sample_files': {'data'},
    'checkpoint': {'models', 'config'},
    'models': {'layers', 'tokens', 'config'},
    'data': {'tokens'},
    'layers': set(),
    'hw': set(),
    'config': {'tokens'},
    'tokens': set(),
    '': set(),  # polygen/__init__.py
}
# Parts that must be importable without loading TensorFlow.
TENSORFLOW_INSIDE_FUNCTIONS = {'data', 'cli', 'hw', 'config', 'tokens', ''}
OPTIONAL = {'matplotlib', 'mpl_toolkits', 'trimesh', 'tensorboard', 'npu_bridge', 'npu_device',
            'hccl'}
ONLY_HW = {'npu_bridge', 'npu_device', 'hccl'}
CORE = {'numpy', 'tqdm'}
# (module, what it may import of TensorFlow beside `tensorflow.compat.v1 as tf`)
TENSORFLOW_EXCEPTIONS = {
    ('polygen.layers.compilation', 'tensorflow.compiler.tf2xla.ops'),
    ('polygen.layers.compilation', 'tensorflow.python.compiler.xla'),
}
# Kept out: dependencies this package does without, and what no longer works on TensorFlow 2.
BANNED_TF = {'contrib', 'estimator', 'flags', 'app', 'keras', 'layers'}
# These change the whole process, which belongs to the program that imports this package.
GLOBAL_TF_PREFIXES = ('disable_', 'enable_')
GLOBAL_TF = {'reset_default_graph', 'set_verbosity'}


def part_of(module):
  """'polygen.data.obj' -> 'data'; 'polygen' -> ''."""
  return module.split('.')[1] if '.' in module else ''


def may_import(module, target):
  """Whether the table above lets `module` import `target`."""
  source, destination = part_of(module), part_of(target)
  if source == destination:
    return True
  if source in MAY_IMPORT:
    return destination in MAY_IMPORT[source]
  return destination in MAY_IMPORT  # a command: anything that is not a command


def relative_targets(module, is_package, node, modules):
  """The modules that a relative `from ... import ...` reaches, or None beyond the package."""
  parts = module.split('.')
  drop = node.level - (1 if is_package else 0)
  base = parts[:len(parts) - drop]
  if not base:
    return None
  base = '.'.join(base + ([node.module] if node.module else []))
  submodules = ['{}.{}'.format(base, alias.name) for alias in node.names]
  return [name if name in modules else base for name in submodules]


def located_imports(tree):
  """Yields (import node, whether it is inside a function)."""
  def visit(node, inside):
    for child in ast.iter_child_nodes(node):
      if isinstance(child, (ast.Import, ast.ImportFrom)):
        yield child, inside
      functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
      yield from visit(child, inside or isinstance(child, functions))
  return visit(tree, False)


def is_standard_library(name):
  """Whether a top-level module comes with Python itself."""
  if name in sys.builtin_module_names:
    return True
  spec = importlib.util.find_spec(name)
  if spec is None:
    return False
  paths = sysconfig.get_paths()
  origin = spec.origin or ''
  return origin == 'frozen' or (origin.startswith((paths['stdlib'], paths['platstdlib']))
                                and 'site-packages' not in origin)


def absolute_import_fault(module, name, alias, inside):
  """What is wrong with `import name as alias`, or None; `inside` says: inside a function."""
  top = name.split('.')[0]
  if top == PACKAGE:
    return 'absolute import of the own package: {}'.format(name)
  if top == 'tensorflow':
    if (name, alias) != ('tensorflow.compat.v1', 'tf') and (
        (module, name) not in TENSORFLOW_EXCEPTIONS):
      return 'TensorFlow other than `import tensorflow.compat.v1 as tf`: {}'.format(name)
    if part_of(module) in TENSORFLOW_INSIDE_FUNCTIONS and not inside:
      return 'TensorFlow outside a function'
  elif top in OPTIONAL:
    if top in ONLY_HW and part_of(module) != 'hw':
      return 'only hw names {}'.format(top)
    if not inside:
      return 'optional library outside a function: {}'.format(name)
  elif top not in CORE and not is_standard_library(top):
    return 'not a dependency of this package: {}'.format(name)
  return None


def import_faults(module, is_package, tree, modules):
  """Yields what is wrong with the imports of one module."""
  for node, inside in located_imports(tree):
    if isinstance(node, ast.ImportFrom) and any(alias.name == '*' for alias in node.names):
      yield 'star import'
    if isinstance(node, ast.ImportFrom) and node.level:
      targets = relative_targets(module, is_package, node, modules)
      if targets is None:
        yield 'relative import beyond the package'
        continue
      for target in targets:
        if target not in modules:
          yield 'no such module: {}'.format(target)
        elif not may_import(module, target):
          yield 'forbidden direction: {} -> {}'.format(module, target)
    elif isinstance(node, ast.ImportFrom):
      fault = absolute_import_fault(module, node.module, None, inside)
      if fault:
        yield fault
    else:
      for alias in node.names:
        fault = absolute_import_fault(module, alias.name, alias.asname, inside)
        if fault:
          yield fault


def usage_faults(tree):
  """Yields forbidden uses of `tf.` and imports by string."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Call):
      name = getattr(node.func, 'attr', getattr(node.func, 'id', None))
      if name in ('import_module', '__import__'):
        yield 'import by string'
    if not isinstance(node, ast.Attribute):
      continue
    root, names = node, []
    while isinstance(root, ast.Attribute):
      names.append(root.attr)
      root = root.value
    if not isinstance(root, ast.Name) or root.id != 'tf':
      continue
    if len(names) == 1 and node.attr in BANNED_TF:
      yield 'banned: tf.{}'.format(node.attr)
    if node.attr.startswith(GLOBAL_TF_PREFIXES) or node.attr in GLOBAL_TF:
      yield 'changes the whole process: tf.{}'.format('.'.join(reversed(names)))


def faults(module, source, modules, is_package=False):
  """Everything wrong with one module, as a list of texts.

  Args:
    module: its dotted name, from 'polygen' down.
    source: its text.
    modules: the names of all modules of the package.
    is_package: whether the text is that of an `__init__.py`.
  """
  tree = ast.parse(source)
  found = list(import_faults(module, is_package, tree, modules)) + list(usage_faults(tree))
  return ['{}: {}'.format(module, fault) for fault in found]


def import_graph(sources):
  """{module: set of modules it imports}, from {module: (text, is_package)}."""
  graph = {}
  for module, (source, is_package) in sources.items():
    graph[module] = set()
    for node, _ in located_imports(ast.parse(source)):
      if isinstance(node, ast.ImportFrom) and node.level:
        targets = relative_targets(module, is_package, node, sources)
        graph[module].update(target for target in targets or () if target in sources)
  return graph


def find_cycle(graph):
  """A list of modules that import each other in a circle, or None."""
  finished = set()

  def visit(module, path):
    if module in path:
      return path[path.index(module):] + [module]
    if module in finished:
      return None
    for target in sorted(graph[module]):
      cycle = visit(target, path + [module])
      if cycle:
        return cycle
    finished.add(module)
    return None

  for module in sorted(graph):
    cycle = visit(module, [])
    if cycle:
      return cycle
  return None
