"""What an Ascend NPU cannot run, or only slowly, in a graph: found by name, without a device.

    findings = lint([step.train, step.losses])     # [] or lines that say what and where

Looked at is everything that fetching needs: ancestors, control inputs and the bodies of the
functions they call, but nothing behind an iterator, which runs on the host; what it delivers must
be static.

A part that follows from constants and static shapes alone is folded before a device sees it, so
its shapes and int64 numbers are no faults: the gradient of a broadcast or of a gather looks up
shapes in this way.
"""
import re
from typing import NamedTuple

ITERATOR_BORDER = 'IteratorGetNext'

FORBIDDEN_OPERATIONS = (
    (r'Where', 'the number of True entries is unknown (one-argument where, boolean_mask)'),
    (r'Unique.*|ListDiff', 'the number of different values is unknown'),
    (r'(Eager)?PyFunc(Stateless)?', 'calls Python'),
    (r'.*Queue.*', 'a queue'),
    (r'Stack(Push|Pop|Close)?(V2)?', 'a stack that grows'),
    (r'TensorList.*|EmptyTensorList', 'a list that grows'),
    (r'Print(V2)?|Assert|StringFormat', 'writes text'),
)
FORBIDDEN_TYPES = ('float64', 'complex128', 'int64', 'uint64', 'string', 'variant')
FORBIDDEN_NAMES = ('NpuCompile', 'var_in_host', 'NpuRecompute', 'IterationOp')

SHAPE_OPERATIONS = ('Shape', 'ShapeN', 'Size', 'Rank')
ARGUMENTS = ('Placeholder', 'PlaceholderWithDefault')
WHILE_OPERATIONS = ('While', 'StatelessWhile')


class Function(NamedTuple):
  """A function of a graph: its name and its body, None if it cannot be looked into."""
  name: str
  graph: object


def lint(fetches):
  """The faults of all that the fetches need.

  Args:
    fetches: nested structure of tensors, operations and variables of one graph.

  Returns:
    List of one-line texts; each names an operation or tensor, by 'function: name' in a body:
    unknown ranks and dimensions, dimensions of 0, operations, types and names that are not to be
    used, constants that are not finite, loops whose number of rounds depends on data.
  """
  import tensorflow.compat.v1 as tf
  operations = [getattr(fetch, 'op', fetch)
                for fetch in tf.nest.flatten(fetches, expand_composites=True)]
  return list(_findings(_ancestors(operations), '', set()))


def _ancestors(operations):
  """The operations needed by some, themselves included, in the order of their creation."""
  needed, pending = set(), list(operations)
  while pending:
    op = pending.pop()
    if op not in needed:
      needed.add(op)
      if op.type != ITERATOR_BORDER:
        pending += [x.op for x in op.inputs] + list(op.control_inputs)
  if not needed:
    return []
  return [op for op in operations[0].graph.get_operations() if op in needed]


def _body(graph):
  """What runs of a function: what its results and its effects need."""
  effects = [op for op in graph.get_operations() if op.op_def.is_stateful]
  return _ancestors([x.op for x in graph.outputs] + effects)


def _findings(operations, place, seen_functions):
  for op in operations:
    for fault in _operation_faults(op):
      yield '{}{} ({}): {}'.format(place, op.name, op.type, fault)
    for tensor in op.outputs:
      for fault in _tensor_faults(tensor):
        yield '{}{} ({}): {}'.format(place, tensor.name, op.type, fault)
    for function in _functions(op):
      if function.graph is None:
        yield '{}{} ({}): the function {} cannot be looked into'.format(
            place, op.name, op.type, function.name)
      elif function.name not in seen_functions:
        seen_functions.add(function.name)
        yield from _findings(_body(function.graph), function.name + ': ', seen_functions)


def _operation_faults(op):
  for pattern, reason in FORBIDDEN_OPERATIONS:
    if re.fullmatch(pattern, op.type):
      yield 'forbidden operation: ' + reason
  for name in FORBIDDEN_NAMES:
    if name in op.name:
      yield 'the adapter gives a meaning to names with {}'.format(name)
  if op.type == 'Const' and not _is_finite(op):
    yield 'a constant that is not finite'
  for source in _round_sources(op):
    yield 'the number of rounds depends on {}'.format(source.name)


def _tensor_faults(tensor):
  kind = tensor.dtype.base_dtype.name
  shape_fault = None if kind == 'resource' else _shape_fault(tensor.shape)
  folded = (kind == 'int64' or shape_fault) and _is_folded(tensor.op)
  if kind in FORBIDDEN_TYPES and not (kind == 'int64' and folded):
    yield 'forbidden type ' + kind
  if shape_fault and not folded:
    yield shape_fault


def _shape_fault(shape):
  if shape.ndims is None:
    return 'unknown rank'
  if None in shape.as_list():
    return 'an unknown dimension in shape {}'.format(shape.as_list())
  if 0 in shape.as_list():
    return 'a dimension of 0 in shape {}'.format(shape.as_list())
  return None


def _is_finite(constant):
  import numpy as np
  import tensorflow.compat.v1 as tf
  if not constant.outputs[0].dtype.is_floating:
    return True
  values = tf.make_ndarray(constant.get_attr('value'))
  return bool(np.isfinite(values.astype(np.float64)).all())


def _is_folded(op):
  """Whether the outputs follow from constants and static shapes."""
  return next(_sources(op), None) is None


def _sources(op, through_loops=False):
  """Yields what makes the outputs of `op` unknown until the graph runs.

  Args:
    op: an operation.
    through_loops: whether a variable of a (TensorFlow 1) loop is followed to its initial value
      and its update, else it is a source.
  """
  seen, pending = set(), [op]
  while pending:
    op = pending.pop()
    if op in seen or _is_static_shape(op):
      continue
    seen.add(op)
    if _is_source(op, through_loops):
      yield op
    else:
      pending += [x.op for x in op.inputs]


def _is_static_shape(op):
  return op.type in SHAPE_OPERATIONS and all(x.shape.is_fully_defined() for x in op.inputs)


def _is_source(op, through_loops):
  if op.type == 'Merge':
    is_loop = any(x.op.type == 'NextIteration' for x in op.inputs)
    return not (is_loop and through_loops)
  return (op.type in ARGUMENTS or op.op_def.is_stateful or bool(_function_names(op))
          or (not op.inputs and op.type != 'Const'))


def _round_sources(op):
  """Yields what makes the number of rounds of a loop depend on data."""
  if op.type == 'LoopCond':
    yield from _sources(op, through_loops=True)
  elif op.type in WHILE_OPERATIONS:
    functions = {name: _function(op, op.get_attr(name).name) for name in ('cond', 'body')}
    if all(function.graph for function in functions.values()):
      yield from _while_sources(op, functions['cond'].graph, functions['body'].graph)


def _while_sources(op, condition, body):
  """A loop variable is a counter if it starts from constants and is updated from counters."""
  numbers = {argument.op: number for graph in (condition, body)
             for number, argument in enumerate(graph.inputs)}
  counters, pending = set(), list(condition.outputs)
  while pending:
    for source in _sources(pending.pop().op):
      number = numbers.get(source)
      if number is None:
        yield source
      elif number not in counters:
        counters.add(number)
        pending.append(body.outputs[number])
        yield from _sources(op.inputs[number].op)


def _functions(op):
  return [_function(op, name) for name in _function_names(op)]


def _function(op, name):
  function = op.graph._get_function(name)  # functions have no public way in
  return Function(name, getattr(function, 'graph', None))


def _function_names(op):
  functions = []
  for attribute in op.op_def.attr:
    if attribute.type == 'func':
      functions.append(op.get_attr(attribute.name))
    elif attribute.type == 'list(func)':
      functions += op.get_attr(attribute.name)
  return [function.name for function in functions]
