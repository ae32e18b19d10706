"""Computing in half precision: the global policy, and the optimizer that scales losses, under Keras's older names.

>>> import unidl
>>> unidl.mixed_precision.set_global_policy("mixed_bfloat16")
>>> unidl.mixed_precision.global_policy().compute_dtype
'bfloat16'
>>> unidl.mixed_precision.set_global_policy("float32")
"""

from __future__ import annotations

from unidl.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from unidl.optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy", "set_dtype_policy",
    "set_global_policy",
]  # fmt: skip
