"""In which number format a device computes, from the user's `--precision_mode`.

    mode                   CPU                      GPU                      Ascend NPU
    mix                    float32                  TensorFlow's rewrite     allow_mix_precision
    default, ''            float32                  float32                  the adapter's default
    float32                float32                  float32                  force_fp32
    float16, bfloat16      operands of every matmul rounded to it; the product in float32 on a CPU
    a mode of the adapter  -                        -                        itself

Only products are taken in 16 bits: softmax, normalisation and losses stay in float32, forward and
backward. TensorFlow's rewrite alone follows lists of its own: that of TensorFlow 2 takes softmax in
float16, too.
"""
from typing import NamedTuple, Optional, Tuple

from .devices import CPU, GPU, NPU
from .npu_modes import PRECISION_MODES, PRECISION_MODES_V2

DEFAULT_PRECISION = 'mix'
FLOAT32 = 'float32'
FLOAT16 = 'float16'
BFLOAT16 = 'bfloat16'

MODES = ('mix', 'default', '', FLOAT32, FLOAT16, BFLOAT16)
# These keep float32, or compute in bfloat16, whose range is that of float32.
UNSCALED_NPU_MODES = ('force_fp32', 'must_keep_origin_dtype', 'origin', 'allow_mix_precision_bf16',
                      'allow_fp32_to_bf16', 'mixed_bfloat16')


class Precision(NamedTuple):
  """A resolved precision: what every part of the program does about it.

  Attributes:
    name: the format of products: 'float32', 'float16', ..., or the adapter's mode.
    reason: how it came about.
    matmul_type: '' or the type to which the operands of every matmul are rounded in the graph.
    native: whether such a product is taken in that type; else in float32.
    graph_rewrite: whether the session config asks for TensorFlow's mixed-precision rewrite.
    npu_option: (name, value) of the adapter's precision option, or None.
    scale_loss: whether gradients may leave the range of the format, so that the loss is scaled.
  """
  name: str
  reason: str
  matmul_type: str = ''
  native: bool = False
  graph_rewrite: bool = False
  npu_option: Optional[Tuple[str, str]] = None
  scale_loss: bool = False

  @property
  def description(self):
    """One line for the log."""
    scaling = ', the loss scaled' if self.scale_loss else ''
    return 'Precision: {} ({}{})'.format(self.name, self.reason, scaling)


def legal_modes(device):
  """The spellings that `parse_precision` takes on a device."""
  if device.name != NPU:
    return MODES
  return tuple(dict.fromkeys(MODES + PRECISION_MODES + PRECISION_MODES_V2))


def parse_precision(mode, device):
  """Resolves a precision mode for a device, by the table above.

  Args:
    mode: one of `legal_modes(device)`.
    device: a `Device`.

  Returns:
    A `Precision`.

  Raises:
    ValueError: the mode is not one of these.
  """
  if mode not in legal_modes(device):
    raise ValueError('unknown precision mode {!r} on {}: choose one of {}'.format(
        mode, device.name, ', '.join(spelling or "''" for spelling in legal_modes(device))))
  if mode in (FLOAT16, BFLOAT16):
    return _rounded_operands(mode, device)
  if device.name == NPU:
    return _npu_precision(mode)
  if mode == 'mix':
    return _MIXED[device.name]
  return Precision(FLOAT32, 'as requested' if mode == FLOAT32 else 'the default of a {}'.format(
      device.name.upper()))


_MIXED = {
    CPU: Precision(FLOAT32, 'mix: on a CPU bfloat16 was measured to be slower'),
    GPU: Precision(FLOAT16, "mix: TensorFlow's mixed-precision rewrite", graph_rewrite=True,
                   scale_loss=True),
}


def _rounded_operands(mode, device):
  native = device.name != CPU
  return Precision(
      mode, 'operands of every matmul rounded, products in {}'.format(mode if native else FLOAT32),
      matmul_type=mode, native=native, scale_loss=mode == FLOAT16)


def _npu_precision(mode):
  if mode in ('default', ''):
    # The 910 multiplies matrices in float16 then, too.
    return Precision('default', 'what the NPU does by itself', scale_loss=True)
  value = {'mix': 'allow_mix_precision', FLOAT32: 'force_fp32'}.get(mode, mode)
  option = 'precision_mode' if value in PRECISION_MODES else 'precision_mode_v2'
  return Precision(value, 'mix' if mode == 'mix' else 'as requested', npu_option=(option, value),
                   scale_loss=value not in UNSCALED_NPU_MODES)
