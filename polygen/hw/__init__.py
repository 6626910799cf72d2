"""The machine: which device, which precision, which session. Knows no models.

    device = choose_device('auto')
    precision = parse_precision('mix', device)
    with tf.Session(config=session_config(device, precision)) as session: ...

Importing this package does not load TensorFlow.
"""
from .devices import DEVICE_CHOICES, Device, choose_device
from .precision import DEFAULT_PRECISION, Precision, parse_precision
from .session import session_config

__all__ = ['DEFAULT_PRECISION', 'DEVICE_CHOICES', 'Device', 'Precision', 'choose_device',
           'parse_precision', 'session_config']
