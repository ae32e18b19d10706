"""Binding a declared op to the backend: the function that users call.

The eager path is generated for each op and does a type test, at most one dtype test, and the
native call. Ops declared `checked` look up first whether their rule has accepted such shapes before.
Everything else (conversion, promotion, recording, errors) is in `_slow` and `_explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unidl._state import state
from unidl.backend import active
from unidl.backend.detours import detoured
from unidl.dtypes import ALL, COMPLEX, FLOATS, INTEGERS, dtype_name, floatx, result_dtype, to_float, weak_kind
from unidl.errors import AxisError, GraphError, OpError, UntraceableError, describe
from unidl.graph.symbolic import Dim, Node, SymbolicTensor, TensorSpec, symbols
from unidl.ops._declare import TABLE, Op

#: How many combinations of shapes and attributes that fit are remembered for each op whose rule runs first.
_REMEMBERED = 4096
_NATIVE_FLOATS = frozenset(native for name, native in active.dtypes.items() if name in FLOATS or name in COMPLEX)


def bind(op: Op) -> Any:
    """Generate the public function of `op` for the active backend."""
    namespace: dict[str, Any] = {
        "_op": op,
        "_f": active.table.get(op.name, op.rule if op.kind == "composite" else None),
        "_types": active.tensor_types,
        "_floats": _NATIVE_FLOATS,
        "_state": state,
        "_slow": _slow,
        "_recover": _recover,
        "_symbolic": _symbolic,
    }
    if namespace["_f"] is None:
        namespace["_f"] = _missing(op)
    head = []
    for name, parameter in op.signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in head:
            head.append("*")
        if parameter.default is parameter.empty:
            head.append(name)
        else:
            namespace[f"_default_{name}"] = parameter.default
            head.append(f"{name}=_default_{name}")
    arguments = ", ".join(op.parameters)
    packed = f"({arguments}{',' if len(op.parameters) == 1 else ''})"
    source = [f"def {op.name}({', '.join(head)}):"]
    if "dtype" in op.parameters:
        namespace["_known_dtype"], namespace["_names"] = _known_dtype, frozenset(ALL)
        source += [
            "    if dtype is not None and (dtype.__class__ is not str or dtype not in _names):",
            f"        dtype = _known_dtype(_op, {packed}, dtype)",
        ]
    test = _fast_test(op)
    run = [
        "try:",
        f"    return _f({arguments})",
        "except Exception as error:",
        f"    if _symbolic(_op, {packed}):",
        f"        return _slow(_op, _f, {packed})",
        f"    return _recover(_op, _f, {packed}, error)",
    ]
    if test and op.checked:
        namespace["_good"] = set()
        source += [
            f"    if {test}:",
            "        try:",
            f"            _case = ({_key(op)})",
            "            _fits = _case in _good",
            "        except TypeError:  # an attribute in a list",
            "            _case, _fits = None, False",
            "        if not _fits:",
            f"            _result = _slow(_op, _f, {packed})",
            f"            if _case is not None and len(_good) < {_REMEMBERED}:",
            "                _good.add(_case)",
            "            return _result",
            *(f"        {line}" for line in run),
        ]
    elif test:
        source += [f"    if {test}:", *(f"        {line}" for line in run)]
    source.append(f"    return _slow(_op, _f, {packed})")
    exec(compile("\n".join(source), f"<unidl.ops.{op.name}>", "exec"), namespace)
    public = namespace[op.name]
    public.__doc__, public.__module__ = op.rule.__doc__, op.rule.__module__
    public.__annotations__ = dict(getattr(op.rule, "__annotations__", {}))
    public.op = op
    return public


def _key(op: Op) -> str:
    """The text of what the rule of `op` depends on: shapes and dtypes of tensors, and all attributes."""
    parts = []
    for name in op.parameters:
        kind = op.tensor_parameters.get(name)
        if kind is None:
            parts.append(name)
        elif kind == "optional":
            parts.append(f"{name} if {name} is None else ({name}.shape, {name}.dtype)")
        else:
            parts.append(f"{name}.shape, {name}.dtype")
    return ", ".join(parts) + ","


def _fast_test(op: Op) -> str:
    tests = ["_state.plain"]
    for name, kind in op.tensor_parameters.items():
        if kind == "many":
            return ""
        native = f"type({name}) in _types"
        tests.append(f"({name} is None or {native})" if kind == "optional" else native)
    optional = {n for n, k in op.tensor_parameters.items() if k == "optional"}
    if len(op.promote) > 1:
        first = op.promote[0]
        for name in op.promote[1:]:
            same = f"{name}.dtype is {first}.dtype"
            tests.append(f"({name} is None or {same})" if name in optional else same)
    if op.floating:
        for name in op.promote[:1] or tuple(op.tensor_parameters):
            test = f"{name}.dtype in _floats"
            tests.append(f"({name} is None or {test})" if name in optional else test)
    return " and ".join(tests)


def _missing(op: Op) -> Any:
    def missing(*args: Any) -> Any:
        raise OpError(f"{op.name}: the {active.name} backend has no implementation of this op, and it is a primitive.")

    return missing


def _known_dtype(op: Op, values: tuple[Any, ...], dtype: Any) -> str:
    """The name of the dtype that an op was asked for."""
    try:
        return dtype_name(dtype)
    except (ValueError, TypeError) as error:
        raise _named(op, values, OpError(f"`dtype`: {error}")) from None


def _slow(op: Op, implementation: Any, values: tuple[Any, ...]) -> Any:
    """Record if anything is symbolic; otherwise convert, promote and run."""
    try:
        if state.autocast is not None or state.scope is not None:
            values = read_variables(op, values)
        if state.trace is not None or _symbolic(op, values):
            return record(op, values)
        prepared = _prepare(op, values, _native, _cast_native)
        if op.checked and (complaint := _complaint(op, prepared)) is not None:
            raise complaint
    except GraphError:
        raise
    except ValueError as error:
        raise _named(op, values, error) from None
    try:
        return implementation(*prepared)
    except Exception as error:
        return _recover(op, implementation, tuple(prepared), error, values)


def _has_symbol(op: Op, name: str, value: Any) -> bool:
    kind = op.tensor_parameters.get(name)
    if kind is None:
        return next(symbols(value), None) is not None
    if kind == "many":
        return (
            any(type(v) is SymbolicTensor for v in value)
            if isinstance(value, (list, tuple))
            else type(value) is SymbolicTensor
        )
    return type(value) is SymbolicTensor


def _symbolic(op: Op, values: tuple[Any, ...]) -> bool:
    """Whether anything symbolic is among the arguments: a tensor, or the size of one."""
    return any(_has_symbol(op, name, v) for name, v in zip(op.parameters, values, strict=True))


def record(op: Op, values: tuple[Any, ...]) -> Any:
    """Add a node for `op` to the graph and return its symbolic outputs."""
    from unidl.graph.trace import trace_composite

    trace = state.trace
    values = tuple(_prepare(op, values, as_symbol, _cast_symbol))
    _check_attributes(op, values)
    path = trace.path if trace is not None else ""
    if op.kind == "composite":
        inner, specs = trace_composite(op, values)
        node = Node(op, values, specs, path, inner)
    else:
        node = Node(op, values, op.rule(*values), path)
    if trace is not None:
        trace.nodes.append(node)
    return node.result


# -- conversion and promotion ----------------------------------------------------------------------


def host_array(value: Any, dtype: str | None = None) -> np.ndarray:
    """A NumPy array of `value`; Python numbers and lists get unidl's default dtypes.

    Raises:
        OpError: for strings, objects and ragged lists.
    """
    plain = not isinstance(value, (np.ndarray, np.generic))
    if plain and active.is_tensor(value):
        value = active.to_numpy(value)
        plain = False
    if plain and isinstance(value, (list, tuple)):
        value = [active.to_numpy(v) if active.is_tensor(v) else v for v in value]
        plain = not any(isinstance(v, (np.ndarray, np.generic)) for v in value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise OpError(
            f"cannot make a tensor of a ragged list ({error}); pad it, e.g. with utils.pad_sequences."
        ) from None
    if array.dtype.kind in "OUSMm":
        example = f" (first element {array.flat[0]!r})" if array.size else ""
        raise OpError(
            f"cannot make a tensor of a {type(value).__name__} with NumPy dtype {array.dtype}{example}: tensors hold "
            "numbers and bools. Encode strings and objects first."
        )
    if dtype is None and plain:
        kind = array.dtype.kind
        if kind == "f":
            dtype = floatx()
        elif kind in "iu" and (array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)):
            dtype = "int32"
        elif kind == "c":
            dtype = "complex64"
    if dtype is not None and dtype_name(array.dtype) != dtype:
        array = array.astype(numpy_dtype(dtype))
    return array


def numpy_dtype(name: str) -> Any:
    """The NumPy dtype of a unidl dtype; bfloat16 comes from `ml_dtypes`."""
    if name == "bfloat16":
        try:
            import ml_dtypes
        except ImportError:
            raise ImportError("bfloat16 arrays on the host need the package ml_dtypes: pip install ml_dtypes") from None
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def dtype_of(value: Any) -> str:
    """unidl's dtype of a symbolic tensor, native tensor or NumPy value."""
    if type(value) is SymbolicTensor:
        return value.dtype
    if active.is_tensor(value):
        return active.dtype(value)
    if type(value) is Dim:
        return "int32"
    return dtype_name(host_array(value).dtype)


def _native(value: Any, dtype: str | None) -> Any:
    if active.is_tensor(value):
        return value if dtype is None or active.dtype(value) == dtype else active.cast(value, dtype)
    return active.to_tensor(host_array(value, dtype), dtype)


def as_symbol(value: Any, dtype: str | None = None) -> SymbolicTensor:
    """`value` as a symbolic tensor: variables and constants become leaves of the graph."""
    if type(value) is not SymbolicTensor:
        if isinstance(value, active.Variable):
            value = _variable_leaf(value)
        elif type(value) is Dim:  # a size as a number: the only element of a range that starts there
            value = record(TABLE["reshape"], (record(TABLE["arange"], (value, value + 1, 1, "int32")), ()))  # type: ignore[operator]
        else:
            if active.is_tensor(value) and state.trace is not None:
                state.trace.check_constant(value)
            value = constant_leaf(value if active.is_tensor(value) else host_array(value, dtype))
    return value if dtype is None or value.dtype == dtype else _cast_symbol(value, dtype)


def constant_leaf(value: Any) -> SymbolicTensor:
    """A native tensor or array that is known to be a constant of the graph that takes it."""
    if active.is_tensor(value):
        leaf = SymbolicTensor(active.shape(value), active.dtype(value))
    else:
        leaf = SymbolicTensor(value.shape, dtype_name(value.dtype))
    leaf.value = value
    return leaf


def _variable_leaf(variable: Any) -> SymbolicTensor:
    if state.trace is not None:
        return state.trace.leaf(variable)
    leaf = SymbolicTensor(active.shape(variable), active.dtype(variable), name=variable.path)
    leaf.value = variable
    return leaf


def _cast_symbol(value: SymbolicTensor, dtype: str) -> SymbolicTensor:
    return record(TABLE["cast"], (value, dtype))


def read_variable(variable: Any) -> Any:
    """What `variable` is to the code that runs: the scope's value for it, in the dtype that the layer computes in."""
    value = variable if state.scope is None else state.scope.get(variable)
    dtype = state.autocast
    if dtype is None or not getattr(variable, "autocast", True):
        return value
    if dtype_of(value) == dtype or dtype_of(value) not in FLOATS:
        return value
    if state.trace is not None or type(value) is SymbolicTensor:
        return _cast_symbol(as_symbol(value), dtype)
    return active.cast(value, dtype)


def read_variables(op: Op, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments with the variables among them as they are to be read."""

    def read(value: Any) -> Any:
        return read_variable(value) if isinstance(value, active.Variable) else value

    def argument(name: str, value: Any) -> Any:
        kind = op.tensor_parameters.get(name)
        if kind is None:
            return value
        return [read(v) for v in value] if kind == "many" and isinstance(value, (list, tuple)) else read(value)

    return tuple([argument(n, v) for n, v in zip(op.parameters, values, strict=True)])


def _cast_native(value: Any, dtype: str) -> Any:
    return active.cast(value, dtype)


def _prepare(op: Op, values: tuple[Any, ...], convert: Any, cast: Any) -> list[Any]:
    """Arguments with tensor parameters converted and promoted as the declaration says."""
    prepared = list(values)
    group: list[tuple[int, int | None]] = []  # positions (argument, place in a list) that are promoted
    for position, name in enumerate(op.parameters):
        kind = op.tensor_parameters.get(name)
        if kind is None:
            continue
        value = values[position]
        promoted = name in op.promote or (op.floating and not op.promote)
        if kind == "many":
            if not isinstance(value, (list, tuple)):
                # A single array stands for the list of its slices, as in NumPy.
                value = list(value) if hasattr(value, "__iter__") else [value]
            prepared[position] = list(value)
            for place, item in enumerate(value):
                if item is None:
                    raise OpError(f"argument `{name}` holds None at place {place}.")
                if promoted:
                    group.append((position, place))
                else:
                    prepared[position][place] = convert(item, None)
        elif value is None:
            if kind == "one":
                raise OpError(f"argument `{name}` is None; a tensor is expected.")
        elif promoted:
            group.append((position, None))
        else:
            prepared[position] = convert(value, None)
    if group:
        _promote(op, prepared, group, convert)
    return prepared


def _promote(op: Op, prepared: list[Any], group: list[tuple[int, int | None]], convert: Any) -> None:
    def get(where: tuple[int, int | None]) -> Any:
        value = prepared[where[0]]
        return value if where[1] is None else value[where[1]]

    def put(where: tuple[int, int | None], value: Any) -> None:
        if where[1] is None:
            prepared[where[0]] = value
        else:
            prepared[where[0]][where[1]] = value

    kinds, tensors = [], 0
    for where in group:
        value = get(where)
        kind = weak_kind(value)
        if kind is None:
            tensors += 1
            if not hasattr(value, "dtype"):
                put(where, value := convert(value, None))
            kind = dtype_of(value)
        kinds.append(kind)
    dtype = result_dtype(*kinds)
    if op.floating:
        dtype = to_float(dtype)
    for where, kind in zip(group, kinds, strict=True):
        value = get(where)
        if op.scalars and tensors and weak_kind(value) is not None:
            put(
                where,
                float(value) if dtype in FLOATS else int(value) if _exact(value, dtype) else convert(value, dtype),
            )
        elif kind != dtype or type(value) is not SymbolicTensor:
            put(where, convert(value, dtype))


def _exact(value: Any, dtype: str) -> bool:
    """Whether the number `value` is one of the integers of `dtype`; others wrap around when they are converted."""
    if dtype not in INTEGERS:
        return False
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max)


def prepared_value(variable: Any, value: Any) -> Any:
    """`value` as something that can be assigned to `variable`: same dtype, checked shape."""
    convert = _native if state.trace is None and type(value) is not SymbolicTensor else as_symbol
    prepared = convert(value, active.dtype(variable))
    have = prepared.shape if type(prepared) is SymbolicTensor else active.shape(prepared)
    want = tuple(active.shape(variable))
    if len(have) != len(want) or any(
        a is not None and b is not None and a != b for a, b in zip(have, want, strict=True)
    ):
        raise ValueError(
            f"Variable {variable.path!r} has shape {want}; a value of shape {tuple(have)} cannot be assigned to it."
        )
    return prepared


# -- errors ----------------------------------------------------------------------------------------


def _named(op: Op, values: tuple[Any, ...], error: ValueError) -> ValueError:
    """`error` with the op that was called, its arguments and the layer.

    An error that an op inside a composite has named already is given the composite's name: that is what was called.
    """
    part = getattr(error, "op", "")
    if part == op.name or (part and op.kind != "composite"):
        return error
    arguments = ", ".join(f"{n}={describe(v)}" for n, v in zip(op.parameters, values, strict=True))
    where = f" in layer {state.trace.path!r}" if state.trace is not None and state.trace.path else ""
    message = getattr(error, "message", str(error))
    better = (AxisError if isinstance(error, AxisError) else OpError)(f"ops.{op.name}({arguments}){where}: {message}")
    better.op, better.message = op.name, message
    return better


def _recover(
    op: Op, implementation: Any, values: tuple[Any, ...], error: Exception, given: tuple[Any, ...] | None = None
) -> Any:
    """What to do after the engine's `error`: raise the op's own complaint, or compute in another dtype.

    Messages show the arguments as they were `given`, before they were promoted.
    """
    better = _explain(op, values, error, given or values)
    if better is not None:
        raise better from error
    if active.detours and not isinstance(error, UntraceableError):
        symbolic = op.public(*[_as_spec(v) if n in op.tensor_parameters else v for n, v in zip(op.parameters, values)])
        outputs = symbolic if isinstance(symbolic, (tuple, list)) else [symbolic]
        results = detoured(active, implementation, values, [o.dtype for o in outputs])
        if results is not NotImplemented:
            return results
    raise error


def _explain(op: Op, values: tuple[Any, ...], error: Exception, given: tuple[Any, ...]) -> Exception | None:
    """What to raise instead of an engine's `error`: the op's own complaint, if it has one.

    The shape rule is run on the arguments' shapes; if it accepts them the engine's error stands.
    """
    if isinstance(error, UntraceableError):
        return None
    if isinstance(error, OpError) and op.kind == "composite":
        try:
            _check_attributes(op, values)  # recording does that first
        except OpError as attribute:
            return _named(op, given, attribute)
        return _named(op, given, error)
    complaint = _complaint(op, values)
    return None if complaint is None else _named(op, given, complaint)


_PLAIN: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "int": ("an int", lambda v: hasattr(v, "__index__")),
    "float": ("a number", lambda v: hasattr(v, "__float__") or hasattr(v, "__index__")),
    "str": ("a string", lambda v: isinstance(v, str)),
}


def _check_attributes(op: Op, values: Sequence[Any]) -> None:
    """Refuse arguments that are not the numbers and strings that their annotations ask for."""
    for (name, parameter), value in zip(op.signature.parameters.items(), values, strict=True):
        kind, _, optional = str(parameter.annotation).partition(" | ")
        if kind in _PLAIN and optional in ("", "None") and not (optional and value is None):
            wanted, fits = _PLAIN[kind]
            if not fits(value):
                raise OpError(f"`{name}` must be {wanted}{' or None' if optional else ''}, not {describe(value)}.")


def _complaint(op: Op, values: Sequence[Any]) -> ValueError | None:
    """What the op's rule says against arguments of these shapes and dtypes; None if nothing."""
    previous, state.trace = state.trace, None
    try:
        specs = [_as_spec(v) if n in op.tensor_parameters else v for n, v in zip(op.parameters, values, strict=True)]
        _check_attributes(op, specs)
        op.rule(*specs)
    except ValueError as complaint:  # an OpError, or an attribute that means nothing
        return complaint
    except Exception:  # the rule cannot judge these arguments: the engine's own error is shown
        return None
    finally:
        state.trace = previous
    return None


def _as_spec(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_as_spec(v) for v in value]
    if value is None or weak_kind(value) is not None:
        return value
    return SymbolicTensor(tuple(active.shape(value)), active.dtype(value))


__all__ = ["TensorSpec", "as_symbol", "bind", "dtype_of", "host_array", "numpy_dtype", "prepared_value", "record"]
