"""Data sets from files and arrays, under the names that Keras gave them first; they live in `unidl.utils`."""

from __future__ import annotations

from unidl.preprocessing import image, sequence
from unidl.utils import image_dataset_from_directory, text_dataset_from_directory, timeseries_dataset_from_array

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
