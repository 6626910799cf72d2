"""The machine: which device, which precision, which session. Knows no models.

    machine = choose_machine('auto', 'mix')
    with tf.Session(config=machine.session_config()) as session: ...

Importing this package does not load TensorFlow, nor the adapter of an NPU.
"""
from .devices import CPU, DEVICE_CHOICES, Device, choose_device, num_cores
from .graph import new_graph
from .graph_lint import lint
from .heap import release_memory, set_up_heap
from .loss_scale import (ExponentialUpdateLossScaleManager, FixedLossScaleManager,
                         LossScaleOptimizer)
from .machine import Machine, choose_machine
from .npu import NpuAdapter, load_adapter
from .npu_options import NPU_OPTIONS, parse_npu_options
from .precision import DEFAULT_PRECISION, Precision, parse_precision
from .session import npu_session_config, session_config

__all__ = ['CPU', 'DEFAULT_PRECISION', 'DEVICE_CHOICES', 'Device',
           'ExponentialUpdateLossScaleManager', 'FixedLossScaleManager', 'LossScaleOptimizer',
           'Machine', 'NPU_OPTIONS', 'NpuAdapter', 'Precision', 'choose_device', 'choose_machine',
           'lint', 'load_adapter', 'new_graph', 'npu_session_config', 'num_cores',
           'parse_npu_options', 'parse_precision', 'release_memory', 'session_config',
           'set_up_heap']
