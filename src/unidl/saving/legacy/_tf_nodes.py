"""Nodes of TensorFlow's graph as calls of its functions: what tf.keras 2.0 to 2.3 kept of ops between layers."""

from __future__ import annotations

import json
from typing import Any

#: Kinds of nodes: the function, and the names of its arguments in the order of the node's inputs.
_NODES = {
    **{kind: f"{function} x" for kind, function in {
        "Abs": "abs", "Ceil": "ceil", "Cos": "cos", "Erf": "erf", "Exp": "exp", "Expm1": "expm1", "Floor": "floor",
        "Log": "log", "Log1p": "log1p", "LogicalNot": "logical_not", "Neg": "neg", "Reciprocal": "reciprocal",
        "Rsqrt": "rsqrt", "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Sqrt": "sqrt", "Square": "square",
        "Tan": "tan", "Tanh": "tanh", "Cast": "cast", "Identity": "identity", "StopGradient": "stop_gradient",
        "Relu": "relu", "Relu6": "relu6", "Elu": "elu", "Selu": "selu", "Softplus": "softplus", "Softsign": "softsign",
        "Softmax": "softmax", "LogSoftmax": "log_softmax", "LeakyRelu": "leaky_relu", "Shape": "shape",
        "Squeeze": "squeeze",
    }.items()},
    **{kind: f"{function} x y" for kind, function in {
        "Add": "add", "AddV2": "add", "Sub": "subtract", "Mul": "multiply", "RealDiv": "truediv", "Maximum": "maximum",
        "Minimum": "minimum", "Pow": "pow", "FloorDiv": "floordiv", "FloorMod": "floormod", "Equal": "equal",
        "NotEqual": "not_equal", "Less": "less", "LessEqual": "less_equal", "Greater": "greater",
        "GreaterEqual": "greater_equal", "LogicalAnd": "logical_and", "LogicalOr": "logical_or",
    }.items()},
    **{kind: f"reduce_{kind.lower()} input_tensor axis" for kind in ("Sum", "Mean", "Max", "Min", "Prod")},
    "BiasAdd": "bias_add value bias", "MatMul": "matmul a b", "BatchMatMul": "matmul a b",
    "BatchMatMulV2": "matmul a b", "Reshape": "reshape tensor shape", "ExpandDims": "expand_dims input axis",
    "Transpose": "transpose a perm", "Tile": "tile input multiples", "GatherV2": "gather params indices axis",
    "SelectV2": "where condition x y",
}  # fmt: skip
#: Attributes of nodes that are arguments of the functions.
_ATTRIBUTES = {
    "keep_dims": "keepdims", "squeeze_dims": "axis", "DstT": "dtype", "alpha": "alpha", "transpose_a": "transpose_a",
    "transpose_b": "transpose_b", "adj_x": "transpose_a", "adj_y": "transpose_b",
}  # fmt: skip
_DTYPES = {
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16", "DT_BOOL": "bool",
    "DT_INT8": "int8", "DT_INT16": "int16", "DT_INT32": "int32", "DT_INT64": "int64", "DT_UINT8": "uint8",
}  # fmt: skip


def called(name: str, config: dict[str, Any], given: list[Any]) -> tuple[str, Any, dict[str, Any]]:
    """Function, first argument and the others of a layer that is a node.

    Args:
        given: places of the tensors that the layer is called on. Its other inputs are constants in the configuration.

    Raises:
        ValueError: for nodes that are not known.
    """
    node = config.get("node_def")
    if isinstance(node, str):
        try:
            node = json.loads(node)
        except (ValueError, RecursionError):
            node = None
    if not isinstance(node, dict) or not isinstance(node.get("attr", {}), dict):
        raise ValueError(f"Layer {name!r} is a node of TensorFlow that is not described in JSON.")
    constants, inputs = dict(config.get("constants") or {}), list(given)
    for place in sorted(constants, key=int):
        inputs.insert(int(place), constants[place])
    kind = node.get("op")
    arguments = {k: _value(v) for k, v in node.get("attr", {}).items() if k in _ATTRIBUTES}
    rest = {_ATTRIBUTES[k]: v for k, v in arguments.items()}
    if kind == "ConcatV2":
        return "concat", inputs[:-1], {"axis": inputs[-1]}
    if kind == "Pack":
        return "stack", inputs, {"axis": _value(node.get("attr", {}).get("axis", {"i": 0}))}
    if kind == "StridedSlice" and len(inputs) == 4:
        return "getitem", inputs[0], {"slice_spec": _slices(name, inputs[1:], node.get("attr", {}))}
    if kind not in _NODES:
        raise ValueError(
            f"Layer {name!r} is a node {kind!r} of TensorFlow, which is none of those that are read. Save the model "
            "with a layer of your own in its place, and pass its class in custom_objects."
        )
    function, *names = _NODES[kind].split()
    if len(inputs) != len(names):
        raise ValueError(f"Layer {name!r}: a node {kind!r} of TensorFlow has {len(names)} inputs, not {len(inputs)}.")
    return function, inputs[0], {**dict(zip(names[1:], inputs[1:])), **rest}


def _value(attribute: Any) -> Any:
    """The value of an attribute as JSON has it, where large integers are texts."""
    kind, value = next(iter(attribute.items())) if isinstance(attribute, dict) and attribute else ("", "")
    if kind == "i":
        return int(str(value))
    if kind == "list" and isinstance(value, dict):
        return [int(str(v)) for v in value.get("i", [])] or None
    return _DTYPES.get(str(value)) if kind == "type" else value


def _slices(name: str, parts: list[Any], attributes: dict[str, Any]) -> list[Any]:
    """What stands in brackets, from begins, ends, steps, and the bits that say what each of them is."""
    masks = [
        _value(attributes.get(f"{kind}_mask")) or 0
        for kind in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    ]  # fmt: skip
    begins, ends, steps = parts
    if not all(isinstance(p, list) and len(p) == len(begins) and all(type(v) is int for v in p) for p in parts):
        raise ValueError(f"Layer {name!r} takes a slice whose ends are not in the file.")
    found: list[Any] = []
    for i, (begin, end, step) in enumerate(zip(begins, ends, steps)):
        no_begin, no_end, dots, new, single = (mask >> i & 1 for mask in masks)
        if dots:
            found.append({"class_name": "__ellipsis__"})
        elif new:
            found.append(None)
        elif single:
            found.append(begin)
        else:
            found.append({"start": None if no_begin else begin, "stop": None if no_end else end, "step": step})
    return found
