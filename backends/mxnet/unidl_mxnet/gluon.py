"""Layers as gluon blocks, so that `net.add`, `collect_params` and `gluon.Trainer` take them."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

from unidl_mxnet._engine import mx
from unidl_mxnet.gradients import own


class _Parameter(mx.gluon.Parameter):
    """A gluon parameter that is a unidl variable: same memory, same gradient."""

    def __init__(self, variable: Any, name: str) -> None:
        request = "write" if variable.gradient is not None else "null"
        super().__init__(name, grad_req=request, shape=variable.shape, dtype=variable.dtype)
        context = variable.ctx
        self._variable = variable
        self._data, self._ctx_list = [variable], [context]
        self._grad = None if variable.gradient is None else [variable.gradient]
        self._ctx_map: list[list[Any]] = [[], []]
        self._ctx_map[context.device_typeid & 1] = [None] * context.device_id + [0]

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: unidl's initializers have given the value."""

    def set_data(self, data: Any) -> None:
        self._variable.assign(data)


class Module(mx.gluon.HybridBlock):  # type: ignore[misc,name-defined]
    """What layers derive from on mxnet.

    gluon's own bookkeeping (names, children, registration at each attribute assignment) is left
    out: a layer knows its variables and layers itself, and compiles itself, so gluon's `hybridize`
    has nothing to do for it. A block that contains unidl layers must not itself be hybridized.
    """

    def __init__(self) -> None:
        gluon_state = {
            "_empty_prefix": False, "_prefix": f"{type(self).__name__.lower()}_", "_params": mx.gluon.ParameterDict(),
            "_children": OrderedDict(), "_reg_params": {}, "_forward_hooks": OrderedDict(),
            "_forward_pre_hooks": OrderedDict(), "_active": False,
        }  # fmt: skip
        for name, value in gluon_state.items():
            object.__setattr__(self, name, value)

    @property
    def training(self) -> bool:
        """gluon's rule for calls that do not say: inside ``mx.autograd.record()`` a layer trains."""
        return mx.autograd.is_training() and not own.recording

    __setattr__ = object.__setattr__
    __repr__ = object.__repr__

    def collect_params(self, select: str | None = None) -> Any:
        """gluon parameters of this layer's variables, by their paths.

        A layer has them once it is built.
        """
        found = mx.gluon.ParameterDict()
        pattern = re.compile(select) if select else None
        for variable in self.variables:
            parameter = getattr(variable, "_parameter", None)
            if parameter is None:
                parameter = variable._parameter = _Parameter(variable, f"{variable.path}:{id(variable):x}")
            request = "write" if variable.gradient is not None else "null"
            if parameter._grad_req != request:
                parameter._grad_req = request
                parameter._grad = None if variable.gradient is None else [variable.gradient]
            if pattern is None or pattern.match(variable.path):
                found._params[parameter.name] = parameter
        return found

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Any]:
        start = f"{prefix}." if prefix else ""
        parameters = self.collect_params().values()
        return {start + p._variable.path.replace("/", "."): p for p in parameters}

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Nothing: a unidl model compiles its graph whenever it runs."""

    def _clear_cached_op(self) -> None:
        pass

    def cast(self, dtype: Any) -> None:
        raise TypeError(f"Layer {self.name!r}: give the dtype when the layer is made, e.g. dtype='float16'.")
