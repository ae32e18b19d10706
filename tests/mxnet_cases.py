"""One MXNet operator at a time: nodes as files have them, which MXNet itself runs too (see test_mxnet_files.py).

A case is the operator, its attributes as text, and what it reads. Shapes are words: ``2 3`` is data of floats; after a
colon ``int5`` means integers below 5 as floats, ``i5`` the same as int32, ``pos`` numbers between 0.2 and 0.9,
``bool``; with
``w`` in front it is an array of the file.
"""

from __future__ import annotations

from typing import Any

Case = tuple[str, dict[str, str], list[str]]


def case(op: str, *inputs: str, **attributes: Any) -> Case:
    return op, {k: str(v) for k, v in attributes.items()}, list(inputs)


IMAGE, ROWS, CUBE = "2 4 7 6", "3 4", "2 3 4"


def _windows() -> list[Case]:
    cases = [
        case("Convolution", IMAGE, "w 6 4 3 3", "w 6", kernel="(3, 3)", num_filter=6),
        case("Convolution", IMAGE, "w 6 2 3 2", kernel="(3, 2)", num_filter=6, num_group=2, stride="(2, 1)",
             pad="(1, 0)",
             no_bias=True),
        case("Convolution", "2 4 9", "w 3 4 3", "w 3", kernel="(3,)", num_filter=3, dilate="(2,)", pad="[2L]"),
        case("Convolution", "1 2 4 5 4", "w 3 2 2 2 2", "w 3", kernel="(2, 2, 2)", num_filter=3),
        case("Convolution_v1", IMAGE, "w 6 4 3 3", "w 6", kernel="(3, 3)", num_filter=6, pad="(1, 1)"),
        case("_npx_convolution", IMAGE, "w 6 4 3 3", "w 6", kernel="(3, 3)", num_filter=6, layout="NCHW"),
        case("Deconvolution", IMAGE, "w 4 3 3 3", kernel="(3, 3)", num_filter=3),
        case("Deconvolution", IMAGE, "w 4 3 4 4", "w 6", kernel="(4, 4)", num_filter=6, num_group=2, stride="(2, 2)",
             pad="(1, 1)", adj="(1, 0)", no_bias=False),
        case("Deconvolution", "2 4 5", "w 4 3 3", kernel="(3,)", num_filter=3, stride="(2,)", dilate="(1,)"),
        case("UpSampling", IMAGE, scale=2, sample_type="nearest", num_args=1),
        case("UpSampling", IMAGE, "w 4 1 4 4", scale=2, sample_type="bilinear", num_filter=4, num_args=2),
        case("_contrib_BilinearResize2D", IMAGE, height=9, width=11),
        case("_contrib_BilinearResize2D", IMAGE, height=9, width=11, align_corners=False),
        case("_contrib_AdaptiveAvgPooling2D", IMAGE, output_size="(3, 4)"),
        case("_contrib_AdaptiveAvgPooling2D", IMAGE),
        case("Pooling", "2 3 8", kernel="(3,)", stride="(2,)", pool_type="max"),
        case("Pooling", "1 2 5 6 5", kernel="(2, 2, 2)", stride="(2, 2, 2)", pool_type="avg"),
        case("Pooling_v1", IMAGE, kernel="(3, 3)", stride="(2, 2)", pool_type="max"),
        case("_npx_pooling", IMAGE, kernel="(2, 2)", pool_type="avg", global_pool=True),
        case("Pooling", IMAGE, kernel="(3, 3)", stride="(2, 2)", pad="(1, 1)", pool_type="lp", p_value=2),
        case("Pooling", IMAGE, kernel="(1, 1)", pool_type="sum", global_pool=True),
        case("Pooling", IMAGE, kernel="(2, 2)", pool_type="max", global_pool=True),
        case("LRN", IMAGE, nsize=3, alpha=0.01), case("LRN", IMAGE, nsize=5, alpha=0.1, beta=0.5, knorm=1),
    ]  # fmt: skip
    for kind in ("max", "avg", "sum"):
        for convention in ("valid", "full"):
            for kernel, stride, pad in (("(3, 3)", "(2, 2)", "(0, 0)"), ("(3, 2)", "(2, 3)", "(1, 1)")):
                cases.append(
                    case("Pooling", "2 3 8 9", kernel=kernel, stride=stride, pad=pad, pool_type=kind,
                         pooling_convention=convention)
                )  # fmt: skip
    for convention in ("valid", "full"):
        cases.append(
            case("Pooling", "2 3 8 9", kernel="(3, 3)", stride="(2, 2)", pad="(1, 1)", pool_type="avg",
                 count_include_pad=False, pooling_convention=convention)
        )  # fmt: skip
    return cases


def _layers() -> list[Case]:
    norm = ["w 4", "w 4", "w 4", "w 4:pos"]
    return [
        case("FullyConnected", ROWS, "w 5 4", "w 5", num_hidden=5),
        case("FullyConnected", CUBE, "w 5 12", "w 5", num_hidden=5),
        case("FullyConnected", CUBE, "w 5 4", "w 5", num_hidden=5, flatten=False),
        case("FullyConnected", CUBE, "w 5 4", num_hidden=5, flatten=False, no_bias=True),
        case("_npx_fully_connected", CUBE, "w 5 4", "w 5", num_hidden=5, flatten=False),
        case("BatchNorm", IMAGE, *norm), case("BatchNorm", IMAGE, *norm, fix_gamma=False, eps="1e-05"),
        case("BatchNorm", "2 7 4", *norm, fix_gamma=False, axis=-1), case("BatchNorm", ROWS, *norm, fix_gamma=False),
        case("BatchNorm_v1", IMAGE, *norm, fix_gamma=True, use_global_stats=True),
        case("_npx_batch_norm", IMAGE, *norm, fix_gamma=False, axis=1),
        case("LayerNorm", CUBE, "w 4", "w 4"), case("LayerNorm", CUBE, "w 3", "w 3", axis=1, eps=0.01),
        case("_npx_layer_norm", CUBE, "w 4", "w 4", axis=-1, eps=0.001),
        case("InstanceNorm", IMAGE, "w 4", "w 4"), case("GroupNorm", IMAGE, "w 2", "w 2", num_groups=2),
        *[case("L2Normalization", IMAGE, mode=m) for m in ("instance", "channel", "spatial")],
        *[case("Activation", CUBE, act_type=t) for t in ("relu", "sigmoid", "tanh", "softrelu", "softsign")],
        case("_npx_activation", CUBE, act_type="softrelu"),
        *[case("LeakyReLU", CUBE, act_type=t, slope=0.3) for t in ("leaky", "elu", "selu", "gelu", "rrelu")],
        case("LeakyReLU", IMAGE, "w 4", act_type="prelu"), case("LeakyReLU", ROWS, "w 1", act_type="prelu"),
        case("_npx_leaky_relu", CUBE, act_type="gelu"),
        case("softmax", CUBE), case("softmax", CUBE, axis=1, temperature=2.0), case("softmin", CUBE),
        case("log_softmax", CUBE, axis=0),
        case("softmax", "2 3 5", "2 3:l5", axis=-1, use_length=True), case("_npx_softmax", CUBE, axis=1),
        case("_npx_log_softmax", CUBE),
        case("SoftmaxActivation", CUBE), case("SoftmaxActivation", IMAGE, mode="channel"),
        case("SoftmaxOutput", ROWS, "3:int4"), case("SoftmaxOutput", CUBE, "2 3:int4"),
        case("Softmax", CUBE, "2 4:int3", multi_output=True),
        case("SoftmaxOutput", CUBE, "2 3:int4", preserve_shape=True), case("LinearRegressionOutput", ROWS, "3 4"),
        case("LogisticRegressionOutput", ROWS, "3 4"), case("MAERegressionOutput", ROWS, "3 4"),
        case("SVMOutput", ROWS, "3:int4"), case("MakeLoss", ROWS), case("make_loss", ROWS),
        case("BlockGrad", ROWS), case("Dropout", ROWS, p=0.5), case("_npx_dropout", ROWS, p=0.5),
        case("identity", ROWS),
        case("hard_sigmoid", CUBE), case("smooth_l1", CUBE, scalar=2.0), case("_copy", ROWS),
        case("Embedding", "3 4:int6", "w 6 5", input_dim=6, output_dim=5),
        case("_npx_embedding", "3 4:i6", "w 6 5", input_dim=6, output_dim=5),
    ]  # fmt: skip


def _shapes() -> list[Case]:
    image = "2 3 4 5"
    reshapes = [
        "(6, 20)", "(0, -1)", "(-1, 5)", "(-2,)", "(0, -2)", "(-3, -2)", "(0, -3, -2)", "(-4, 1, 2, -2)",
        "(-4, -1, 2, -2)",
        "(0, 0, -4, 2, 2, 0)", "(-3, -3)", "(0, -4, 3, -1, 0, 0)", "(-3, 4, -1)", "(0, 0, -1)",
    ]  # fmt: skip
    own = ["(-2, -2, -1)", "(-5, -4)", "(-2, -6, 3, 1, -4)", "(-2, -1, -2)", "(-4,)", "(-6, 2, -1, -5, -2)", "(24, 5)"]
    return [
        *[case("Reshape", image, shape=s) for s in reshapes],
        case("Reshape", "10 5 4", shape="(-1, 0)", reverse=True),
        case("Reshape", image, shape="(-3, 0, 0)", reverse=True),
        case("Reshape", image, shape="(0, 0, 2, 2, -4, 0)", reverse=True),
        case("Reshape", image, target_shape="(2, 0)"),
        *[case("_npx_reshape", image, newshape=s) for s in own], case("_npx_reshape", "2 1 6", newshape="(-2, -3, -1)"),
        case("_npx_reshape", "2 3 8", newshape="(-2, -1, -2)", reverse=False),
        case("_npx_reshape", "2 3 8", newshape="(-5, -2)", reverse=True),
        case("_np_reshape", image, newshape="(2, -1)"), case("reshape_like", "6 4", "2 3 4"),
        case("reshape_like", "30 7", "15 2 4", lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=2),
        case("Flatten", image), case("_npx_batch_flatten", image), case("transpose", image),
        case("transpose", image, axes="(0, 2, 3, 1)"),
        case("_np_transpose", image, axes="(1, 0, 2, 3)"), case("_np_transpose", image, axes="None"),
        case("SwapAxis", image, dim1=1, dim2=3),
        case("_npi_swapaxes", image, dim1=0, dim2=2), case("_np_moveaxis", image, source="(0,)", destination="(2,)"),
        case("expand_dims", CUBE, axis=1), case("expand_dims", CUBE, axis=-1), case("_npi_expand_dims", CUBE, axis=0),
        case("squeeze", "2 1 3 1"), case("squeeze", "2 1 3 1", axis="(1,)"), case("_np_squeeze", "2 1 3 1", axis="1"),
        case("tile", ROWS, reps="(2, 1, 3)"), case("_npi_tile", CUBE, reps="(2, 1)"),
        case("repeat", CUBE, repeats=2, axis=1), case("repeat", ROWS, repeats=3),
        case("_np_repeat", CUBE, repeats=2, axis=0), case("reverse", CUBE, axis="(0, 2)"),
        case("flip", CUBE, axis="1"), case("_npi_flip", CUBE, axis="(1,)"),
        case("Pad", image, mode="constant", pad_width="(0, 0, 0, 0, 1, 2, 3, 0)", constant_value=1.5),
        case("Pad", image, mode="edge", pad_width="(0, 0, 0, 0, 1, 2, 3, 0)"),
        case("Pad", image, mode="reflect", pad_width="(0, 0, 0, 0, 1, 2, 3, 0)"),
        case("_npi_pad", CUBE, mode="constant", pad_width="((0, 0), (1, 2), (0, 1))", constant_value="2.0"),
        case("depth_to_space", "2 8 3 4", block_size=2), case("space_to_depth", "2 3 4 6", block_size=2),
        case("broadcast_to", "2 1 3", shape="(0, 4, 3)"), case("_npi_broadcast_to", "1 3", shape="(2, 4, 3)"),
        case("broadcast_axis", "2 1 1", axis="(1, 2)", size="(3, 4)"),
        case("broadcast_like", "2 1 3", CUBE.replace("4", "3")),
        case("broadcast_like", "2 1 4", CUBE, lhs_axes="(1,)", rhs_axes="(1,)"), case("shape_array", CUBE),
        case("size_array", CUBE),
        case("Concat", CUBE, CUBE, num_args=2, dim=1), case("Concat", ROWS, ROWS, num_args=2),
        case("concat", CUBE, CUBE, num_args=2, dim=-1),
        case("_npi_concatenate", CUBE, CUBE, num_args=2, axis=-1), case("stack", ROWS, ROWS, num_args=2, axis=1),
        case("_npi_stack", ROWS, ROWS, num_args=2, axis=-1),
        case("_npi_vstack", "4", "4", num_args=2), case("_npi_hstack", ROWS, ROWS, num_args=2),
        case("_npi_hstack", "4", "3", num_args=2),
        case("_npi_dstack", ROWS, ROWS, num_args=2), case("_npi_column_stack", "4", "4", num_args=2),
        case("_npi_dstack", "4", "4", num_args=2), case("_npi_column_stack", ROWS, "3", num_args=2),
        case("_npi_vstack", ROWS, "4", num_args=2),
        case("SliceChannel", "2 6 3", num_outputs=3),
        case("SliceChannel", "2 3 2", num_outputs=2, axis=2, squeeze_axis=True),
        case("_split_v2", "2 7 3", indices="(0, 2, 5)", axis=1),
        case("_split_v2", "2 6 3", indices="()", sections=3, axis=1),
        case("_npi_split", "6 3", indices="(0, 2, 4)", axis=0), case("slice", image, begin="(0, 1)", end="(None, 3)"),
        case("slice", image, begin="(None, 2, 0, None)", end="(None, 0, 3, None)", step="(1, -1, 2, -1)"),
        case("crop", CUBE, begin="(0, 1, 1)", end="(2, 2, 3)"),
        case("slice", CUBE, begin="(-2, -2)", end="(-1, None)"),
        case("slice_axis", CUBE, axis=-1, begin=-3, end="None"), case("slice_axis", CUBE, axis=1, begin=0, end=2),
        case("slice_like", image, "2 2 3 1"), case("slice_like", image, "1 1 2 3", axes="(2, -1)"),
        case("Crop", "2 3 8 9", "2 1 5 4", num_args=2),
        case("Crop", "2 3 8 9", "2 1 5 4", num_args=2, center_crop=True),
        case("Crop", "2 3 8 9", num_args=1, offset="(1, 2)", h_w="(4, 5)"),
        case("SequenceMask", "4 3 2", "3:len4", use_sequence_length=True, value=-1),
        case("SequenceMask", "3 4 2", "3:len4", use_sequence_length=True, axis=1), case("SequenceMask", "4 3 2"),
        case("SequenceLast", "4 3 2"),
        case("SequenceLast", "4 3 2", "3:len4", use_sequence_length=True),
        case("SequenceLast", "3 4 2", "3:len4", use_sequence_length=True, axis=1),
        case("SequenceReverse", "4 3 2"), case("SequenceReverse", "4 3 2", "3:len4", use_sequence_length=True),
    ]  # fmt: skip


#: Operators of two tensors, and of a tensor and a number.
_BOTH_WAYS = [
    "mul", "div", "power", "maximum", "minimum", "hypot", "equal", "not_equal", "greater", "greater_equal",
    "lesser", "lesser_equal", "logical_and", "logical_or", "logical_xor",
]  # fmt: skip


def _numbers() -> list[Case]:
    both = [
        "ceil", "cos", "exp", "floor", "log", "negative", "reciprocal", "sin", "sqrt", "tan", "tanh", "sign",
        "rint", "fix", "trunc", "square", "cbrt", "log10", "log2", "log1p", "expm1", "arcsin", "arccos",
        "arctan", "sinh", "cosh", "arcsinh", "arctanh", "degrees", "radians", "logical_not",
    ]  # fmt: skip
    legacy = [*both, "abs", "sigmoid", "erf", "round", "rsqrt", "rcbrt", "relu", "softsign", "erfinv"]
    cases = [case(op, "3 4:pos" if op in _POSITIVE else "3 4") for op in legacy]
    cases += [
        case("round", "9:halves"),
        case("rint", "9:halves"),
        case("fix", "9:halves"),
        case("_npi_around", "9:halves"),
        case("_npi_rint", "9:halves"),
    ]
    own = [*both, "absolute", "isnan", "isfinite", "isinf"]
    cases += [case(f"_npi_{op}", "3 4:pos" if op in _POSITIVE else "3 4") for op in own]
    cases += [
        case("_npi_exp", "3 4:i5"),
        case("_npx_relu", ROWS),
        case("_npx_sigmoid", ROWS),
        case("arccosh", "3 4:big"),
        case("_npx_erf", ROWS),
    ]
    for op in ["add", "sub", "mod", *_BOTH_WAYS]:
        numbers = "pos" if op == "power" else "int3" if "equal" in op or "logical" in op else "pos"
        cases.append(case(f"broadcast_{op}", f"3 4:{numbers}", f"1 4:{numbers}"))
    cases += [case(f"elemwise_{op}", "3 4:pos", "3 4:pos") for op in ("add", "sub", "mul", "div")]
    cases += [
        case(op, "3 4:pos", "3 4:pos")
        for op in (
            "_plus",
            "_Minus",
            "_mul",
            "_Div",
            "_Power",
            "_Maximum",
            "_Equal",
            "_greater",
            "_Lesser_Equal",
            "_grad_add",
        )
    ]
    cases += [
        case("broadcast_mod", "3 4", "1 4"),
        case("_mod_scalar", ROWS, scalar=0.7),
        case("_mod_scalar", ROWS, scalar=-0.7),
        case("_rmod_scalar", "3 4:pos", scalar=2),
    ]
    for op in ["plus", "minus", "rminus", "rdiv", "rpower", *_BOTH_WAYS]:
        cases.append(
            case(
                f"_{op}_scalar",
                "3 4:int3" if "equal" in op or "logical" in op else "3 4:pos",
                scalar=2 if "power" in op else 1,
            )
        )
    for op in ["PlusScalar", "RMinusScalar", "RDivScalar", "PowerScalar", "EqualScalar", "GreaterScalar"]:
        cases.append(case(f"_{op}", "3 4:pos", scalar=2))
    cases += [
        case("_plus_scalar", "3 4:i5", scalar=2),
        case("_mul_scalar", "3 4:i5", scalar=2.0),
        case("_equal_scalar", "3 4:i5", scalar=2),
    ]
    for op in [
        "add",
        "subtract",
        "multiply",
        "true_divide",
        "mod",
        "power",
        "maximum",
        "minimum",
        "hypot",
        "arctan2",
        "equal",
        "not_equal",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
    ]:
        cases.append(case(f"_npi_{op}", "3 4:pos", "1 4:pos"))
    cases += [
        case(f"_npi_{op}", "3 4:i5", "3 4:i5")
        for op in ["add", "multiply", "true_divide", "less", "bitwise_and", "bitwise_or", "bitwise_xor"]
    ]
    cases += [
        case("_npi_add", "3 4:i5", "3 4"),
        case("_npi_multiply", "3 4:bool", "3 4"),
        case("_npi_not_equal", "3 4:bool", "3 4:bool"),
        case("_npi_true_divide", "3 4:i5", "3 4"),
    ]
    for op in [
        "add",
        "subtract",
        "rsubtract",
        "multiply",
        "true_divide",
        "rtrue_divide",
        "mod",
        "rmod",
        "power",
        "rpower",
        "maximum",
        "minimum",
        "equal",
        "not_equal",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
    ]:
        cases.append(case(f"_npi_{op}_scalar", "3 4:pos", scalar=2.0))
    cases += [case(f"_npi_{op}_scalar", "3 4:i5", scalar="2") for op in ("add", "true_divide", "less", "mod")]
    cases.append(case("_npi_multiply_scalar", "3 4:i5", scalar="0.5", is_int="False"))
    cases += [
        case("add_n", ROWS, ROWS, ROWS, num_args=3), case("ElementWiseSum", ROWS, ROWS, num_args=2),
        case("where", "3 4:int2", ROWS, ROWS),
        case("where", "3:int2", ROWS, ROWS), case("_npi_where", "3 1:bool", ROWS, ROWS),
        case("_npi_where_lscalar", "3 4:bool", ROWS, scalar=2.0),
        case("_npi_where_rscalar", "3 4:bool", ROWS, scalar=2.0),
        case("clip", ROWS, a_min=-0.5, a_max=0.5), case("_npi_clip", ROWS, a_min=-0.1, a_max=0.5),
        case("Cast", "3 4:int5", dtype="int32"), case("cast", "3 4:i5", dtype="float32"),
        case("amp_cast", ROWS, dtype="float32"), case("_npi_cast", ROWS, dtype="int32"),
    ]  # fmt: skip
    return cases


_POSITIVE = {
    "log",
    "sqrt",
    "rsqrt",
    "log10",
    "log2",
    "log1p",
    "reciprocal",
    "rcbrt",
    "arcsin",
    "arccos",
    "arctanh",
    "tan",
    "erfinv",
}


def _reductions() -> list[Case]:
    cases = []
    for op in ("sum", "mean", "prod", "max", "min", "nansum", "norm"):
        for attributes in (
            {},
            {"axis": "1"},
            {"axis": "(0, 2)", "keepdims": "True"},
            {"axis": "1", "exclude": "1"},
            {"axis": "()"},
        ):
            if op == "norm" and ("exclude" in attributes or attributes.get("axis") == "()"):
                continue
            cases.append(case(op, CUBE, **attributes))
    cases += [
        case("norm", CUBE, ord=1, axis=2),
        case("norm", CUBE, keepdims=True),
        case("sum_axis", CUBE, axis="(1,)"),
        case("max_axis", CUBE, axis=0),
    ]
    for op in ("_np_sum", "_npi_mean", "_np_prod", "_np_max", "_np_min", "_npi_var", "_npi_std"):
        cases += [case(op, CUBE), case(op, CUBE, axis="1", keepdims="True"), case(op, CUBE, axis="(0, 2)")]
    cases += [
        case("_np_any", "2 3:int2", axis="1"),
        case("_np_all", "2 3:int2", axis="1", keepdims=True),
        case("_npi_var", CUBE, axis="1", ddof=1),
    ]
    for op in ("argmax", "argmin"):
        cases += [
            case(op, CUBE, axis=1),
            case(op, CUBE, axis=-1, keepdims=True),
            case(op, CUBE),
            case(f"_npi_{op}", CUBE, axis=1),
            case(f"_npi_{op}", CUBE),
        ]
    return cases + [
        case("argmax_channel", ROWS), case("moments", CUBE, axes="(0, 1)"), case("cumsum", CUBE, axis=1),
        case("_np_cumsum", CUBE, axis=2), case("cumsum", CUBE),
        case("sort", CUBE), case("sort", CUBE, axis=1, is_ascend=False), case("argsort", CUBE),
        case("argsort", CUBE, axis=0, is_ascend=False, dtype="int32"),
        case("_npi_argsort", CUBE, axis=1), case("_npi_sort", CUBE, axis=-1), case("topk", CUBE, k=2),
        case("topk", CUBE, k=2, ret_typ="value", axis=1), case("topk", CUBE, k=2, ret_typ="both", is_ascend=True),
        case("topk", CUBE, k=2, ret_typ="mask"), case("_npx_topk", CUBE, k=2, ret_typ="indices", dtype="int32"),
        case("sort", CUBE, axis="None"),
    ]  # fmt: skip


def _places() -> list[Case]:
    return [
        case("take", "5 4", "2 3:int7", mode="clip"), case("take", CUBE, "2 2:int5", axis=1, mode="wrap"),
        case("_npi_take", CUBE, "3:i4", axis=2, mode="clip"),
        case("batch_take", "3 4", "3:i4"), case("pick", ROWS, "3:int4"),
        case("pick", CUBE, "2 4:int3", axis=1, keepdims=True), case("_npx_pick", ROWS, "3:int4", axis=-1),
        case("gather_nd", CUBE, "2 5:int2"), case("_npx_gather_nd", CUBE, "2 5:i2"),
        case("scatter_nd", "3", "w 2 3:int3distinct", shape="(4, 4)"),
        case("_backward_gather_nd", "5", "1 5:i3", shape="(4,)"), case("one_hot", "3 2:int5", depth=4),
        case("one_hot", "3:i5", depth=5, on_value=2.0, off_value=-1.0),
        case("_npx_one_hot", "3:i5", depth=5, dtype="int32"),
        case("dot", ROWS, "4 5"), case("dot", ROWS, "3 5", transpose_a=True),
        case("dot", ROWS, "5 4", transpose_b=True), case("dot", "4", "4"), case("dot", CUBE, "4 5"),
        case("dot", CUBE, "4 2 3"), case("dot", "3 4", "4"), case("dot", CUBE, "2 5", transpose_a=True),
        case("batch_dot", CUBE, "2 4 5"), case("batch_dot", CUBE, "2 3 5", transpose_a=True),
        case("batch_dot", CUBE, "2 5 4", transpose_b=True), case("_npx_batch_dot", CUBE, "2 5 4", transpose_b=True),
        case("_npi_matmul", CUBE, "2 4 5"), case("_np_dot", ROWS, "4 5"),
        case("_np_dot", CUBE, "2 4 5"), case("_npi_tensordot_int_axes", CUBE, "3 4 5", axes=2),
        case("_npi_tensordot", CUBE, "4 5 3", a_axes_summed="(1, 2)", b_axes_summed="(2, 0)"),
        case("_npi_einsum", CUBE, "4 5", num_args=2, subscripts="bij,jk->bik", optimize=0),
        case("_linalg_gemm2", CUBE, "2 5 4", transpose_b=True, alpha=0.5),
        case("_linalg_gemm", CUBE, "2 4 5", "2 3 5", alpha=2.0, beta=0.5),
        case("_linalg_syrk", CUBE, transpose=False, alpha=0.5), case("_contrib_div_sqrt_dim", CUBE),
        case("_contrib_interleaved_matmul_selfatt_qk", "5 2 24", heads=2),
        case("_contrib_interleaved_matmul_selfatt_valatt", "5 2 24", "4 5 5", heads=2),
        case("_contrib_interleaved_matmul_encdec_qk", "3 2 8", "5 2 16", heads=2),
        case("_contrib_interleaved_matmul_encdec_valatt", "5 2 16", "4 3 5", heads=2),
        case("zeros_like", CUBE), case("ones_like", CUBE),
        case("_npi_full_like", CUBE, fill_value=2.5, dtype="float32"), case("_contrib_arange_like", CUBE, axis=1),
        case("_npx_arange_like", CUBE, axis=-1, start=2, step=0.5),
    ]  # fmt: skip


def _rnn() -> list[Case]:
    cases = []
    for mode, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)):
        for layers, directions in ((1, 1), (2, 2)):
            each = gates * 4
            size = directions * (each * (3 + 4) + 2 * each)
            size += (layers - 1) * directions * (each * (4 * directions + 4) + 2 * each)
            states = [f"{layers * directions} 2 4"] * (2 if mode == "lstm" else 1)
            cases.append(
                case("RNN", "5 2 3", f"w {size}", *states, mode=mode, state_size=4, num_layers=layers,
                     bidirectional=directions == 2, state_outputs=layers == 2)
            )  # fmt: skip
    size = 4 * (3 + 4 + 2)
    cases.append(case("_npx_rnn", "5 2 3", f"w {size}", "1 2 4", mode="rnn_tanh", state_size=4, num_layers=1))
    return cases


def _detection() -> list[Case]:
    rois, place = "w 2 5:rois", {"pooled_size": "(3, 2)", "spatial_scale": 0.5}
    return [
        case("ROIPooling", "2 3 8 8", rois, **place),
        case("_contrib_ROIAlign", "2 3 8 8", rois, **place, sample_ratio=2),
        case("_contrib_ROIAlign", "2 3 8 8", rois, **place, sample_ratio=2, aligned=True),
        case("_contrib_ROIAlign", "2 3 8 8", rois, **place), case("_contrib_MultiBoxPrior", "1 2 3 4"),
        case("_contrib_MultiBoxPrior", "1 2 4 3", sizes="(0.3, 0.2)", ratios="(1, 2, 0.5)"),
        case("_contrib_MultiBoxPrior", "1 2 4 3", sizes="0.5", ratios="(2, 1)", steps="(0.2, 0.3)", clip=True),
        *[case("_contrib_MultiBoxDetection", "2 4 12:pos", "2 48", "w 1 12 4:boxes", threshold=0.6, **m)
          for m in ({}, {"force_suppress": True, "nms_threshold": 0.3}, {"nms_topk": 5, "clip": False})],
        *[case("_contrib_box_nms", "2 9 6:scored", overlap_thresh=0.3, valid_thresh=0.35, id_index=0, **more)
          for more in ({}, {"force_suppress": True}, {"topk": 4}, {"background_id": 0})],
    ]  # fmt: skip


CASES = [*_windows(), *_layers(), *_shapes(), *_numbers(), *_reductions(), *_places(), *_detection(), *_rnn()]
