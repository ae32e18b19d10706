"""Importing TensorFlow: quietly, and without Keras.

TensorFlow's package imports ``keras.src.optimizers`` eagerly if Keras is installed, which costs two
seconds and 100 MB that nothing here uses. It accepts an ImportError for that one module, so it gets one;
``tf.keras`` still loads Keras on first use.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# TensorFlow's C++ side reads this when it is loaded: 2 leaves errors and hides start-up notes.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_EAGER = "keras.src.optimizers"
#: What the libraries write while they are loaded, before the log level above means anything to them.
_NOTES = re.compile(rb"absl::InitializeLog|\] oneDNN custom operations are on")


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Hold back what the process writes to its standard error, and pass on what is no start-up note."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError):  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not _NOTES.search(line)))


if "tensorflow" in sys.modules or _EAGER in sys.modules:
    import tensorflow
else:
    sys.modules[_EAGER] = None  # type: ignore[assignment]
    try:
        with _without_notes() if os.environ["TF_CPP_MIN_LOG_LEVEL"] >= "2" else contextlib.nullcontext():
            import tensorflow
    finally:
        if _EAGER in sys.modules and sys.modules[_EAGER] is None:
            del sys.modules[_EAGER]

from tensorflow.python import pywrap_tfe  # noqa: E402
from tensorflow.python.autograph.core import config as _autograph  # noqa: E402
from tensorflow.python.eager import context  # noqa: E402
from tensorflow.python.eager.record import could_possibly_record, stop_recording  # noqa: E402
from tensorflow.python.framework.ops import EagerTensor, SymbolicTensor  # noqa: E402
from tensorflow.python.ops.resource_variable_ops import ResourceVariable  # noqa: E402

# AutoGraph would rewrite unidl's own code inside users' `tf.function`s, and warn about generated functions.
_autograph.CONVERSION_RULES = (
    _autograph.DoNotConvert("unidl"),
    _autograph.DoNotConvert("unidl_tensorflow"),
    *_autograph.CONVERSION_RULES,
)

__all__ = [
    "EagerTensor",
    "ResourceVariable",
    "SymbolicTensor",
    "context",
    "could_possibly_record",
    "pywrap_tfe",
    "stop_recording",
    "tensorflow",
]
