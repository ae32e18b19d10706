"""Pooling."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    cases = [
        Case("max_pooling3d", "MaxPooling3D", {}, "b d h w 2"),
        Case("average_pooling3d", "AveragePooling3D", {"pool_size": 2}, "b d h w 2"),
        Case("global_average_pooling1d_mask", "GlobalAveragePooling1D", {}, "b t 3", {"mask": "b t:holes"}),
        Case("global_average_pooling1d_keepdims", "GlobalAveragePooling1D", {"keepdims": True}, "b t 3"),
        Case("global_max_pooling2d_keepdims", "GlobalMaxPooling2D", {"keepdims": True}, "b h w 3"),
    ]
    for kind in ("Average", "Max"):
        tag = f"adaptive_{kind.lower()}"
        cases += [
            Case(f"{tag}_1d", f"Adaptive{kind}Pooling1D", {"output_size": 3}, "b 7 3"),
            Case(f"{tag}_1d_more", f"Adaptive{kind}Pooling1D", {"output_size": 7}, "b 5 3"),
            Case(f"{tag}_2d", f"Adaptive{kind}Pooling2D", {"output_size": [2, 5]}, "b 6 7 3"),
            Case(
                f"{tag}_2d_first",
                f"Adaptive{kind}Pooling2D",
                {"output_size": 3, "data_format": "channels_first"},
                "b 3 6 7",
            ),
            Case(f"{tag}_3d", f"Adaptive{kind}Pooling3D", {"output_size": [2, 1, 3]}, "b 4 5 6 2"),
        ]
    for padding in ("valid", "same"):
        for kind in ("Max", "Average"):
            tag = f"{kind.lower()}_{padding}"
            cases += [
                Case(f"{tag}_1d", f"{kind}Pooling1D", {"pool_size": 2, "padding": padding}, "b t 3"),
                Case(
                    f"{tag}_2d", f"{kind}Pooling2D", {"pool_size": [3, 2], "strides": 2, "padding": padding}, "b h w 3"
                ),
            ]
    for kind in ("Max", "Average"):
        for n, shape in ((1, "b t 3"), (2, "b h w 3"), (3, "b d h w 3")):
            cases.append(Case(f"global_{kind.lower()}_{n}d", f"Global{kind}Pooling{n}D", {}, shape))
    return cases
