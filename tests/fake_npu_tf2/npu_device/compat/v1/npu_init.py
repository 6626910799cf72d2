"""A FAKE, see tests/fake_ascend.py: the names for TensorFlow 2.6.5.

The loss scale managers and NPULossScaleOptimizer are missing, as the contract says.
"""
from fake_ascend import (NPUBroadcastGlobalVariablesHook, NPUDistributedOptimizer, NPUOptimizer,
                         hccl_ops, npu_config_proto, npu_scope, util)
