"""Runs `image_oracle_cases` with Keras: ``python keras_image_oracle.py FILE`` (see test_image_oracle.py)."""

from __future__ import annotations

import sys

import keras
import numpy as np
from image_oracle_cases import ALONE, BOXES, CASES, IMAGES, LABELS, MOVING, box_results

if __name__ == "__main__":
    found = {k: np.asarray(v) for k, v in box_results(keras.utils.bounding_boxes).items()}
    for name, layer, arguments, transformation in CASES:
        made = getattr(keras.layers, layer)(**arguments, bounding_box_format="xyxy")
        given = keras.tree.map_structure(
            lambda v: keras.ops.convert_to_tensor(v) if isinstance(v, (np.ndarray, np.generic)) else v, transformation
        )
        images = IMAGES[:1] if name in ALONE else IMAGES
        found[name] = np.asarray(made.transform_images(keras.ops.convert_to_tensor(images), given))
        if name in MOVING:
            boxes = {"boxes": keras.ops.convert_to_tensor(BOXES), "labels": keras.ops.convert_to_tensor(LABELS)}
            moved = made.transform_bounding_boxes(boxes, given)
            found[f"{name}_boxes"] = np.asarray(moved["boxes"])
            found[f"{name}_labels"] = np.asarray(moved["labels"])
    np.savez(sys.argv[1], **found)
