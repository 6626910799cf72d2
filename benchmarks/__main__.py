"""Measures this project on this machine and prints a table; nothing else should be running.

Times are given in units: 1 u is the time of one product of two 1024x1024 float32 matrices, measured
beside the work. The reference is the implementation of 2020 on TensorFlow 1.15 and 2 cores.
"""
import argparse
import json
import platform

import numpy as np

from polygen import cli


def machine():
  """What the figures were measured on."""
  import tensorflow.compat.v1 as tf
  from polygen import hw
  return {'python': platform.python_version(), 'tensorflow': tf.version.VERSION,
          'numpy': np.__version__, 'cores': hw.num_cores(), 'machine': platform.machine(),
          'system': platform.system()}


def figure(row, measurement):
  """The value of a row in its own unit."""
  return measurement.in_units if row.suffix == 'u' else measurement.value


def line(row, measurement):
  """A line of the table, as Markdown."""
  def shown(value):
    if value is None:
      return ''
    return ('{:,.0f} {}' if value >= 100 else '{:.3g} {}').format(value, row.suffix)

  details = ', '.join('{} {}'.format(name.replace('_', ' '), value)
                      for name, value in measurement.details.items())
  if row.suffix == 'u':
    details = '{:.4g} s, u = {:.3g} ms{}'.format(
        measurement.value, measurement.unit_seconds * 1e3, ', ' + details if details else '')
  return '| {} |'.format(' | '.join([
      row.text, shown(row.reference), '<= ' + shown(row.wanted) if row.wanted else '',
      shown(figure(row, measurement)), details]))


def entry(row, measurement):
  """What the JSON file says about a row."""
  return {'name': row.name, 'text': row.text, 'unit': row.suffix, 'reference': row.reference,
          'wanted': row.wanted, 'value': figure(row, measurement), 'raw': measurement.value,
          'unit_seconds': measurement.unit_seconds, 'details': measurement.details}


def main(argv=None):
  """Measures, prints, writes; returns the entries of the JSON file."""
  from .rows import ROWS  # loads TensorFlow, after run_command has prepared it
  names = [row.name for row in ROWS]
  parser = argparse.ArgumentParser(
      'python -m benchmarks', description=__doc__,
      formatter_class=argparse.ArgumentDefaultsHelpFormatter)
  parser.add_argument('--only', action='append', choices=names, metavar='NAME', default=None,
                      help='measure this row alone; may be repeated: ' + ', '.join(names))
  parser.add_argument('--all', action='store_true', help='the whole toy run, too (15 minutes)')
  parser.add_argument('--json', metavar='FILE', default='benchmarks.json',
                      help='where the figures are written')
  args = parser.parse_args(argv)
  found = {'machine': machine(), 'rows': []}
  print(', '.join('{} {}'.format(*item) for item in found['machine'].items()))
  print('| what | reference | wanted | here | details |\n| --- | --- | --- | --- | --- |')
  for row in ROWS:
    if row.name not in args.only if args.only else row.slow and not args.all:
      continue
    measurement = row.measure()
    print(line(row, measurement), flush=True)
    found['rows'].append(entry(row, measurement))
    with open(args.json, 'w', encoding='utf-8') as file:
      json.dump(found, file, indent=2)
      file.write('\n')
  return found


if __name__ == '__main__':
  cli.run_command('python -m benchmarks', main)
