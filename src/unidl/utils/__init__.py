"""Utilities: data sets, sequences, class indices, seeds, a progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unidl.backend import standardize_dtype
from unidl.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from unidl.saving import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from unidl.training.trainer import unpack_x_y_sample_weight
from unidl.utils import bounding_boxes, legacy
from unidl.utils._audio_files import audio_dataset_from_directory
from unidl.utils._config import Config
from unidl.utils._dataset import Dataset
from unidl.utils._get_file import get_file
from unidl.utils._image_files import image_dataset_from_directory
from unidl.utils._images import array_to_img, img_to_array, load_img, save_img
from unidl.utils._numbers import normalize, set_random_seed, to_categorical
from unidl.utils._progbar import Progbar
from unidl.utils._pydataset import PyDataset, Sequence
from unidl.utils._sequences import pad_sequences
from unidl.utils._split import split_dataset
from unidl.utils._symbolic import clear_session, get_source_inputs, is_keras_tensor, pack_x_y_sample_weight
from unidl.utils._text_files import text_dataset_from_directory
from unidl.utils._timeseries import timeseries_dataset_from_array
from unidl.viz.dot import model_to_dot
from unidl.viz.graph import plot_model

if TYPE_CHECKING:
    from unidl.layers.preprocessing.feature_space import FeatureSpace

__all__ = [
    "Config",
    "CustomObjectScope",
    "Dataset",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "bounding_boxes",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "save_img",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "legacy",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]


def __getattr__(name: str) -> Any:
    if name == "FeatureSpace":  # made of layers, which need these utilities
        from unidl.layers.preprocessing.feature_space import FeatureSpace

        return FeatureSpace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
