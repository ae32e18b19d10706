"""Pictures in folders: a convolutional network that tells circles, crosses and squares apart.

    UNIDL_BACKEND=torch python examples/picture_folders.py        (or tensorflow, mxnet)

The pictures are drawn here and written as PNG files, one folder for each class, as people keep their own.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import unidl
from unidl import callbacks, layers, ops

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
SIZE = 24
unidl.utils.set_random_seed(11)


def draw(kind: str, rng: np.random.Generator) -> Image.Image:
    """A shape of any colour, size and place, on a ground of another colour, with noise."""
    width, height = (int(v) for v in rng.integers(28, 44, 2))
    dark, light = rng.integers(0, 90, 3), rng.integers(150, 256, 3)
    picture = Image.new("RGB", (width, height), tuple(int(v) for v in dark))
    pen = ImageDraw.Draw(picture)
    radius = int(rng.integers(7, 12))
    x, y = int(rng.integers(radius, width - radius)), int(rng.integers(radius, height - radius))
    colour = tuple(int(v) for v in light)
    box = (x - radius, y - radius, x + radius, y + radius)
    if kind == "circle":
        pen.ellipse(box, outline=colour, width=3)
    elif kind == "square":
        pen.rectangle(box, outline=colour, width=3)
    else:
        pen.line((x - radius, y - radius, x + radius, y + radius), colour, 3)
        pen.line((x - radius, y + radius, x + radius, y - radius), colour, 3)
    noisy = np.asarray(picture, "float32") + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype("uint8"))


with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(11)
    for kind in ("circle", "cross", "square"):
        (Path(folder) / kind).mkdir()
        for number in range(120 if FAST else 400):
            draw(kind, rng).save(Path(folder) / kind / f"{number:03}.png")

    train, validation = unidl.utils.image_dataset_from_directory(
        folder, image_size=(SIZE, SIZE), batch_size=24, validation_split=0.25, subset="both", seed=5
    )
    classes = train.class_names
    print(f"classes: {', '.join(classes)}")

    def mirrored(pictures, labels):
        """The pictures, and their mirror images as well."""
        return ops.concatenate([pictures, ops.flip(pictures, 2)], 0), ops.concatenate([labels, labels], 0)

    model = unidl.Sequential(
        [
            unidl.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 127.5, offset=-1.0),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(len(classes), activation="softmax"),
        ],
        name="shapes",
    )
    model.compile(unidl.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    # What reads files is read again in every epoch: keep the decoded pictures instead.
    batches = train.cache().map(mirrored)
    logs = Path(folder) / "logs"
    model.fit(
        batches,
        validation_data=validation.cache(),
        epochs=7 if FAST else 20,
        verbose=0,
        callbacks=[callbacks.TensorBoard(logs, histogram_freq=2), callbacks.BackupAndRestore(Path(folder) / "backup")],
    )
    print(f"validation accuracy {model.evaluate(validation, verbose=0)[1]:.4f}")
    print(f"event files: {', '.join(sorted(path.parent.name for path in logs.glob('*/events*')))}")
    for path in validation.file_paths[:3]:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR), "float32")
        scores = model.predict(pixels[None], verbose=0)[0]
        print(f"{Path(path).parent.name} is called a {classes[int(scores.argmax())]} ({scores.max():.0%})")
