"""TensorFlow's functions between the layers of Keras 2's functional models, as ops of unidl.

tf.keras 2.4 to 2.15 wrote a layer ``TFOpLambda`` or ``SlicingOpLambda`` for each, with the function's name and the
arguments of the calls; before, it was a ``TensorFlowOpLayer`` with a node of TensorFlow's graph. They are read by
closed tables: names that are not in them are refused, and nothing is looked up or evaluated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

Call = tuple[str, list[Any]]

#: Modules of TensorFlow whose functions are meant.
_MODULES = frozenset(
    {"", "math", "nn", "linalg", "image", "__operators__", "compat.v1", "compat.v1.math", "compat.v1.nn"}
)
_ALIKE = (
    "cos cosh erf exp expm1 floor ceil log log1p log_sigmoid logical_not negative reciprocal round rsqrt sigmoid sign "
    "sin sinh sqrt square tan tanh"
)
_PAIRS = (
    "add subtract multiply divide maximum minimum equal not_equal less less_equal greater greater_equal logical_and "
    "logical_or logical_xor"
)
#: Function: the op, then the function's arguments in the order of the op's. ``a=1`` need not be given, and is 1 then;
#: ``!a=1`` must be so, since the op has no such argument; ``-a`` changes no value; ``*a`` is the function's first one.
_TABLE = {
    **{name: f"{name} x" for name in _ALIKE.split()},
    "abs": "absolute x", "neg": "negative x", "acos": "arccos x", "acosh": "arccosh x", "asin": "arcsin x",
    "asinh": "arcsinh x", "atan": "arctan x", "atanh": "arctanh x", "is_finite": "isfinite x", "is_inf": "isinf x",
    "is_nan": "isnan x",
    **{name: f"{name} x y" for name in _PAIRS.split()},
    "truediv": "divide x y", "divide_no_nan": "divide_no_nan x y", "floordiv": "floor_divide x y", "pow": "power x y",
    "floormod": "mod x y", "mod": "mod x y", "atan2": "arctan2 y x", "scalar_mul": "multiply scalar x",
    "eq": "equal self other", "ne": "not_equal self other", "radd": "add x *y", "rsub": "subtract x *y",
    "rmul": "multiply x *y", "rdiv": "divide x *y", "rtruediv": "divide x *y", "rpow": "power x *y",
    "rfloordiv": "floor_divide x *y", "rmod": "mod x *y", "rmatmul": "matmul x *y",
    **{name: f"{name} features" for name in ("relu", "relu6", "elu", "selu", "softplus", "softsign")},
    "leaky_relu": "leaky_relu features alpha=0.2", "gelu": "gelu features approximate=false",
    "silu": "silu features !beta=1", "swish": "silu features !beta=1", "softmax": "softmax logits axis=-1",
    "log_softmax": "log_softmax logits axis=-1",
    "clip_by_value": "clip t clip_value_min clip_value_max", "cast": "cast x dtype",
    **{f"reduce_{name}": f"{name} input_tensor axis=null keepdims=false" for name in
       ("sum", "mean", "max", "min", "prod", "any", "all", "std", "logsumexp")},
    "reduce_variance": "var input_tensor axis=null keepdims=false",
    "argmax": "argmax input axis=0 -output_type", "argmin": "argmin input axis=0 -output_type",
    "cumsum": "cumsum x axis=0 !exclusive=false !reverse=false", "concat": "concatenate values axis",
    "stack": "stack values axis=0", "unstack": "unstack value num=null axis=0", "tile": "tile input multiples",
    "convert_to_tensor": "convert_to_tensor value -dtype -dtype_hint", "identity": "convert_to_tensor input",
    "stop_gradient": "stop_gradient input", "expand_dims": "expand_dims input axis", "reshape": "reshape tensor shape",
    "squeeze": "squeeze input axis=null", "transpose": "transpose a perm=null !conjugate=false",
    "repeat": "repeat input repeats axis=null", "reverse": "flip tensor axis", "roll": "roll input shift axis",
    "where": "where condition x y", "zeros_like": "zeros_like input dtype=null",
    "broadcast_to": "broadcast_to input shape", "ones_like": "ones_like input dtype=null",
    "gather": "take params indices axis=0 !batch_dims=0 -validate_indices",
    "one_hot": 'one_hot indices depth axis=-1 dtype="float32" !on_value=1 !off_value=0',
    "depth_to_space": 'depth_to_space input block_size !data_format="NHWC"',
    "space_to_depth": 'space_to_depth input block_size !data_format="NHWC"',
}  # fmt: skip


def call_of(name: str, function: Any, first: Any, rest: dict[str, Any]) -> Call:
    """The op, and its arguments, that a call of a function of TensorFlow means.

    Args:
        name: of the layer, for errors.
        function: the function's name, such as ``math.reduce_sum``.
        first: the first argument.
        rest: the others by name; those that are None are as if they were left out.

    Raises:
        ValueError: for a function, or an argument, that is not in the table.
    """
    module, _, short = str(function).rpartition(".")
    if module not in _MODULES or (short not in _TABLE and short not in _SPECIAL):
        raise ValueError(
            f"Layer {name!r} calls TensorFlow's function tf.{function}, which is none of those that are read. Save the "
            "model with a layer of your own in its place, and pass its class in custom_objects."
        )
    rest = {k: v for k, v in rest.items() if v is not None and k != "name"}
    try:
        return _SPECIAL[short](first, rest) if short in _SPECIAL else _plain(_TABLE[short], first, rest)
    except (KeyError, TypeError) as error:
        problem: Any = f"lacks the argument {error}" if isinstance(error, KeyError) else error
    except ValueError as error:
        problem = error
    raise ValueError(f"Layer {name!r} calls TensorFlow's function tf.{function} in a way that is not known: {problem}.")


def _plain(entry: str, first: Any, rest: dict[str, Any]) -> Call:
    op, *words = entry.split()
    args: list[Any] = []
    left = dict(rest)
    marked = next((word for word in words if word[0] == "*"), words[0])
    for word in words:
        name, said, default = word.lstrip("!-*").partition("=")
        if word[0] == "-":
            left.pop(name, None)
            continue
        value = first if word == marked else left.pop(name, json.loads(default)) if said else left.pop(name)
        if word[0] != "!":
            args.append(value)
        elif value != json.loads(default):
            raise ValueError(f"{name}={value!r} has no counterpart")
    if left:
        raise ValueError(f"the arguments {sorted(left)} have no counterpart")
    return op, args


# -- functions with arguments that mean something else here ------------------------------------------


def _taken(rest: dict[str, Any], *names: str) -> list[Any]:
    """The values of arguments, None where nothing is said; there must be no others that say something."""
    if other := [k for k, v in rest.items() if k not in names and v not in (False, "")]:
        raise ValueError(f"the arguments {sorted(other)} have no counterpart")
    return [rest.get(name) for name in names]


def _getitem(first: Any, rest: dict[str, Any]) -> Call:
    (spec,) = _taken(rest, "slice_spec")
    keys = [_key(part) for part in (spec if isinstance(spec, list) else [spec])]
    return "getitem", [first, {"class_name": "__tuple__", "config": keys}]


def _key(part: Any) -> Any:
    if isinstance(part, dict) and part.get("class_name") == "__ellipsis__":
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(part, dict) and {"start", "stop", "step"} >= part.keys():
        return {"class_name": "__slice__", "config": {k: part.get(k) for k in ("start", "stop", "step")}}
    return part


def _bias(first: Any, rest: dict[str, Any]) -> Call:
    second, form = _taken(rest, "bias", "data_format")
    if form not in (None, "NHWC", "channels_last"):
        raise ValueError(f"data_format={form!r} has no counterpart")
    return "add", [first, second]


def _matmul(first: Any, rest: dict[str, Any]) -> Call:
    second, *turned = _taken(rest, "b", "transpose_a", "transpose_b")
    if not any(turned):
        return "matmul", [first, second]
    left, right = "...ji" if turned[0] else "...ij", "...kj" if turned[1] else "...jk"
    return "einsum", [f"{left},{right}->...ik", [first, second]]


def _split(first: Any, rest: dict[str, Any]) -> Call:
    sizes, axis, _ = _taken(rest, "num_or_size_splits", "axis", "num")
    if isinstance(sizes, list):  # of the parts; the op takes the places between them
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise ValueError(f"the sizes {sizes} are not known")
        sizes = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return "split", [first, sizes, axis or 0]


def _pad(first: Any, rest: dict[str, Any]) -> Call:
    widths, mode, value = _taken(rest, "paddings", "mode", "constant_values")
    mode = str(mode or "constant").lower()
    return "pad", [first, widths, mode, *([value or 0] if mode == "constant" else [])]


def _normalize(first: Any, rest: dict[str, Any]) -> Call:
    """TensorFlow bounds the sum of squares, the op its root."""
    axis, epsilon = _taken(rest, "axis", "epsilon")
    if not isinstance(axis, (int, list)) or (isinstance(axis, list) and len(axis) != 1):
        raise ValueError(f"axis={axis} is not one axis")
    bound = 1e-12 if epsilon is None else float(epsilon)
    return "normalize", [first, axis[0] if isinstance(axis, list) else axis, 2, math.sqrt(bound)]


def _turned(first: Any, rest: dict[str, Any]) -> Call:
    _taken(rest)
    return "swapaxes", [first, -1, -2]


_SPECIAL: dict[str, Callable[[Any, dict[str, Any]], Call]] = {
    "bias_add": _bias, "getitem": _getitem, "matmul": _matmul, "split": _split, "pad": _pad, "l2_normalize": _normalize,
    "matrix_transpose": _turned,
}  # fmt: skip
