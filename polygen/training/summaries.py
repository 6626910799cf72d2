"""TensorBoard scalars."""
import tensorflow.compat.v1 as tf


class ScalarWriter:
  """Writes scalars to an event file in a folder; build it under a graph.

  Args:
    folder: of the event files; a continued run adds one.
  """

  def __init__(self, folder):
    self._writer = tf.summary.FileWriter(folder)

  def write(self, step, scalars):
    """Writes {tag: number} at a step."""
    self._writer.add_summary(tf.Summary(value=[
        tf.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]), step)

  def close(self):
    """Ends the file."""
    self._writer.close()
