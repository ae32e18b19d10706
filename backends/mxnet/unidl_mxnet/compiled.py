"""Graphs as mxnet symbols, run by `CachedOp`, and training steps made of them."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from unidl._seed import portable
from unidl_mxnet._engine import mx
from unidl_mxnet._invoke import Symbol, Symbols
from unidl_mxnet.gradients import backward, on_tape
from unidl_mxnet.kernels import NATIVE
from unidl_mxnet.kernels._products import permuted
from unidl_mxnet.kernels.nn import batch_statistics_normalization
from unidl_mxnet.layout import ChannelsFirst, first_shape
from unidl_mxnet.tensors import assign
from unidl_mxnet.turned import Turned, loop, to_turn

_LIB = mx.base._LIB
_Handle = mx.base.NDArrayHandle
_check = mx.base.check_call
_ndarray = mx.np.ndarray
_HOST_DRAWS = ("random_uniform", "random_normal")
_SUMS = ("add", "subtract")
_FUSED = "batch_normalization_training"
_FLAGS = (("static_alloc", True), ("static_shape", True), ("inline_limit", 0))


class _Builder:
    """One symbol for a lowered graph.

    Args:
        graph: lowered, with all shapes known.
        heads: how many of the outputs gradients are wanted of; the others, and all updates, are cut off
            from them, so that no time goes into gradients of zero.
        symbols: what makes the symbols.
        views: id of a variable whose memory holds its transpose to an array of that shape, on the same memory.
    """

    def __init__(
        self,
        graph: Any,
        backend: Any,
        heads: int | None,
        symbols: Symbols | None = None,
        views: Mapping[int, Any] | None = None,
    ) -> None:
        from unidl.graph.symbolic import SymbolicTensor, substitute

        self.symbolic, self.substitute = SymbolicTensor, substitute
        self.graph, self.backend = graph, backend
        self.F = symbols or Symbols()
        self.views = views or {}
        self.layout = ChannelsFirst(self.F)
        self.trains = heads is not None
        self.symbols: dict[int, Symbol] = {}
        self.cut: dict[int, Symbol] = {}
        self.values: dict[str, Any] = {}  # variables and constants by name
        self.inputs: dict[str, int] = {}  # places among the arguments of a call, by name
        self.draws: list[Callable[[], Any]] = []  # what makes further arguments at each call
        for index, tensor in enumerate(graph.inputs):
            self.inputs[f"input{index}"] = index
            self.symbols[id(tensor)] = self.F.variable(f"input{index}", tensor.shape, tensor.dtype)
        outputs = list(graph.outputs)
        self.main = graph.needed(outputs if heads is None else outputs[:heads])
        self.ends = outputs + [value for _, value in graph.updates]
        self.heads = len(outputs) if heads is None else heads

    def symbol(self, tensor: Any) -> Symbol:
        key = id(tensor)
        if key not in self.symbols:
            value = tensor.value
            if not isinstance(value, self.backend.Variable):
                value = self.backend.to_tensor(value, tensor.dtype)
            name = f"value{len(self.values)}"
            self.values[name] = self.views.get(id(value), value)
            if id(value) in self.views:
                turned = self.F.variable(name, tuple(tensor.shape)[::-1], tensor.dtype)
                self.symbols[key] = permuted(self.F, turned, (1, 0))
                self.symbols[key].turned = turned
            else:
                self.symbols[key] = self.F.variable(name, tuple(tensor.shape), tensor.dtype)
        return self.symbols[key]

    def apart(self, tensor: Any) -> Symbol:
        """The symbol of a term of a sum: a copy of an argument that may have no gradient.

        With such an argument itself as a term, mxnet 1.9's plan of the memory gives the gradient of the other term a
        place that is used for something else, and what is read there later is wrong.
        """
        symbol = self.symbol(tensor)
        if tensor.node is not None or getattr(tensor.value, "gradient", None) is not None:
            return symbol
        return Symbol(self.F._np_copy(symbol).native, symbol.shape, symbol.dtype)

    def without_gradient(self, tensor: Any) -> Symbol:
        key = id(tensor)
        if key not in self.cut:
            symbol = self.symbol(tensor)
            computed = tensor.node is not None and id(tensor.node) in self.main
            if computed or getattr(tensor.value, "gradient", None) is not None:
                plain = self.layout.recorded(symbol)
                symbol = Symbol(self.F.BlockGrad(plain).native, plain.shape, plain.dtype)
            self.cut[key] = symbol
        return self.cut[key]

    def draw(self, node: Any) -> None:
        """Have the host draw the output of a random op, an argument of the symbol then, at each call."""
        name, tensor = f"draw{len(self.draws)}", node.outputs[0]
        self.inputs[name] = len(self.graph.inputs) + len(self.draws)
        self.draws.append(functools.partial(self.backend.table[node.op.name], *node.args))
        self.symbols[id(tensor)] = self.F.variable(name, tuple(tensor.shape), tensor.dtype)

    def add(self, node: Any) -> None:
        main = id(node) in self.main
        self.F.trains = main and self.trains
        operand = self.apart if main and node.op.name in _SUMS else self.symbol
        args = self.substitute(node.args, operand if main else self.without_gradient)
        function = batch_statistics_normalization if node.op.name == _FUSED else NATIVE[node.op.name]
        results = self.layout.call(node.op.name, functools.partial(function, self.F), args)
        for tensor, result in zip(node.outputs, results if node.multiple else [results], strict=True):
            result.shape, result.dtype = tuple(tensor.shape), tensor.dtype
            if result.first is not None:
                result.first.shape = first_shape(result.shape)
                result.first.dtype = tensor.dtype
            self.symbols[id(tensor)] = result

    def build(self) -> tuple[Any, list[str], list[Any]]:
        """The symbol, the names of its arguments, and for each end its place among the outputs or a plain value."""
        nodes = self.graph.nodes
        drawn = [n for n in nodes if n.op.name in _HOST_DRAWS] if portable() else []
        # Replay runs first what outputs need, then what updates need: the host draws in that order.
        needed = self.graph.needed(self.graph.outputs)
        for node in sorted(drawn, key=lambda n: id(n) not in needed):
            self.draw(node)
        for node in nodes:
            if node not in drawn:
                self.add(node)
        outputs: list[Any] = []
        where: dict[int, int] = {}
        places: list[Any] = []
        for index, end in enumerate(self.ends):
            if type(end) is not self.symbolic:
                places.append((None, end))
                continue
            symbol = self.symbol(end) if index < self.heads else self.without_gradient(end)
            symbol = self.layout.recorded(symbol)
            if id(symbol) not in where:
                where[id(symbol)] = len(outputs)
                # An argument handed straight through would not be copied.
                outputs.append(symbol if end.node is not None else self.F._np_copy(symbol))
            places.append((where[id(symbol)], None))
        if not outputs:
            raise _NothingToCompute
        handle = mx.base.SymbolHandle()
        handles = mx.base.c_handle_array([o.native for o in outputs])
        _check(_LIB.MXSymbolCreateGroup(mx.base.mx_uint(len(outputs)), handles, ctypes.byref(handle)))
        group = mx.sym.np._Symbol(handle)
        self.kept = outputs
        return group, group.list_inputs(), places


class _NothingToCompute(Exception):
    """A graph that computes nothing from tensors."""


class Executable:
    """A graph's `CachedOp`: called with the inputs it returns the outputs and applies the updates.

    Attributes:
        graph: the lowered graph.
        reads: the variables that the gradient heads depend on.
        turned: what must have turned the memory of its variables; None if they lie as they are.
    """

    def __init__(self, graph: Any, backend: Any, heads: int | None = None, turned: Turned | None = None) -> None:
        self.graph, self.backend, self.turned = graph, backend, turned
        builder = _Builder(graph, backend, heads, views=None if turned is None else turned.views)
        symbol, names, places = builder.build()
        if not any(n in builder.inputs or n in builder.values for n in names):
            raise _NothingToCompute
        self._cached = mx.nd.CachedOp(symbol, _FLAGS)
        values = {**builder.values, **builder.F.scratches}
        self._arguments: list[Any] = [None if n in builder.inputs else values[n].handle for n in names]
        self._slots = [(place, builder.inputs[n]) for place, n in enumerate(names) if n in builder.inputs]
        self._values = values  # keeps the arrays behind the handles alive
        self._arrays = ctypes.c_void_p * len(names)
        self._count = ctypes.c_int(len(names))
        n = len(graph.outputs)
        self._outputs = places[:n]
        self._updates = [(v, place) for (v, _), (place, _) in zip(graph.updates, places[n:], strict=True)]
        self._plain = [p for p, _ in self._outputs] == list(range(n))
        self._size = n
        self._draws = builder.draws
        # mxnet's batch normalization uses the batch's own moments only while autograd is in training mode.
        self._training_mode = any(n.op.name == _FUSED for n in graph.nodes)
        used = {*builder.views, *(id(v) for v in builder.values.values())}
        leaves = {id(t) for node in graph.nodes if id(node) in builder.main for t in node.inputs()}
        heads_end = graph.outputs[: builder.heads]
        self.reads = {
            id(t.value) for t in graph.leaves()
            if id(t.value) in used and (id(t) in leaves or any(t is e for e in heads_end))
        }  # fmt: skip

    def start(self, *inputs: Any) -> list[Any]:
        """Run, and give back all results, those for the updates included."""
        if loop.turned is not self.turned:
            loop.make_straight(self._values)
        if self._draws:
            inputs = (*inputs, *[draw() for draw in self._draws])
        arguments = self._arguments.copy()
        for place, index in self._slots:
            arguments[place] = inputs[index].handle
        count, results = ctypes.c_int(0), ctypes.POINTER(_Handle)()
        previous = ctypes.c_int(1)
        if self._training_mode:
            _LIB.MXAutogradSetIsTraining(ctypes.c_int(1), ctypes.byref(previous))
        status = _LIB.MXInvokeCachedOpEx(
            self._cached.handle, self._count, self._arrays(*arguments), ctypes.byref(count), ctypes.byref(results),
            ctypes.byref(ctypes.POINTER(ctypes.c_int)()),
        )  # fmt: skip
        if not previous.value:
            _LIB.MXAutogradSetIsTraining(ctypes.c_int(0), ctypes.byref(previous))
        _check(status)
        return [_ndarray(_Handle(results[i])) for i in range(count.value)]

    def take_updates(self, variables: Sequence[Any]) -> list[tuple[Any, int]]:
        """Those updates that are of `variables`, with the place of the value; `finish` leaves them out from now on."""
        ids = {id(v) for v in variables}
        taken = [update for update in self._updates if id(update[0]) in ids]
        self._updates = [update for update in self._updates if id(update[0]) not in ids]
        return taken

    def finish(self, results: Sequence[Any]) -> tuple[Any, ...]:
        """Apply the updates; the outputs."""
        for variable, place in self._updates:
            assign(variable, results[place])
        if self._plain:
            return tuple(results[: self._size])
        return tuple(value if place is None else results[place] for place, value in self._outputs)

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        return self.finish(self.start(*inputs))


def supported(graph: Any, backend: Any) -> bool:
    """Whether the graph can be one symbol: no native code in it, and every size known."""
    if graph.opaque or not _has_symbols(graph):
        return False
    tensors = [*graph.inputs, *(o for n in graph.nodes for o in n.outputs)]
    return not any(d is None for t in tensors for d in t.shape) and all(t.dtype in backend.dtypes for t in tensors)


def _has_symbols(graph: Any) -> bool:
    """Whether every op of the graph, or what it decomposes into, is one that symbols have."""
    return all(
        n.op.name in NATIVE or n.op.name == _FUSED or (n.inner is not None and _has_symbols(n.inner))
        for n in graph.nodes
    )


def _lowered(graph: Any, backend: Any) -> Any:
    """The graph of ops that are in the table, batch normalization as one node where its kernel will do."""

    def native(op: Any) -> bool:
        return op.name in NATIVE and op.name in backend.table

    lowered = graph.lower(lambda op: native(op) or op.name == _FUSED)
    moments = {id(o) for n in lowered.nodes if n.op.name == _FUSED for o in n.outputs[1:]}
    main = lowered.needed(lowered.outputs)
    used = [t for n in lowered.nodes if id(n) in main for t in n.inputs()] + list(lowered.outputs)
    if any(id(t) in moments for t in used):  # gradients may have to flow through them
        return graph.lower(native)
    return lowered


def executable(graph: Any, backend: Any) -> Callable[..., tuple[Any, ...]]:
    """See `Backend.executable`. Graphs that mxnet cannot compile are replayed."""
    from unidl.graph.passes import optimized
    from unidl.graph.replay import replay

    if supported(graph, backend):
        lowered = optimized(_lowered(graph, backend), numbers=True)
        if supported(lowered, backend):
            try:
                return Executable(lowered, backend)
            except _NothingToCompute:
                pass
    return replay(graph, backend)


def train_step(
    forward: Callable[..., tuple[Any, ...]],
    variables: Sequence[Any],
    apply: Callable[[list[Any]], None],
    slots: Mapping[str, Sequence[Any]] | None = None,
) -> Callable[..., tuple[Any, ...]]:
    """See `Backend.train_step`."""
    variables = list(variables)
    if not isinstance(forward, Executable):
        return _step(forward, variables, apply)
    graph, backend = forward.graph, forward.backend
    set_forward = {id(v) for v, _ in graph.updates}
    wide = None
    if slots is not None and not any(id(v) in set_forward for v in variables):
        wide = to_turn(graph, variables, slots)
    if wide is None:
        return _step(Executable(graph, backend, heads=1), variables, apply)
    # Each is made when it is first wanted, for it takes memory of its own.
    turned: Turned | None = None
    steps: dict[bool, Callable[..., tuple[Any, ...]]] = {}

    def step(*inputs: Any) -> tuple[Any, ...]:
        nonlocal turned
        if turned is None and loop.is_open:
            turned = Turned(*wide)
        inside = turned is not None and loop.enter(turned)
        if inside not in steps:
            steps[inside] = _step(Executable(graph, backend, 1, turned if inside else None), variables, apply)
        return steps[inside](*inputs)

    return step


def _step(
    forward: Callable[..., tuple[Any, ...]], variables: list[Any], apply: Callable[[list[Any]], None]
) -> Callable[..., tuple[Any, ...]]:
    """Record, compute, differentiate, change the variables, then the other state."""
    start: Callable[..., Any]
    finish: Callable[[Any], tuple[Any, ...]]
    gradients: list[Any] | None
    early: list[tuple[Any, int]] = []
    if isinstance(forward, Executable):
        start, finish = forward.start, forward.finish
        # What the forward step sets a trained variable to is what the optimizer starts from.
        early = forward.take_updates(variables)
        gradients = [v.gradient if id(v) in forward.reads else None for v in variables]
    else:
        start, finish, gradients = forward, tuple, None
    constant = gradients is not None and not any(g is not None for g in gradients)
    previous, ignored = ctypes.c_int(), ctypes.c_int()
    set_recording, set_training = _LIB.MXAutogradSetIsRecording, _LIB.MXAutogradSetIsTraining
    old_recording, old_training = ctypes.byref(previous), ctypes.byref(ignored)
    one = ctypes.c_int(1)

    def step(*inputs: Any) -> tuple[Any, ...]:
        if gradients is None:
            for variable in variables:
                variable._fresh_grad = False
        set_recording(one, old_recording)
        set_training(one, old_training)
        recording, training = previous.value, ignored.value
        try:
            results = start(*inputs)
        finally:
            set_recording(ctypes.c_int(recording), old_recording)
            set_training(ctypes.c_int(training), old_training)
        if not constant and (gradients is not None or on_tape(results[0])):
            backward(results[0])
        for variable, place in early:
            assign(variable, results[place])
        if gradients is None:
            apply([v.gradient if v._fresh_grad else None for v in variables])
        else:
            apply(gradients)
        return finish(results)

    return step
