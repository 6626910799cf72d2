"""What is measured, beside the figures of the reference implementation and what was aimed for."""
from typing import Callable, NamedTuple, Optional

from . import decoding, feeding, memory, meshes, training


class Row(NamedTuple):
  """One line of the table.

  Attributes:
    name: for `--only`.
    text: what is measured.
    measure: function -> unit.Measurement.
    suffix: 'u' for a time in units, else the unit of the value.
    reference: of the reference implementation on TensorFlow 1.15, 2 cores.
    wanted: at most, on both TensorFlow versions.
    slow: only measured when asked for by name or with --all.
  """
  name: str
  text: str
  measure: Callable
  suffix: str = 'u'
  reference: Optional[float] = None
  wanted: Optional[float] = None
  slow: bool = False


ROWS = (
    Row('train-step', 'one training step, both models, toy config', training.step, 'u', 17.6, 7.0),
    Row('decode-vertices', 'decode, vertex model, toy config, B=4, 600 tokens, top_p 0.95, per '
        'token step', lambda: decoding.vertex_tokens(4, 600), 'u', 0.112, 0.028),
    Row('decode-vertices-64', 'the same, B=64', lambda: decoding.vertex_tokens(64, 600), 'u', 1.29,
        0.40),
    Row('decode-vertices-long', 'the same, B=4, 2400 tokens',
        lambda: decoding.vertex_tokens(4, 2400)),
    Row('decode-vertices-plain', 'the same, B=4, 600 tokens, not compiled',
        lambda: decoding.plain('vertex_tokens(4, 600, compiled=False)')),
    Row('masks-vertices', 'the same, compiled, under grammar masks',
        lambda: decoding.vertex_masks(4, 600)),
    Row('masks-vertices-64', 'the same, B=64', lambda: decoding.vertex_masks(64, 600)),
    Row('masks-faces-toy', 'decode, face model, toy config, B=4, 250 vertices, 500 tokens, '
        'compiled, under grammar masks, per token step',
        lambda: decoding.face_masks(decoding.TOY, 4, 250, 500, True)),
    Row('masks-faces', 'the same at the published size, B=8, 400 vertices, 60 tokens, encoding '
        'included', lambda: decoding.face_masks(decoding.PUBLISHED, 8, 400, 60,
                                                decoding.COMPILES_PUBLISHED)),
    Row('decode-memory', 'peak memory of decoding at B=64, 600 tokens',
        lambda: decoding.vertex_memory(64, 600), 'MB', None, 1000),
    Row('decode-faces', 'decode, face model at the published size, B=8, 400 vertices, per token '
        'step', decoding.published_face_tokens, 'u', 61, 1.8),
    Row('file-to-tokens', 'file to tokens, a mesh of 173 vertices', meshes.file_to_tokens, 'u',
        3.9, 0.35),
    Row('growth', 'time per vertex of a file of 50,000 vertices over that of 500', meshes.growth,
        'times', None, 3),
    Row('real-tokens', 'positions of training batches that hold a real token, varied lengths',
        feeding.real_share, '%'),
    Row('waiting', 'time that training waits for such batches', feeding.waiting, '%'),
    Row('memory', 'peak memory of the toy training process', training.memory, 'MB', 840, 600),
    Row('start', 'process start to first finished training step', training.start, 's', 24, 8),
    Row('recompute-memory', 'memory of the gradients of 12 layers of hidden size 256, 2,000 '
        'tokens: recomputed over kept', memory.recompute_memory, 'times', None, 0.5),
    Row('recompute-time', 'the same, time', memory.recompute_time, 'times', None, 1.4),
    Row('published-step', 'peak memory of a training step of the published size, 800 vertices and '
        '2,800 face tokens', memory.published_memory, 'MB', None, 16000),
    Row('published-losses', 'toy run until the published losses', training.published_losses, 'u',
        85000, 17000, slow=True),
    Row('toy-run', 'whole toy run: 5000 steps and samples of 4 meshes every 500',
        training.whole_run, 'u', 89000, 37000, slow=True),
)
