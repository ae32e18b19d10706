"""What is going on in this thread: a trace being recorded, a training flag passed down."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unidl.graph.trace import Trace


class _State(threading.local):
    """Per-thread flags; the class attributes are each thread's starting values.

    Attributes:
        trace: the graph being recorded. While it is set, every op is recorded instead of run.
        training: the `training` argument of the outermost layer call in progress, which nested
            layers inherit; None outside.
        masks: True once any eager layer call has produced a mask, so that calls need not look
            for masks until then.
    """

    trace: Trace | None = None
    training: bool | None = None
    masks: bool = False


state = _State()
