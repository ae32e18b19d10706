"""What is going on in this thread: a trace being recorded, a training flag passed down."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unidl._remat import RematScope
    from unidl._scopes import StatelessScope
    from unidl.graph.trace import Trace
    from unidl.saving._allowance import Allowance


class _State(threading.local):
    """Per-thread flags; the class attributes are each thread's starting values.

    Attributes:
        plain: True if ops may take their shortest way: nothing is recorded, nothing is cast, variables hold their own
            values. It follows `trace`, `autocast` and `scope`, so that an op tests one attribute.
        training: the `training` argument of the outermost layer call in progress, which nested
            layers inherit; None outside.
        masks: True once any eager layer call has produced a mask, so that calls need not look
            for masks until then.
        custom_objects: names that configurations may use, of the `CustomObjectScope`s entered.
        safe_mode: whether configurations that hold code are refused; None if nobody has said.
        written, read: layers that a configuration of several parts has so far, while it is written or read: see
            `unidl.saving.objects`.
        names: the `name_scope`s entered: what variables made now have before their names.
        namer: who entered the innermost of them.
        symbolic: how many `SymbolicScope`s are entered.
        sizing: True while a `RematScope` asks for the shape of a layer's output, which does not ask it again.
        remat: the innermost `RematScope`, which holds for layers made now.
        allowance: how large variables that are made may be, while a model is read from a file.
    """

    plain: bool = True
    training: bool | None = None
    masks: bool = False
    custom_objects: dict[str, Any] = {}
    safe_mode: bool | None = None
    written: dict[int, Any] | None = None
    read: dict[Any, Any] | None = None
    names: tuple[str, ...] = ()
    namer: Any = None
    symbolic: int = 0
    sizing: bool = False
    remat: RematScope | None = None
    allowance: Allowance | None = None
    _trace: Trace | None = None
    _scope: StatelessScope | None = None
    _autocast: str | None = None

    @property
    def trace(self) -> Trace | None:
        """The graph being recorded. While it is set, every op is recorded instead of run."""
        return self._trace

    @trace.setter
    def trace(self, value: Trace | None) -> None:
        self._trace = value
        self.plain = value is None and self._autocast is None and self._scope is None

    @property
    def autocast(self) -> str | None:
        """The float dtype that ops read variables in (mixed precision); None: their own."""
        return self._autocast

    @autocast.setter
    def autocast(self, value: str | None) -> None:
        self._autocast = value
        self.plain = value is None and self._trace is None and self._scope is None

    @property
    def scope(self) -> StatelessScope | None:
        """The `StatelessScope` whose values ops read variables as, and that collects what is assigned."""
        return self._scope

    @scope.setter
    def scope(self, value: StatelessScope | None) -> None:
        self._scope = value
        self.plain = value is None and self._trace is None and self._autocast is None


state = _State()


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's collector of cyclic garbage.

    What is recorded and compiled stays. While a deep model is, the collector would look at all objects of the process
    again and again, the engine's many included.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
