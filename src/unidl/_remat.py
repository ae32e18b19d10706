"""Rematerialization: what a function computed on the way is forgotten, and computed again for the gradient.

(T. Chen et al., "Training deep nets with sublinear memory cost", 2016.)
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from unidl import tree
from unidl._scopes import StatelessScope
from unidl._state import state
from unidl.backend import active
from unidl.errors import GraphError
from unidl.graph.symbolic import SymbolicTensor

_MODES = ("full", "activations", "larger_than", "list_of_layers")


class RematScope:
    """Layers made inside of it forget what they computed on the way and compute it again for the gradient.

    That costs time and saves memory.

    Args:
        mode: "full": the whole call of each layer; "activations": of activation layers, such as `ReLU`, the call, and
            of others the functions that they are given as `activation` and `recurrent_activation` (the engine's
            kernels for whole sequences excepted); "larger_than": calls whose output has more than
            `output_size_threshold` elements; "list_of_layers": layers named in `layer_names`; None: none, also inside
            of another scope. Where a layer of one's own calls an activation function is not seen: wrap it with `remat`.
        output_size_threshold: elements, the batch not counted if its size is unknown.
        layer_names: names of layers.

    Raises:
        ValueError: for any other mode.
    """

    def __init__(
        self, mode: str | None = "full", output_size_threshold: int = 1024, layer_names: Sequence[str] | None = None
    ) -> None:
        if mode is not None and mode not in _MODES:
            raise ValueError(f"RematScope: `mode` must be None or one of {list(_MODES)}, not {mode!r}.")
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = list(layer_names or ())
        self._outer: RematScope | None = None

    def __enter__(self) -> RematScope:
        self._outer, state.remat = state.remat, self
        return self

    def __exit__(self, *error: Any) -> None:
        state.remat = self._outer

    def takes(self, name: str, output_shapes: Callable[[], Any]) -> bool:
        """Whether the call of the layer `name` is one to compute again.

        Args:
            output_shapes: gives the shapes of its outputs, in any structure; asked only if they matter.
        """
        if self.mode == "larger_than":
            shapes = tree.flatten(tree.map_shape_structure(lambda s: math.prod(d or 1 for d in s), output_shapes()))
            return sum(shapes) > self.output_size_threshold
        return self.mode == "full" or (self.mode == "list_of_layers" and name in self.layer_names)


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, whose intermediate results are not kept for the gradient but computed again when it is taken.

    Eagerly and in recorded graphs alike, on engines that can (PyTorch, TensorFlow); on others it is `f` as it is. `f`
    must compute the same each time. Random numbers are drawn again the same, and what it assigns to variables counts
    once.

    Example:
        >>> import unidl
        >>> from unidl import ops
        >>> block = unidl.remat(lambda x: ops.tanh(ops.sin(x)))
        >>> print(ops.convert_to_numpy(block(ops.zeros((2,)))))
        [0. 0.]
    """

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        flat = tree.flatten((args, kwargs))
        if state.trace is not None or any(type(v) is SymbolicTensor for v in flat):
            return _recorded(f, (args, kwargs))
        places = [i for i, v in enumerate(flat) if active.is_tensor(v)]

        def on_tensors(*tensors: Any) -> Any:
            given = {**dict(enumerate(flat)), **dict(zip(places, tensors, strict=True))}
            own_args, own_kwargs = tree.pack_sequence_as((args, kwargs), list(given.values()))
            return f(*own_args, **own_kwargs)

        return active.rematerialized(_assigning_once(on_tensors))(*(flat[i] for i in places))

    return wrapper


def _assigning_once(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`; what its first run assigns to variables counts. Each further run starts from what held at the first."""
    from unidl import ops

    before: list[tuple[Any, Any]] = []
    training, autocast, around = state.training, state.autocast, state.scope

    def first(*args: Any, **kwargs: Any) -> Any:
        with StatelessScope() as scope:
            result = f(*args, **kwargs)
        for variable, value in scope.assigned():
            before.append((variable, ops.copy(variable)))
            variable.assign(value)
        return result

    def again(*args: Any, **kwargs: Any) -> Any:
        # The gradient may be taken elsewhere, and in another thread.
        here = state.training, state.autocast, state.scope
        state.training, state.autocast, state.scope = training, autocast, around
        try:
            with StatelessScope(before):
                return f(*args, **kwargs)
        finally:
            state.training, state.autocast, state.scope = here

    runs = itertools.chain((first,), itertools.repeat(again))
    return lambda *args, **kwargs: next(runs)(*args, **kwargs)


def _recorded(f: Callable[..., Any], structure: Any) -> Any:
    """One node for `f`, whose body is its graph; what it assigns to variables are further outputs."""
    from unidl.graph.bodies import Body
    from unidl.ops._structured import recomputed

    def function() -> Any:
        args, kwargs = structure
        return f(*args, **kwargs)

    body = Body(function, (), ()).run()
    variables = body.assigned()
    if variables and state.trace is None:
        raise GraphError("remat: a variable is assigned, outside of any layer or function.")
    body.outputs += [body.value_of(v) for v in variables.values()]
    captured = body.captured()
    results = list(recomputed(body.graph(captured), captured))
    if variables:
        assert state.trace is not None
        for variable, value in zip(variables.values(), results[-len(variables) :], strict=True):
            state.trace.assign(variable, value)
        results = results[: -len(variables)]
    return body.pack(results)


__all__ = ["RematScope", "remat"]
