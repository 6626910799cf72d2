"""Turns a folder of meshes into arrays that polygen.train reads: every file below IN_DIR that is an
OBJ, PLY, STL, OFF, GLB or GLTF file, at any depth.

A mesh's class is its first folder, or its synset in ShapeNet's layout. OUT_DIR/report.json says of
every file what became of it. Stopped or killed, the same command goes on where it was.
"""
import os

from . import cli
from .data.preparation import PrepareSettings, prepare

DEFAULTS = PrepareSettings()


def build_parser():
  """The command's flags."""
  parser = cli.ArgumentParser('polygen.prepare', __doc__)
  parser.add_argument('in_dir', metavar='IN_DIR', help='the folder of meshes')
  parser.add_argument('out_dir', metavar='OUT_DIR', help='missing, empty, or left unfinished')
  parser.add_argument('--max_vertices', type=cli.positive_int, metavar='N',
                      default=DEFAULTS.max_vertices, help='meshes of more are left out')
  parser.add_argument('--max_face_tokens', type=cli.positive_int, metavar='N',
                      default=DEFAULTS.max_face_tokens,
                      help='meshes of more are left out; the tokens of a mesh are the corners of '
                      'its faces and one for each face')
  parser.add_argument('--quantization_bits', type=cli.positive_int, metavar='N',
                      default=DEFAULTS.quantization_bits, help='bits per coordinate')
  parser.add_argument('--split', metavar='X,Y,Z', default=','.join(map(str, DEFAULTS.split)),
                      help='shares of training, validation and test; the content of a file decides '
                      'where it belongs, so more files move none')
  cli.add_seed_flag(parser, DEFAULTS.seed, 'of the split and of varied copies')
  parser.add_argument('--merge_planar', type=float, metavar='DEGREES',
                      default=DEFAULTS.merge_planar,
                      help='merge neighbouring faces within this angle to n-gons; 0: leave them')
  parser.add_argument('--augment', type=int, metavar='N', default=DEFAULTS.augment,
                      help='write N varied copies of each training mesh, too: axes scaled and '
                      'warped, faces merged at a random angle of 1 to 20 degrees')
  parser.add_argument('--max_file_mb', type=float, metavar='X', default=DEFAULTS.max_file_mb,
                      help='larger files are not read')
  parser.add_argument('--workers', type=cli.positive_int, metavar='N', default=os.cpu_count() or 1,
                      help='processes')
  return parser


def settings_of(args):
  """The PrepareSettings of parsed flags.

  Raises:
    ValueError: --split is no list of numbers.
  """
  try:
    split = tuple(float(share) for share in args.split.split(','))
  except ValueError:
    raise ValueError('--split must be numbers with commas between them, not {!r}'.format(
        args.split))
  return PrepareSettings(**dict(
      {name: getattr(args, name) for name in PrepareSettings._fields}, split=split))


def closing_lines(result, out_dir):
  """What the command ends with."""
  summary = result.summary
  num_skipped = sum(summary['skipped'].values())
  lines = ['{} of {} files kept, {} classes; the largest mesh has {} vertices, the longest '
           '{} face tokens'.format(summary['kept'], summary['kept'] + num_skipped,
                                   result.num_classes, *result.longest)]
  lines += ['{} skipped: {}'.format(count, reason)
            for reason, count in sorted(summary['skipped'].items(), key=lambda item: -item[1])]
  if summary['dropped_copies']:
    lines.append('{} varied copies dropped: beyond the limits'.format(summary['dropped_copies']))
  lines.append('Meshes: ' + ', '.join(
      '{} {}'.format(count, split) for split, count in summary['examples'].items()))
  lines.append('Every file: {}'.format(os.path.join(out_dir, 'report.json')))
  lines.append('Train on them: python -m polygen.train --data_path {}'.format(out_dir))
  return lines


class _FileProgress:
  """A progress bar of files, made when their number is known."""

  def __init__(self):
    self._progress, self._done = None, 0

  def show(self, done, total, skipped):
    """Takes the numbers of files done, in all and skipped."""
    if self._progress is None:
      self._progress, self._done = cli.Progress(total, done, unit='file'), done
      if done:
        self._progress.write('{} of {} files were done before'.format(done, total))
      return
    self._progress.advance({'Skipped': skipped}, done - self._done)
    self._done = done

  def __enter__(self):
    return self

  def __exit__(self, *exception):
    if self._progress is not None:
      self._progress.__exit__(*exception)


def main(argv=None):
  """Runs the command; returns data.preparation.PrepareResult."""
  args = build_parser().parse_args(argv)
  with cli.user_errors(), _FileProgress() as progress:
    result = prepare(args.in_dir, args.out_dir, settings_of(args), args.workers, progress.show)
  if result.was_prepared:
    print('{} was prepared before'.format(args.out_dir))
  print('\n'.join(closing_lines(result, args.out_dir)))
  return result


if __name__ == '__main__':
  cli.run_command('polygen.prepare', main)
