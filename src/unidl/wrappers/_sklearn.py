"""The estimators. This module needs scikit-learn, and is loaded when one of them is first used."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from unidl.models import Model, clone_model


class _Estimator(BaseEstimator):  # type: ignore[misc,unused-ignore]
    """What the three share.

    Attributes:
        model_: the trained model.
        history_: what `fit` of the model returned.
    """

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ) -> None:
        # scikit-learn wants arguments to be kept as they are, and checked in `fit`.
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> Any:
        model = _cloned(self.model) if isinstance(self.model, Model) else self.model
        return type(self)(
            model=model,
            warm_start=self.warm_start,
            model_kwargs=copy.copy(self.model_kwargs),
            fit_kwargs=copy.copy(self.fit_kwargs),
        )

    @property
    def epoch_(self) -> int:
        """Epochs of the latest `fit`."""
        history = self.__dict__.get("history_")
        return 0 if history is None else len(history.epoch)

    def set_fit_request(self, **kwargs: Any) -> Any:
        """Ask for metadata in `fit`, as scikit-learn's routing does.

        Raises:
            RuntimeError: unless ``sklearn.set_config(enable_metadata_routing=True)``.
        """
        if not sklearn.get_config().get("enable_metadata_routing"):
            raise RuntimeError("set_fit_request needs sklearn.set_config(enable_metadata_routing=True).")
        from sklearn.utils.metadata_routing import MetadataRequest

        self._metadata_request = MetadataRequest(owner=self)
        for name, alias in kwargs.items():
            self._metadata_request.fit.add_request(param=name, alias=alias)
        return self

    def _made(self, X: np.ndarray, y: np.ndarray) -> Any:
        """The model to train: the one of the `fit` before, a fresh copy, or what the function makes."""
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            model = _cloned(self.model)
        elif callable(self.model):
            model = self.model(X=X, y=y, **(self.model_kwargs or {}))
        else:
            raise TypeError(f"`model` must be a model or a function (X, y) that makes one, not {self.model!r}.")
        if not isinstance(model, Model):
            raise TypeError(f"The function `model` must return a model, not {model!r}.")
        if not model.compiled or not model.loss or not model.optimizer:
            raise RuntimeError(f"Model {model.name!r} must be compiled, with a loss and an optimizer.")
        return model

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Train the model; `kwargs` go to its `fit`, besides `fit_kwargs`."""
        X, y = validate_data(self, X, y)
        targets = self._encoded(y)
        model = self._made(X, targets)
        self.history_ = model.fit(X, targets, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def predict(self, X: Any) -> Any:
        """What the model says of each sample, in the form of the targets."""
        return self._decoded(self._outputs(X))

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        outputs = self.model_.predict(X, verbose=self._verbose())
        if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
            outputs = outputs[0]
        return np.asarray(outputs)

    def _verbose(self) -> Any:
        return (self.fit_kwargs or {}).get("verbose", "auto")

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        """Targets as the model gets them."""
        self._target_kind(y)
        self._columns = y.ndim
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        """The model's outputs in the form of the targets."""
        return outputs[:, 0] if self._columns == 1 and outputs.ndim == 2 and outputs.shape[1] == 1 else outputs

    @staticmethod
    def _target_kind(y: np.ndarray) -> str:
        kind = str(type_of_target(y))
        if kind == "unknown":
            raise ValueError(f"Unknown label type for data: {y!r}")
        return kind

    # -- copying: a model goes as configuration and arrays ------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        from unidl.callbacks import History

        state = dict(super().__getstate__())
        for name in ("model", "model_"):
            if isinstance(state.get(name), Model):
                state[name] = _Packed(state[name])
        if isinstance(state.get("history_"), History):
            history = History()
            history.__dict__.update({k: v for k, v in state["history_"].__dict__.items() if k != "_model"})
            state["history_"] = history
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({k: v.unpacked() if isinstance(v, _Packed) else v for k, v in state.items()})


class SKLearnClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc,unused-ignore]
    """A classifier of scikit-learn.

    The model gets the classes as one-hot rows and puts out one score for each class.

    Args:
        model: a compiled model, of which a copy is trained, or a function ``model(X, y, **model_kwargs)`` that
            makes one.
        warm_start: go on training the model of the `fit` before.
        model_kwargs: for that function.
        fit_kwargs: for the model's `fit`, e.g. ``{"epochs": 5}``.

    Attributes:
        model_, history_: the trained model and its `History`.
        classes_: the classes, in the order of the outputs.
    """

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        kind = self._target_kind(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"Only binary and multiclass targets can be learned here, not {kind} ones.")
        classes, indices = np.unique(y, return_inverse=True)
        if len(classes) == 1:
            raise ValueError(f"Targets of at least two classes are needed; only one class was found: {classes[0]!r}.")
        self.classes_ = classes
        return np.eye(len(classes))[indices.reshape(-1)]

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.classes_[outputs.argmax(-1)]
        return found

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs: a score for each sample and class."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, _Estimator):  # type: ignore[misc,unused-ignore]
    """A regressor of scikit-learn. Arguments and attributes are those of `SKLearnClassifier`, without classes."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):  # type: ignore[misc,unused-ignore]
    """A transformer of scikit-learn: `transform` gives the model's outputs. Arguments as for `SKLearnClassifier`."""

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


class _Packed:
    """A model as its configuration and arrays, which can be copied to another process."""

    def __init__(self, model: Any) -> None:
        from unidl.saving import serialize_keras_object

        self.config = serialize_keras_object(model)
        self.weights = model.get_weights() if model.built else None

    def unpacked(self) -> Any:
        """The model."""
        from unidl.saving import deserialize_keras_object

        model = deserialize_keras_object(self.config)
        if self.weights is not None:
            model.set_weights(self.weights)
        return model


def _cloned(model: Any) -> Any:
    """A model of the same form with fresh weights, compiled likewise."""
    made = clone_model(model)
    if model.compiled and not made.compiled:
        made.compile_from_config(model.get_compile_config())
    return made
