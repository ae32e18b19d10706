"""Importing TensorFlow: quietly, and without Keras.

TensorFlow's package imports ``keras.src.optimizers`` eagerly if Keras is installed, which costs two
seconds and 100 MB that nothing here uses. It accepts an ImportError for that one module, so it gets one;
``tf.keras`` still loads Keras on first use.
"""

from __future__ import annotations

import os
import sys

# TensorFlow's C++ side reads this when it is loaded: 2 leaves errors and hides start-up notes.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_EAGER = "keras.src.optimizers"

if "tensorflow" in sys.modules or _EAGER in sys.modules:
    import tensorflow
else:
    sys.modules[_EAGER] = None  # type: ignore[assignment]
    try:
        import tensorflow
    finally:
        if _EAGER in sys.modules and sys.modules[_EAGER] is None:
            del sys.modules[_EAGER]

from tensorflow.python.autograph.core import config as _autograph  # noqa: E402
from tensorflow.python.eager.record import stop_recording  # noqa: E402
from tensorflow.python.framework.ops import EagerTensor, SymbolicTensor  # noqa: E402
from tensorflow.python.ops.resource_variable_ops import ResourceVariable  # noqa: E402

# AutoGraph would rewrite unidl's own code inside users' `tf.function`s, and warn about generated functions.
_autograph.CONVERSION_RULES = (
    _autograph.DoNotConvert("unidl"),
    _autograph.DoNotConvert("unidl_tensorflow"),
    *_autograph.CONVERSION_RULES,
)

__all__ = ["EagerTensor", "ResourceVariable", "SymbolicTensor", "stop_recording", "tensorflow"]
