"""`text_dataset_from_directory`."""

from __future__ import annotations

from typing import Any

from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.utils._dataset import strings
from unidl.utils._directories import Request, checked_format


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: Any = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of the ``.txt`` files in a directory, with labels from the names of its folders.

    Args:
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links,
            verbose: see `image_dataset_from_directory`.
        max_length: longer texts lose their end.
        format: "tf": on TensorFlow a `tf.data.Dataset` of string tensors, elsewhere a `utils.Dataset` of NumPy arrays
            of strings; "grain": a `utils.Dataset` of lists of Python strings (string tensors on TensorFlow).

    Returns:
        A data set of texts, or of pairs of texts and labels, with the attributes `class_names` and `file_paths`.
        `TextVectorization` makes tensors of the texts.

    Raises:
        ValueError: if there is no file, a file is not in UTF-8, or arguments do not go together.
    """
    engines_own = checked_format(format)
    request = Request(
        "text", (".txt",), directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
        subset, follow_links, verbose, engines_own,
    )  # fmt: skip
    request.check()

    def load(path: str) -> str:
        with open(path, encoding="utf-8", newline="") as file:
            try:
                return file.read(-1 if max_length is None else max_length)
            except UnicodeDecodeError as error:
                raise ValueError(f"{path!r} is not a text in UTF-8: {error}") from None

    arrays = engines_own or active.name == "tensorflow"  # elsewhere there are no string tensors
    return request.datasets(load, TensorSpec((), "string"), strings if arrays else list, "No {0}text files")
