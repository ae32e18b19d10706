"""Gradients for everybody: of functions of tensors and of variables, on every engine that has them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from unidl import tree
from unidl._state import state
from unidl.backend import active
from unidl.errors import UntraceableError
from unidl.graph.symbolic import SymbolicTensor, TensorSpec


def value_and_grad(
    fn: Callable[..., Any], variables: Any = None, *, argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns what `fn` returns, and its gradients.

    Args:
        fn: returns a scalar loss, or ``(loss, aux)`` if `has_aux`.
        variables: a list of variables, or a layer or model (its trainable ones): differentiate by
            these. None: by the arguments `argnums`.
        argnums: position(s) of the arguments to differentiate by; each may be a nested structure.
        has_aux: whether `fn` returns a pair, whose second half is passed through.

    Returns:
        A function ``(*args, **kwargs) -> (value, gradients)``. By variables the gradients are a list;
        by arguments they are nested like the argument (a tuple of such for several). None stands
        where the loss does not depend on something.

    Raises:
        ValueError: when called, if the loss is not a scalar.

    Example:
        >>> import unidl
        >>> from unidl import ops
        >>> value, slope = unidl.value_and_grad(lambda x: ops.sum(x * x))(ops.array([1.0, 3.0]))
        >>> float(value), [float(s) for s in slope]
        (10.0, [2.0, 6.0])
    """
    places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    by_variables = variables is not None

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if state.trace is not None:
            raise UntraceableError(
                "value_and_grad cannot be recorded in a graph; differentiate outside of jit and layers."
            )
        targets = _variables(variables) if by_variables else []
        inputs: list[Any] = []
        if not by_variables:
            for place in places:
                if place >= len(args):
                    raise ValueError(f"argnums names argument {place}, but {len(args)} were given.")
            inputs = [_floating(leaf) for place in places for leaf in tree.flatten(args[place])]

        def run(*values: Any) -> tuple[Any, Any]:
            full = list(args)
            if values:
                leaves = iter(values)
                for place in places:
                    full[place] = tree.map_structure(lambda _: next(leaves), args[place])
            result = fn(*full, **kwargs)
            loss, aux = result if has_aux else (result, None)
            return _scalar(loss, fn), aux

        if by_variables and not targets:  # everything is frozen: engines disagree on what that means
            loss, aux = run()
            return ((loss, aux) if has_aux else loss), []
        (loss, aux), by_inputs, found = active.differentiate(run, inputs, targets)
        value = (loss, aux) if has_aux else loss
        if by_variables:
            return value, list(found)
        leaves = iter(by_inputs)
        gradients = tuple(tree.map_structure(lambda _: next(leaves), args[place]) for place in places)
        return value, gradients[0] if isinstance(argnums, int) else gradients

    return wrapper


def grad(
    fn: Callable[..., Any], variables: Any = None, *, argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """As `value_and_grad`, but only the gradients (with `has_aux`: gradients and aux).

    Example:
        >>> import unidl
        >>> from unidl import ops
        >>> float(unidl.grad(ops.tanh)(ops.array(0.0)))
        1.0
    """
    both = value_and_grad(fn, variables, argnums=argnums, has_aux=has_aux)

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return wrapper


def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """What `fun` returns, and its derivative along a direction (forward mode where the engine has it).

    Args:
        fun: takes and returns tensors, or nested structures of them.
        primals: list or tuple of the arguments.
        tangents: the direction: as `primals`, in structure and shapes.
        has_aux: whether `fun` returns a pair, whose second half is passed through.

    Returns:
        ``(outputs, derivatives)``, or ``(outputs, derivatives, aux)``; derivatives are nested as the outputs, 0 for
        outputs that are no floats or do not depend on `primals`.

    Example:
        >>> from unidl import ops
        >>> value, slope = ops.jvp(lambda x: x * x, (ops.array(3.0),), (ops.array(1.0),))  # takes gradients: grad()
        >>> float(value), float(slope)
        (9.0, 6.0)
    """
    from unidl.ops import convert_to_tensor

    if state.trace is not None:
        raise UntraceableError("jvp cannot be recorded in a graph; differentiate outside of jit and layers.")
    for what, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (list, tuple)):
            raise TypeError(f"jvp: `{what}` must be a list or tuple, not {type(given).__name__}.")
    points = [_floating(leaf, "jvp") for leaf in tree.flatten(primals)]
    directions = [
        convert_to_tensor(leaf, active.dtype(points[i]) if i < len(points) else None)
        for i, leaf in enumerate(tree.flatten(tangents))
    ]
    shapes = [[tuple(active.shape(v)) for v in group] for group in (points, directions)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"jvp: `primals` have shapes {shapes[0]}, `tangents` {shapes[1]}.")
    returned: list[Any] = []

    def run(*values: Any) -> list[Any]:
        result = fun(*tree.pack_sequence_as(primals, values))
        output, aux = result if has_aux else (result, None)
        flat = [convert_to_tensor(leaf) for leaf in tree.flatten(output)]
        returned[:] = [output, aux]
        return flat

    outputs, derivatives = active.jvp(run, points, directions)
    output, aux = returned
    pair = tree.pack_sequence_as(output, outputs), tree.pack_sequence_as(output, derivatives)
    return (*pair, aux) if has_aux else pair


def jit(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors: recorded once for each signature, then replayed.

    On TensorFlow it is a `tf.function`. Elsewhere the calls of `unidl.ops` and layers are recorded as a
    graph for the shapes and dtypes that came, and run as the backend runs graphs. Arguments that
    are no tensors must be hashable; each value has a recording of its own. A function that cannot be
    recorded (it needs values, or takes gradients itself) is called as it is.

    Example:
        >>> import unidl
        >>> from unidl import ops
        >>> double = unidl.jit(lambda x: x + x)
        >>> [float(v) for v in double(ops.array([1.0, 2.0]))]
        [2.0, 4.0]
    """
    if active.traces_python:
        return active.jit(fn)
    recordings: dict[Any, Callable[..., Any] | None] = {}

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        structure = (args, kwargs)
        flat = [_tensor(leaf) for leaf in tree.flatten(structure)]
        if state.trace is not None or any(type(leaf) is SymbolicTensor for leaf in flat):
            return fn(*args, **kwargs)
        tensors = [leaf for leaf in flat if active.is_tensor(leaf)]
        key = tuple(
            (active.dtype(v), tuple(active.shape(v))) if active.is_tensor(v) else ("static", type(v), v) for v in flat
        ) + (_layout(structure),)
        if key not in recordings:
            recordings[key] = _record(fn, structure, flat)
        run = recordings[key]
        return fn(*args, **kwargs) if run is None else run(*tensors)

    return wrapper


def _record(fn: Callable[..., Any], structure: Any, flat: list[Any]) -> Callable[..., Any] | None:
    from unidl.graph.trace import trace

    specs = [TensorSpec(tuple(active.shape(v)), active.dtype(v)) if active.is_tensor(v) else v for v in flat]

    def call(*leaves: Any) -> Any:
        args, kwargs = tree.pack_sequence_as(structure, leaves)
        return fn(*args, **kwargs)

    try:
        graph = trace(call, tuple(specs), owner=fn, name=getattr(fn, "__name__", "function"))
    except UntraceableError:
        return None
    run = active.executable(graph)
    return lambda *tensors: graph.pack(run(*tensors))


def no_grad() -> Any:
    """A context manager in which nothing is recorded for gradients."""
    return active.no_grad()


def _variables(given: Any) -> list[Any]:
    if hasattr(given, "trainable_variables"):
        return list(given.trainable_variables)
    variables = tree.flatten(given)
    for v in variables:
        if not isinstance(v, active.Variable):
            raise TypeError(f"value_and_grad: `variables` holds {type(v).__name__}, not a variable.")
    return variables


def _tensor(leaf: Any) -> Any:
    import numpy as np

    if isinstance(leaf, np.ndarray):
        from unidl.ops import convert_to_tensor

        return convert_to_tensor(leaf)
    return leaf


def _floating(leaf: Any, what: str = "value_and_grad") -> Any:
    from unidl.dtypes import FLOATS
    from unidl.ops import convert_to_tensor

    tensor = convert_to_tensor(leaf)
    if active.dtype(tensor) not in FLOATS:
        raise TypeError(
            f"{what} differentiates by floats, not by {active.dtype(tensor)}{list(active.shape(tensor))}: "
            "cast the argument, or choose others with argnums."
        )
    return tensor


def _scalar(loss: Any, fn: Any) -> Any:
    from unidl.ops import convert_to_tensor

    loss = convert_to_tensor(loss)
    if len(active.shape(loss)):
        raise ValueError(
            f"value_and_grad: {getattr(fn, '__name__', 'the function')} must return a scalar, not shape "
            f"{tuple(active.shape(loss))}; take the mean or the sum, or pass has_aux=True for more results."
        )
    return loss


def _layout(structure: Any) -> Any:
    if isinstance(structure, dict):
        return tuple((k, _layout(structure[k])) for k in sorted(structure))
    if isinstance(structure, (list, tuple)):
        return (type(structure).__name__, *(_layout(v) for v in structure))
    return None
