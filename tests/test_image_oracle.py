"""Image layers and functions of bounding boxes against Keras, with the same numbers drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from image_oracle_cases import ALONE, BOXES, BY_NAME, CASES, IMAGES, LABELS, MOVING, box_results
from keras_process import run_with_keras

import unidl
from unidl import layers, ops
from unidl.backend import active

if active.name != "torch":
    pytest.skip("one backend is compared with Keras, the others with it", allow_module_level=True)


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    path = tmp_path_factory.mktemp("keras") / "found.npz"
    run_with_keras("keras_image_oracle.py", path)
    with np.load(path) as file:
        return dict(file)


def host(value: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(value))


@pytest.mark.parametrize("name", [case[0] for case in CASES])
def test_images_and_boxes_change_as_in_keras(name: str, keras: dict[str, np.ndarray]) -> None:
    layer, arguments, transformation = BY_NAME[name]
    made = getattr(layers, layer)(**arguments, bounding_box_format="xyxy")
    images = IMAGES[:1] if name in ALONE else IMAGES
    np.testing.assert_allclose(host(made.transform_images(images, transformation)), keras[name], rtol=1e-4, atol=2e-2)
    if name in MOVING:
        moved = made.transform_bounding_boxes({"boxes": BOXES, "labels": LABELS}, transformation)
        np.testing.assert_allclose(host(moved["boxes"]), keras[f"{name}_boxes"], rtol=1e-4, atol=1e-3)
        if name != "mix_up":  # whose labels Keras joins along the batch, unlike its boxes
            np.testing.assert_array_equal(host(moved["labels"]), keras[f"{name}_labels"])


def test_bounding_box_functions_are_those_of_keras(keras: dict[str, np.ndarray]) -> None:
    for name, found in box_results(unidl.utils.bounding_boxes).items():
        np.testing.assert_allclose(host(found), keras[name], rtol=1e-4, atol=1e-4, err_msg=name)
