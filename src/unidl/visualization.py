"""Images with bounding boxes or masks drawn on them, and galleries. Pillow and matplotlib load on first use."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl.config import checked_data_format
from unidl.utils._images import _host, pillow

__all__ = [
    "draw_bounding_boxes", "draw_segmentation_masks", "plot_bounding_box_gallery", "plot_image_gallery",
    "plot_segmentation_mask_gallery",
]  # fmt: skip


def _batch(images: Any, data_format: str | None, value_range: Any = (0, 255)) -> np.ndarray:
    """Images as bytes, (batch, height, width, channels)."""
    array = np.asarray(_host(images))
    if array.ndim != 4:
        raise ValueError(f"`images` must have 4 dimensions (batch, height, width, channels), not shape {array.shape}.")
    if checked_data_format(data_format) == "channels_first":
        array = array.transpose(0, 2, 3, 1)
    low, high = value_range
    if (low, high) != (0, 255):
        array = (array - low) * (255 / (high - low))
    return np.clip(array, 0, 255).astype("uint8")


def _layout(images: np.ndarray, data_format: str | None) -> np.ndarray:
    return images.transpose(0, 3, 1, 2) if checked_data_format(data_format) == "channels_first" else images


def _rgb(images: np.ndarray) -> np.ndarray:
    return np.repeat(images, 3, -1) if images.shape[-1] == 1 else images


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Any,
    bounding_box_format: str,
    class_mapping: Any = None,
    color: Any = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """`images` with boxes drawn on them, as bytes. Boxes of the label -1 are left out. Needs Pillow.

    Args:
        images: (batch, height, width, channels), from 0 to 255.
        bounding_boxes: a dict of "boxes" (batch, N, 4), "labels" (batch, N) and perhaps "confidences" (batch, N).
        class_mapping: names by label, which are written at the boxes.
        text_thickness, font_scale: of these names.

    Example:
        >>> import numpy as np, unidl
        >>> boxes = {"boxes": np.array([[[1, 1, 6, 6]]]), "labels": np.array([[0]])}
        >>> drawn = unidl.visualization.draw_bounding_boxes(np.zeros((1, 8, 8, 3)), boxes, "xyxy", line_thickness=1)
        >>> drawn[0, 1, 3].tolist(), drawn[0, 3, 3].tolist()
        ([128, 128, 128], [0, 0, 0])
    """
    from unidl.utils.bounding_boxes import convert_format

    if not isinstance(bounding_boxes, dict):
        raise TypeError(f"`bounding_boxes` must be a dict, not a {type(bounding_boxes).__name__}.")
    if not {"boxes", "labels"} <= set(bounding_boxes):
        raise ValueError(f"`bounding_boxes` must have the keys 'boxes' and 'labels', not {sorted(bounding_boxes)}.")
    from PIL import ImageDraw, ImageFont

    pictures = np.ascontiguousarray(_rgb(_batch(images, data_format)))
    height, width = pictures.shape[1:3]
    boxes = np.asarray(_host(convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", height, width)))
    labels = np.asarray(_host(bounding_boxes["labels"]))
    sure = bounding_boxes.get("confidences")
    sure = None if sure is None else np.asarray(_host(sure))
    font, names = ImageFont.load_default(max(1, round(10 * font_scale))), class_mapping or {}
    result = []
    for i, picture in enumerate(pictures):
        canvas = pillow().fromarray(picture)
        pen = ImageDraw.Draw(canvas)
        for j, box in enumerate(np.round(boxes[i])):
            label = int(labels[i, j])
            if label == -1 or box[2] < box[0] or box[3] < box[1]:
                continue
            pen.rectangle([float(v) for v in box], outline=tuple(color), width=line_thickness)
            if label in names:
                text = str(names[label]) + ("" if sure is None else f" {sure[i, j]:.2f}")
                place = (float(box[0]) + line_thickness, float(box[1]) + line_thickness)
                pen.text(place, text, tuple(color), font=font, stroke_width=max(0, text_thickness - 1))
        result.append(np.asarray(canvas))
    return _layout(np.stack(result), data_format)


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Any = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """`images` with the pixels of classes coloured, as bytes. Class 0 is the background and stays as it is.

    Args:
        images: (batch, height, width, channels), from 0 to 255.
        segmentation_masks: integers, (batch, height, width) or (batch, height, width, 1).
        num_classes: how many colours; None: as many as the masks need.
        color_mapping: colours (red, green, blue) by class.
        alpha: how much of the colour, if `blend`.
        ignore_index: a class that is not drawn.

    Example:
        >>> import numpy as np, unidl
        >>> mask = np.array([[[0, 1]]])
        >>> drawn = unidl.visualization.draw_segmentation_masks(
        ...     np.zeros((1, 1, 2, 3)), mask, color_mapping={1: (100, 0, 50)}, alpha=0.5
        ... )
        >>> drawn[0, 0].tolist()
        [[0, 0, 0], [50, 0, 25]]
    """
    masks = np.asarray(_host(segmentation_masks))
    if masks.dtype.kind not in "iu":
        raise TypeError(f"`segmentation_masks` must hold integers, not {masks.dtype}.")
    pictures = _rgb(_batch(images, data_format)).astype("float32")
    if masks.ndim == 4:
        masks = masks[:, 0] if masks.shape[1] == 1 and masks.shape[3] != 1 else masks[..., 0]
    if masks.shape != pictures.shape[:3]:
        raise ValueError(f"`segmentation_masks` {masks.shape} do not fit images of shape {pictures.shape}.")
    count = int(masks.max()) if num_classes is None else num_classes
    colors = color_mapping or {i: _color(i) for i in range(1, count + 1)}
    share = alpha if blend else 1.0
    for label, color in colors.items():
        if label in (0, ignore_index):
            continue
        there = (masks == label)[..., None]
        pictures = np.where(there, (1 - share) * pictures + share * np.asarray(color, "float32"), pictures)
    return _layout(np.round(pictures).astype("uint8"), data_format)


def _color(index: int) -> tuple[int, int, int]:
    """Hues that differ, whatever their number: turned by the golden ratio each time."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.8, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Any = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> Any:
    """A matplotlib figure with images in rows and columns, and labels under them.

    Args:
        images: (batch, height, width, channels), in `value_range`.
        y_true, y_pred: a label for each image, with names in `label_map`.
        scale: inches for each image.
        path: a file to write; else the figure is shown, unless `show` is False.

    Returns:
        The figure, if it is not shown.
    """
    if path is not None and show:
        raise ValueError("plot_image_gallery: a figure is either written to `path` or shown (`show`), not both.")
    if (y_true is not None or y_pred is not None) and label_map is None:
        raise ValueError("plot_image_gallery: `y_true` and `y_pred` need the names of labels, `label_map`.")
    pictures = _batch(images, data_format, value_range)
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Galleries need matplotlib: pip install matplotlib (or unidl[plot]).") from error
    count = len(pictures)
    if cols is None:
        cols = math.ceil(count / rows) if rows else math.ceil(math.sqrt(count))
    rows = rows or math.ceil(count / cols)
    figure, axes = plt.subplots(rows, cols, squeeze=False, figsize=(cols * scale, rows * scale), layout="tight")
    given = [(n, np.asarray(_host(v))) for n, v in (("true", y_true), ("predicted", y_pred)) if v is not None]
    for i, axis in enumerate(axes.ravel()):
        axis.set_axis_off()
        if i < count:
            axis.imshow(pictures[i].squeeze(-1) if pictures.shape[-1] == 1 else pictures[i], cmap="gray")
            axis.set_title("\n".join(f"{name}: {label_map[int(values[i])]}" for name, values in given), fontsize=8)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    if path is not None:
        figure.savefig(path, transparent=transparent, dpi=dpi)
        plt.close(figure)
    elif show or show is None:
        plt.show()
        plt.close(figure)
        return None
    return figure


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Any = None,
    y_pred: Any = None,
    value_range: Any = (0, 255),
    true_color: Any = (0, 188, 212),
    pred_color: Any = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Any = None,
    ground_truth_mapping: Any = None,
    prediction_mapping: Any = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> Any:
    """A gallery of images with true and predicted boxes, each a dict as in `draw_bounding_boxes`.

    Further arguments are those of `plot_image_gallery`, whose result is returned.
    """
    if legend and legend_handles:
        raise ValueError("plot_bounding_box_gallery: give `legend` or `legend_handles`, not both.")
    pictures = _layout(_batch(images, data_format, value_range), data_format)
    drawn = (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    )
    for boxes, color, names in drawn:
        if boxes is not None:
            pictures = draw_bounding_boxes(
                pictures, boxes, bounding_box_format, names, color, line_thickness,
                line_thickness if text_thickness is None else text_thickness, font_scale, data_format,
            )  # fmt: skip
    if legend:
        from matplotlib.patches import Patch

        named = (("true", true_color), ("predicted", pred_color))
        legend_handles = [Patch(color=tuple(v / 255 for v in color), label=name) for name, color in named]
    return plot_image_gallery(
        pictures, rows=rows, cols=cols, legend_handles=legend_handles, data_format=data_format, **kwargs
    )


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Any = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Any = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> Any:
    """A gallery of images beside themselves with true and predicted masks, as `draw_segmentation_masks` draws them.

    Further arguments are those of `plot_image_gallery`, whose result is returned.
    """
    pictures = _layout(_rgb(_batch(images, data_format, value_range)), data_format)
    columns = [pictures]
    for masks in (y_true, y_pred):
        if masks is not None:
            columns.append(
                draw_segmentation_masks(
                    pictures, masks, num_classes, color_mapping, alpha, blend, ignore_index, data_format
                )
            )
    across = -2 if checked_data_format(data_format) == "channels_last" else -1
    return plot_image_gallery(np.concatenate(columns, across), data_format=data_format, **kwargs)
