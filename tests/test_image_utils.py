"""Pictures as arrays and files; images drawn on; properties of random image layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops, utils, visualization

X = (255 * np.random.default_rng(0).random((4, 8, 10, 3))).astype("float32")


def host(x: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(x))


@pytest.mark.once
@pytest.mark.parametrize(("channels", "mode"), [(1, "grayscale"), (3, "rgb"), (4, "rgba")])
def test_a_picture_comes_back_from_its_file(tmp_path: Path, channels: int, mode: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype("float32")
    utils.save_img(tmp_path / "x.png", x, scale=False)
    np.testing.assert_array_equal(utils.img_to_array(utils.load_img(tmp_path / "x.png", mode)), x)
    first = utils.img_to_array(utils.load_img(str(tmp_path / "x.png"), mode), "channels_first")
    assert first.shape == (channels, 5, 7)
    assert utils.load_img(tmp_path / "x.png", target_size=(4, 4), keep_aspect_ratio=True).size == (4, 4)


@pytest.mark.once
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: utils.array_to_img(np.ones((2, 2))), "3 dimensions"),
        (lambda: utils.array_to_img(np.ones((2, 2, 2))), "channels"),
        (lambda: utils.load_img("x.png", "cmyk"), "color_mode"),
        (lambda: layers.RandomFlip("diagonal"), "mode"),
        (lambda: layers.RandomRotation(0.1, fill_mode="zeros"), "fill_mode"),
        (lambda: layers.RandomBrightness(2.0), "factor"),
        (lambda: layers.RandomHue(0.1, (1, 0)), "value_range"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "kernel_size"),
        (lambda: layers.Resizing(0, 3), "height"),
        (lambda: layers.RandomFlip()({"images": X, "bounding_boxes": {}}), "bounding_box_format"),
        (lambda: utils.bounding_boxes.convert_format(np.ones((1, 4)), "xyxy", "rel_xyxy"), "height"),
        (lambda: utils.bounding_boxes.convert_format(np.ones((1, 4)), "xyxy", "abcd"), "target"),
        (lambda: visualization.draw_bounding_boxes(X, {}, "xyxy"), "boxes"),
    ],
)
def test_what_is_wrong_is_named(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_drawn_factors_are_in_their_range_and_differ_between_images() -> None:
    layer = layers.RandomBrightness((0.1, 0.3), value_range=(0, 1))
    delta = host(layer.get_random_transformation(np.zeros((200, 2, 2, 3), "float32"))["rgb_delta"]).ravel()
    assert delta.min() >= 0.1 and delta.max() <= 0.3 and len(np.unique(delta)) > 100


def test_outside_of_training_nothing_changes() -> None:
    for layer in (layers.RandomFlip(), layers.RandAugment(), layers.MixUp(), layers.RandomErasing()):
        np.testing.assert_array_equal(host(layer(X, training=False)), X)


def test_the_global_seed_repeats_the_draws() -> None:
    found = []
    for _ in range(2):
        utils.set_random_seed(3)
        found.append(host(layers.RandomRotation(0.3)(X, training=True)))
    np.testing.assert_array_equal(*found)


def test_boxes_and_masks_follow_the_image() -> None:
    """A bright rectangle, its box and its mask, moved by layers that are exact to the pixel."""
    image, mask = np.zeros((1, 12, 16, 3), "float32"), np.zeros((1, 12, 16, 1), "int32")
    image[:, 2:5, 3:9], mask[:, 2:5, 3:9] = 200, 1
    data = {"boxes": np.array([[[3, 2, 9, 5]]], "float32"), "labels": np.array([[1]])}
    for layer in (
        layers.RandomFlip(bounding_box_format="xyxy"),
        layers.RandomTranslation((0.25, 0.25), (0.25, 0.25), fill_mode="constant", bounding_box_format="xyxy"),
        layers.RandomCrop(8, 12, bounding_box_format="xyxy"),
        layers.CenterCrop(10, 12, bounding_box_format="xyxy"),
        layers.Resizing(24, 32, "nearest", bounding_box_format="xyxy"),
    ):
        out = layer({"images": image, "bounding_boxes": dict(data), "segmentation_masks": mask}, training=True)
        bright = host(out["images"])[0, :, :, 0] > 100
        np.testing.assert_array_equal(bright, host(out["segmentation_masks"])[0, :, :, 0] == 1)
        rows, columns = np.nonzero(bright)
        left, top, right, bottom = host(out["bounding_boxes"]["boxes"])[0, 0]
        if bright.any():
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose([left, top, right, bottom], found, atol=1e-3)


def test_cut_mix_labels_are_the_shares_of_the_images() -> None:
    images = np.stack([np.full((8, 8, 1), i, "float32") for i in range(4)])
    out = layers.CutMix()({"images": images, "labels": np.eye(4, dtype="float32")}, training=True)
    for image, label in zip(host(out["images"]), host(out["labels"]), strict=True):
        np.testing.assert_allclose([(image == i).mean() for i in range(4)], label, atol=1e-5)


@pytest.mark.once
def test_galleries_are_written(tmp_path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    boxes = {"boxes": np.array([[[1, 1, 6, 6]]] * 4, "float32"), "labels": np.zeros((4, 1), "int32")}
    visualization.plot_bounding_box_gallery(X, "xyxy", boxes, class_mapping={0: "a"}, path=tmp_path / "boxes.png")
    masks = np.ones((4, 8, 10), "int32")
    visualization.plot_segmentation_mask_gallery(X, 2, y_true=masks, path=tmp_path / "masks.png")
    visualization.plot_image_gallery(X, [0, 1, 0, 1], label_map={0: "a", 1: "b"}, path=tmp_path / "images.png")
    assert all((tmp_path / f"{n}.png").stat().st_size > 500 for n in ("boxes", "masks", "images"))
    assert unidl.preprocessing.image.smart_resize(X, (4, 4)).shape == (4, 4, 4, 3)


def test_one_image_goes_through_the_hooks_of_single_things() -> None:
    layer = unidl.layers.RandomBrightness(0.5, value_range=(0, 1), seed=3)
    images = unidl.ops.convert_to_tensor(np.full((1, 2, 2, 3), 0.25, "float32"))
    drawn = layer.get_random_transformation(images)
    batch = unidl.ops.convert_to_numpy(layer.transform_images(images, drawn))
    np.testing.assert_array_equal(unidl.ops.convert_to_numpy(layer.transform_single_image(images[0], drawn)), batch[0])
    label = np.array([1.0, 0.0], "float32")
    np.testing.assert_array_equal(unidl.ops.convert_to_numpy(layer.transform_single_label(label, drawn)), label)
