"""Image layers with what they draw given, for comparison with Keras: (name, layer, arguments, transformation)."""

from __future__ import annotations

from typing import Any

import numpy as np

RNG = np.random.default_rng(5)
#: Two images of 7 x 9 pixels from 0 to 255.
IMAGES = (255 * RNG.random((2, 7, 9, 3))).astype("float32")
BOXES = np.array([[[1, 1, 5, 4], [2, 3, 8, 6]], [[0, 0, 3, 3], [4, 2, 9, 7]]], "float32")
LABELS = np.array([[1, 2], [3, 4]], "int32")


def two(a: float, b: float, shape: tuple[int, ...] = (2, 1, 1, 1)) -> np.ndarray:
    return np.array([a, b], "float32").reshape(shape)


SHAPE = {"input_shape": IMAGES.shape}
CASES: list[tuple[str, str, dict[str, Any], Any]] = [
    ("flip", "RandomFlip", {"mode": "horizontal"}, {"flips": np.array([True, False]).reshape(2, 1, 1, 1), **SHAPE}),
    ("flip_both", "RandomFlip", {}, {"flips": np.array([False, True]).reshape(2, 1, 1, 1), **SHAPE}),
    (
        "translation", "RandomTranslation", {"height_factor": 0.5, "width_factor": 0.5},
        {"translations": np.array([[1.5, -2.0], [-0.25, 3.0]], "float32"), **SHAPE},
    ),
    (
        "translation_nearest", "RandomTranslation",
        {"height_factor": 0.5, "width_factor": 0.5, "interpolation": "nearest", "fill_mode": "constant"},
        {"translations": np.array([[1.0, -2.0], [0.0, 3.0]], "float32"), **SHAPE},
    ),
    (
        "zoom", "RandomZoom", {"height_factor": 0.5},
        {"height_zoom": two(0.7, 1.3, (2, 1)), "width_zoom": two(1.2, 0.9, (2, 1)), **SHAPE},
    ),
    ("brightness", "RandomBrightness", {"factor": 0.5}, {"rgb_delta": two(40.0, -70.0)}),
    ("contrast", "RandomContrast", {"factor": 0.5}, {"contrast_factor": two(1.4, 0.6)}),
    ("saturation", "RandomSaturation", {"factor": 0.5}, {"factor": two(0.5, 0.9, (2,))}),
    ("hue", "RandomHue", {"factor": 0.5}, {"factor": two(0.2, -0.1, (2,))}),
    ("sharpness", "RandomSharpness", {"factor": 0.5}, {"factor": two(0.2, 0.9, (2,))}),
    ("degeneration", "RandomColorDegeneration", {"factor": 0.5}, {"factor": two(0.2, 0.9)}),
    ("grayscale", "RandomGrayscale", {}, np.array([True, False]).reshape(2, 1, 1, 1)),
    ("posterization", "RandomPosterization", {"factor": 4}, {"shift_factor": np.array([4, 6], "uint8")}),
    ("invert", "RandomInvert", {}, {"apply_inversion": np.array([True, False])}),
    ("solarization", "Solarization", {}, {"additions": two(0.0, 30.0), "thresholds": two(128.0, 90.0)}),
    (
        "blur", "RandomGaussianBlur", {"kernel_size": 3},
        {"should_apply_blur": np.array([True, False]), "blur_factor": np.array([0.4, 0.9], "float32")},
    ),
    (
        "erasing", "RandomErasing", {},
        {
            "apply_erasing": np.array([True, False]), "fill_value": np.float32(7.0),
            "batch_masks": np.broadcast_to((np.arange(9) > 4).reshape(1, 1, 9, 1), (2, 7, 9, 3)).copy(),
        },
    ),
    (
        "perspective", "RandomPerspective", {},
        {
            "apply_perspective": np.array([True, False]),
            "start_points": np.array([[[0, 0], [8, 0], [0, 6], [8, 6]]] * 2, "float32"),
            "end_points": np.array([[[0, 0], [7, 1], [1, 5], [8, 7]]] * 2, "float32"), **SHAPE,
        },
    ),
    ("mix_up", "MixUp", {}, {"mix_weight": two(0.3, 0.8, (2,)), "permutation_order": np.array([1, 0], "int32")}),
    ("equalization", "Equalization", {}, None),
    ("equalization_bins", "Equalization", {"bins": 16}, None),
    ("auto_contrast", "AutoContrast", {}, None),
]  # fmt: skip
#: Keras makes the histogram of a whole batch even: layers that are compared on one image.
ALONE = ("equalization", "equalization_bins")
#: Layers whose boxes are compared, too.
MOVING = ("flip", "flip_both", "translation", "zoom", "perspective", "mix_up")
BY_NAME = {name: (layer, arguments, transformation) for name, layer, arguments, transformation in CASES}

IOU = (BOXES[0], BOXES[1])
ANCHORS = np.array([[1, 1, 6, 5], [2, 2, 7, 9]], "float32")
FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def box_results(boxes: Any) -> dict[str, Any]:
    """What a module of bounding box functions gives."""
    number = lambda *v: np.array(v, "float32")
    turned = dict(height=10, width=12)
    return {
        **{f"format_{a}_{b}": boxes.convert_format(BOXES, a, b, 10, 12) for a in FORMATS for b in FORMATS},
        "clip": boxes.clip_to_image_size({"boxes": BOXES * 2 - 4, "labels": LABELS}, 10, 12)["boxes"],
        "clip_labels": boxes.clip_to_image_size({"boxes": BOXES * 4 - 20, "labels": LABELS}, 10, 12)["labels"],
        "iou": boxes.compute_iou(*IOU, "xyxy"),
        "iou_batches": boxes.compute_iou(BOXES, BOXES[0], "yxyx"),
        "iou_masked": boxes.compute_iou(IOU[0], np.array([[-1, -1, -1, -1], [1, 1, 2, 2]], "float32"), "xyxy", True),
        "iou_relative": boxes.compute_iou(IOU[0] / 10, IOU[1] / 10, "rel_xyxy", image_shape=(10, 12, 3)),
        "ciou": boxes.compute_ciou(*IOU, "xyxy"),
        "crop": boxes.crop(BOXES, 1, 2, 5, 6),
        "pad": boxes.pad(BOXES, 1, 2),
        "encode": boxes.encode_box_to_deltas(ANCHORS, BOXES, "xyxy", "xyxy"),
        "encode_variance": boxes.encode_box_to_deltas(
            ANCHORS, BOXES[0], "xyxy", "xywh", "center_xywh", [0.1, 0.1, 0.2, 0.2]
        ),
        "decode": boxes.decode_deltas_to_boxes(ANCHORS, BOXES / 10, "xyxy", "xyxy"),
        "decode_variance": boxes.decode_deltas_to_boxes(
            ANCHORS, BOXES[0] / 10, "xyxy", "yxyx", "center_xywh", [0.1, 0.1, 0.2, 0.2]
        ),
        "affine_turn": boxes.affine_transform(
            BOXES, number(30, -20), number(0, 0), number(0, 0), number(1, 1), number(0, 0), number(0, 0), **turned
        ),
        "affine_move": boxes.affine_transform(
            BOXES, number(0, 0), number(0.1, 0.2), number(-0.1, 0.3), number(1, 1), number(0, 0), number(0, 0),
            **turned,
        ),
        "affine_scale": boxes.affine_transform(
            BOXES, number(0, 0), number(0, 0), number(0, 0), number(2, 0.5), number(0, 0), number(0, 0), **turned
        ),
        # Along x, Keras shears around another row than along y around a column: not compared.
        "affine_shear": boxes.affine_transform(
            BOXES, number(0, 0), number(0, 0), number(0, 0), number(1, 1), number(0, 0), number(10, 20), **turned
        ),
    }  # fmt: skip
