"""Structured data (a dict of features) as one vector a sample, or as a dict of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from unidl import ops, tree
from unidl.graph.symbolic import SymbolicTensor
from unidl.layers._base import unique_name
from unidl.layers._input import Input
from unidl.layers._serialization import deserialize, serialize
from unidl.layers.core import Identity
from unidl.layers.merging import concatenate
from unidl.layers.preprocessing._adapting import batches, dense
from unidl.layers.preprocessing._host import DataLayer, host_values, in_graph, is_text, tensorflow_of
from unidl.layers.preprocessing.category_encoding import CategoryEncoding
from unidl.layers.preprocessing.discretization import Discretization
from unidl.layers.preprocessing.hashing import HashedCrossing, Hashing
from unidl.layers.preprocessing.lookup import IntegerLookup, StringLookup, VocabularyLayer
from unidl.layers.preprocessing.normalization import Normalization
from unidl.layers.preprocessing.rescaling import Rescaling

_FLOATS = ("float16", "bfloat16", "float32", "float64")


class Cross:
    """A combination of features; made by `FeatureSpace.cross`.

    Attributes:
        name: the features' names with ``_X_`` between them.
    """

    def __init__(self, feature_names: Any, crossing_dim: int, output_mode: str = "one_hot") -> None:
        if output_mode not in ("int", "one_hot"):
            raise ValueError(f"Invalid value for argument `output_mode` of a cross: {output_mode!r}, not int, one_hot.")
        self.feature_names = tuple(feature_names)
        self.crossing_dim, self.output_mode = crossing_dim, output_mode

    @property
    def name(self) -> str:
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        return {
            "feature_names": self.feature_names,
            "crossing_dim": self.crossing_dim,
            "output_mode": self.output_mode,
        }


class Feature:
    """A feature: its dtype, the layer that preprocesses it, and how it comes out; made by `FeatureSpace.feature`."""

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str) -> None:
        if output_mode not in ("int", "one_hot", "float"):
            raise ValueError(
                f"Invalid value for argument `output_mode` of a feature: {output_mode!r}, not int, one_hot, float."
            )
        self.dtype, self.output_mode = dtype, output_mode
        self.preprocessor = deserialize(preprocessor) if isinstance(preprocessor, dict) else preprocessor

    def get_config(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "preprocessor": serialize(self.preprocessor), "output_mode": self.output_mode}


class FeatureSpace(DataLayer):
    """Preprocesses and encodes the features of structured data.

    Called on a dict of features, each of shape (), (batch,) or (batch, 1), it gives vectors. Features are named by
    kind ("float", "float_rescaled", "float_normalized", "float_discretized", "integer_categorical",
    "string_categorical", "integer_hashed", "string_hashed"), or made by the class methods of these names, or by
    `feature`.

    Args:
        features: dict of name to feature.
        output_mode: "concat" for one vector a sample, "dict" for one a feature.
        crosses: tuples of names of features that are crossed, or what `cross` made.
        crossing_dim, hashing_dim, num_discretization_bins: sizes for features and crosses that say none.

    Attributes:
        preprocessors: the layer of each feature.
        crossers: the layer of each cross.

    Example:
        >>> import unidl
        >>> space = unidl.utils.FeatureSpace({"age": "float_normalized", "city": "string_categorical"})
        >>> space.adapt({"age": [20.0, 40.0], "city": ["Rome", "Oslo"]})
        >>> unidl.ops.convert_to_numpy(space({"age": [30.0], "city": ["Oslo"]})).tolist()
        [[0.0, 0.0, 0.0, 1.0]]
    """

    #: What `saving.save_model` asks of models: there is no optimizer.
    compiled = False

    @classmethod
    def cross(cls, feature_names: Any, crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """A combination of features, hashed to `crossing_dim` bins."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A feature of `dtype` with a layer of one's own; `output_mode` is "int", "one_hot" or "float"."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """A number, as it is."""
        return Feature("float32", Identity(dtype="float32", name=_layer_name(name, "float")), "float")

    @classmethod
    def float_rescaled(cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None) -> Feature:
        """A number times `scale` plus `offset`."""
        return Feature("float32", Rescaling(scale, offset, name=_layer_name(name, "float_rescaled")), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """A number less its mean, divided by its standard deviation."""
        return Feature("float32", Normalization(axis=-1, name=_layer_name(name, "float_normalized")), "float")

    @classmethod
    def float_discretized(
        cls, num_bins: int | None, bin_boundaries: Any = None, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """The range in which a number lies."""
        layer = Discretization(bin_boundaries, num_bins, name=_layer_name(name, "float_discretized"))
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """An integer by its index in a vocabulary."""
        layer = IntegerLookup(max_tokens, num_oov_indices, name=_layer_name(name, "integer_categorical"))
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """A string by its index in a vocabulary."""
        layer = StringLookup(max_tokens, num_oov_indices, name=_layer_name(name, "string_categorical"))
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """A string by its hash."""
        return Feature("string", Hashing(num_bins, name=_layer_name(name, "string_hashed")), output_mode)

    @classmethod
    def integer_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """An integer by its hash."""
        return Feature("int32", Hashing(num_bins, name=_layer_name(name, "integer_hashed")), output_mode)

    def __init__(
        self,
        features: Any,
        output_mode: str = "concat",
        crosses: Any = None,
        crossing_dim: Any = 32,
        hashing_dim: Any = 32,
        num_discretization_bins: Any = 32,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if not features:
            raise ValueError("FeatureSpace: `features` cannot be None or empty; name at least one.")
        if output_mode not in ("dict", "concat"):
            raise ValueError(
                f"FeatureSpace: invalid value for argument `output_mode`: {output_mode!r}; it is 'concat' or 'dict'."
            )
        self.output_mode = output_mode
        self.crossing_dim, self.hashing_dim = crossing_dim, hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.features = {name: self._feature_of(name, value) for name, value in features.items()}
        self.crosses = [self._cross_of(cross) for cross in crosses or ()]
        self.preprocessors = {name: feature.preprocessor for name, feature in self.features.items()}
        self.crossers = {c.name: HashedCrossing(c.crossing_dim, name=c.name) for c in self.crosses}
        self.one_hot_encoders: dict[str, Any] = {}
        self._inputs = {name: Input((1,), dtype=f.dtype, name=name) for name, f in self.features.items()}
        self._encoded: Any = None
        self._is_adapted = False

    def _feature_of(self, name: str, feature: Any) -> Feature:
        if isinstance(feature, Feature):
            return feature
        if isinstance(feature, dict):
            return Feature(**feature["config"])
        sizes = {
            "float_discretized": (self.num_discretization_bins,),
            "integer_hashed": (self.hashing_dim,),
            "string_hashed": (self.hashing_dim,),
        }
        kinds = (
            "float", "float_rescaled", "float_normalized", "float_discretized", "integer_categorical",
            "string_categorical", "integer_hashed", "string_hashed",
        )  # fmt: skip
        if feature not in kinds:
            raise ValueError(f"FeatureSpace: Invalid feature type {feature!r} of {name!r}; there are {kinds}.")
        made: Feature = getattr(self, feature)(*sizes.get(feature, ()), name=name)
        return made

    def _cross_of(self, cross: Any) -> Cross:
        if isinstance(cross, dict):
            return Cross(**cross["config"])
        if not isinstance(cross, Cross):
            if not self.crossing_dim:
                raise ValueError("FeatureSpace: `crosses` need a `crossing_dim`, the number of bins.")
            cross = Cross(cross, self.crossing_dim)
        if unknown := [n for n in cross.feature_names if n not in self.features]:
            raise ValueError(
                f"FeatureSpace: all features of `crosses` should be present in `features`; {unknown} are not."
            )
        return cross

    # -- learning ---------------------------------------------------------------------------

    def _adaptable(self) -> list[str]:
        """Names of the features whose layers learn from data."""
        found = []
        for name, layer in self.preprocessors.items():
            given = (
                getattr(layer, "_given", None) is not None
                if isinstance(layer, Normalization)
                else layer.num_bins is None
                if isinstance(layer, Discretization)
                else getattr(layer, "_given_vocabulary", None) is not None
                if isinstance(layer, VocabularyLayer)
                else not hasattr(layer, "adapt")
            )
            if not given:
                found.append(name)
        return found

    def adapt(self, dataset: Any) -> None:
        """Let the layers learn from data.

        Args:
            dataset: a dict of columns, or an iterable of dicts (of ``(dict, labels)`` pairs): a `tf.data.Dataset`,
                batched or not, a `PyDataset`, a `DataLoader`, a list, a generator.
        """
        columns: dict[str, list[np.ndarray]] = {name: [] for name in self._adaptable()}
        for batch in self._batches(dataset):
            for name, parts in columns.items():
                if name not in batch:
                    raise ValueError(f"Layer {self.path!r}: the data lacks feature {name!r}; it has {sorted(batch)}.")
                values = host_values(dense(batch[name], self.path))
                parts.append(values.reshape(-1, 1) if values.ndim < 2 else values)
        for name, parts in columns.items():
            if not parts:
                raise ValueError(f"Layer {self.path!r}: adapt() was given an empty iterable.")
            self.preprocessors[name].adapt(np.concatenate(parts))
        self._is_adapted = True
        self._encoded = None
        self.one_hot_encoders = {}
        self.get_encoded_features()

    def _batches(self, dataset: Any) -> Iterator[dict[str, Any]]:
        if isinstance(dataset, dict):
            yield dataset
            return
        if not hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__"):
            raise ValueError(
                f"Layer {self.path!r}: adapt() takes a dict of columns or an iterable of dicts, not {dataset!r}."
            )
        for batch in batches(iter(dataset) if isinstance(dataset, (list, tuple)) else dataset, None, self.path):
            if not isinstance(batch, dict):
                raise ValueError(f"Layer {self.path!r}: adapt() takes batches that are dicts, not {type(batch)}.")
            yield batch

    def _require_adapted(self) -> None:
        if not self._is_adapted and self._adaptable():
            raise ValueError(
                f"Layer {self.path!r}: You need to call `.adapt(dataset)` before: {self._adaptable()} learn from data."
            )
        self._is_adapted = True

    # -- encoding ---------------------------------------------------------------------------

    def get_inputs(self) -> dict[str, SymbolicTensor]:
        """Symbolic inputs of shape (batch, 1), one for each feature: inputs of a model that preprocesses."""
        self._require_adapted()
        return self._inputs

    def get_encoded_features(self) -> Any:
        """The symbolic output for `get_inputs`: the input of a model that gets preprocessed data."""
        self._require_adapted()
        if self._encoded is None:
            self._encoded = self._process(self._inputs)
            self.built = self._ready = True
        return self._encoded

    def _process(self, data: dict[str, Any]) -> Any:
        """Features of shape (batch, 1) as vectors."""
        values = {name: self.preprocessors[name](data[name]) for name in self.features}
        for cross in self.crosses:
            values[cross.name] = self.crossers[cross.name]([values[name] for name in cross.feature_names])
        specs: dict[str, Any] = {**self.features, **{c.name: c for c in self.crosses}}
        names = sorted(self.features) + sorted(c.name for c in self.crosses)
        encoded = {name: self._one_hot(name, values[name], specs[name].output_mode) for name in names}
        if self.output_mode == "dict":
            return encoded
        for name, value in encoded.items():
            if _dtype(value) not in _FLOATS:
                raise ValueError(
                    f"Layer {self.path!r}: feature {name!r} of dtype {_dtype(value)} cannot be concatenated with the "
                    "others, since it is not encoded. Use output_mode='dict', or encode it."
                )
        return concatenate(list(encoded.values())) if len(encoded) > 1 else next(iter(encoded.values()))

    def _one_hot(self, name: str, value: Any, mode: str) -> Any:
        if mode != "one_hot":
            return value
        if name not in self.one_hot_encoders:
            layer = self.preprocessors.get(name) or self.crossers[name]
            dtype = _dtype(value)
            if not dtype.startswith(("int", "uint")):
                raise ValueError(
                    f"Layer {self.path!r}: feature {name!r} has output_mode='one_hot', so its preprocessor must put "
                    f"out integers, not {dtype}."
                )
            size = (
                layer.vocabulary_size()
                if isinstance(layer, (IntegerLookup, StringLookup))
                else (layer.num_bins or layer._depth)
                if isinstance(layer, Discretization)
                else getattr(layer, "num_bins", None) or getattr(layer, "num_tokens", None)
            )
            if size is None:
                raise ValueError(
                    f"Layer {self.path!r}: how many categories feature {name!r} has is unknown, so it cannot be "
                    "one-hot encoded. Use output_mode='int'."
                )
            self.one_hot_encoders[name] = CategoryEncoding(size, "multi_hot", name=f"{name}_one_hot")
        return self.one_hot_encoders[name](value)

    def __call__(self, data: Any, **kwargs: Any) -> Any:
        self.get_encoded_features()
        if not isinstance(data, dict):
            raise ValueError(f"Layer {self.path!r}: a FeatureSpace is called with a dict of features, not {data!r}.")
        if missing := [name for name in self.features if name not in data]:
            raise ValueError(f"Layer {self.path!r}: the data lacks features {missing}; it has {sorted(data)}.")
        data = {name: data[name] for name in self.features}
        if any(type(v) is SymbolicTensor for v in data.values()):
            return self._process(data)
        if any(in_graph(v) for v in data.values()):
            return self._in_pipeline(tensorflow_of(*data.values()), (data,), {})
        single = False
        for name, value in data.items():
            value = dense(value, self.path)
            if is_text(value) or not ops.is_tensor(value) or _dtype(value) == "string":
                value = host_values(value)
            rank = len(value.shape)
            single = single or rank == 0
            if rank < 2:
                value = value.reshape(-1, 1) if isinstance(value, np.ndarray) else ops.reshape(value, (-1, 1))
            data[name] = value
        encoded = self._process(data)
        return tree.map_structure(lambda t: ops.squeeze(t, 0), encoded) if single else encoded

    def compute_output_spec(self, data: Any) -> Any:  # type: ignore[override]
        """The outputs' shapes and dtypes for features of these."""
        self.get_encoded_features()
        single = any(len(v.shape) == 0 for v in data.values())
        full = {
            name: SymbolicTensor(v.shape if len(v.shape) > 1 else (v.shape[0] if v.shape else 1, 1), v.dtype)
            for name, v in data.items()
            if name in self.features
        }
        encoded = self._process(full)
        return tree.map_structure(lambda t: SymbolicTensor(t.shape[1:], t.dtype) if single else t, encoded)

    # -- configuration ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            "features": {n: {"class_name": "Feature", "config": f.get_config()} for n, f in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [{"class_name": "Cross", "config": c.get_config()} for c in self.crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new feature space from what `get_config` gave; what its layers have learned is theirs to load."""
        return cls(**config)

    def get_build_config(self) -> dict[str, Any]:
        """The shapes that the features' layers were built for."""
        return {name: layer.get_build_config() for name, layer in self.preprocessors.items()}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the features' layers for the shapes that `get_build_config` gave."""
        for name, shapes in config.items():
            if not self.preprocessors[name].built and shapes:
                self.preprocessors[name].build_from_config(shapes)
        self._is_adapted = True

    def save_own_variables(self, store: Any) -> None:
        """There are none: the features' layers have them."""

    def load_own_variables(self, store: Any) -> None:
        """There are none: the features' layers have them."""

    def save(self, filepath: Any) -> None:
        """Write a ``.keras`` file, which `saving.load_model` reads."""
        from unidl.saving import save_model

        save_model(self, filepath)


def _layer_name(name: str | None, kind: str) -> str:
    return f"{name or unique_name(kind)}_preprocessor"


def _dtype(value: Any) -> str:
    if type(value) is SymbolicTensor:
        return value.dtype
    if is_text(value) or getattr(getattr(value, "dtype", None), "name", "") == "string":
        return "string"
    return str(ops.dtype(value))
