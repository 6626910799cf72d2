"""A FAKE, see tests/fake_ascend.py: the names for TensorFlow 1.15.0."""
from fake_ascend import (ExponentialUpdateLossScaleManager, FixedLossScaleManager,
                         NPUBroadcastGlobalVariablesHook, NPUDistributedOptimizer,
                         NPULossScaleOptimizer, NPUOptimizer, hccl_ops, npu_config_proto, npu_scope,
                         util)
