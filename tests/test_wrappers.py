"""Models as estimators of scikit-learn."""

from __future__ import annotations

import pickle
import sys
import unittest

import numpy as np
import pytest

import unidl
from unidl import layers
from unidl.backend import active

pytest.importorskip("sklearn", minversion="1.6")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from unidl.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

pytestmark = pytest.mark.skipif(not active.trains, reason="this backend does not train")


def network(X, y, loss, units=8, activation="softmax", rate=0.05):
    model = unidl.Sequential(
        [
            unidl.Input((X.shape[1],)),
            layers.Dense(units, activation="relu"),
            layers.Dense(y.shape[1] if y.ndim > 1 else 1, activation=activation),
        ]
    )
    model.compile(unidl.optimizers.Adam(rate), loss)
    return model


def clusters(names=("ant", "bee", "cow")):
    rng = np.random.default_rng(0)
    where = rng.integers(0, len(names), 60)
    x = rng.normal(size=(60, 3)) * 0.3 + np.eye(3)[where] * 3
    return x, np.array(names)[where]


def classifier(**options):
    unidl.utils.set_random_seed(1)
    return SKLearnClassifier(
        network, model_kwargs={"loss": "categorical_crossentropy"}, fit_kwargs={"epochs": 15, "verbose": 0, **options}
    )


def test_classifier():
    x, y = clusters()
    found = make_pipeline(StandardScaler(), classifier()).fit(x, y)
    assert found.score(x, y) > 0.95
    assert set(found.predict(x)) == {"ant", "bee", "cow"}
    own = found[-1]
    assert own.classes_.tolist() == ["ant", "bee", "cow"] and own.epoch_ == 15 and own.n_features_in_ == 3
    assert own.decision_function(x).shape == (60, 3)
    with pytest.raises(ValueError, match="one class"):
        classifier().fit(x, np.zeros(60))
    with pytest.raises(ValueError, match="Only binary and multiclass"):
        classifier().fit(x, x[:, 0])
    assert classifier().fit(x, y, epochs=2).epoch_ == 2


def test_regressor_and_transformer():
    x, _ = clusters()
    y = x @ [1.0, 2.0, -1.0]
    options = {"model_kwargs": {"loss": "mse", "activation": "linear"}, "fit_kwargs": {"epochs": 40, "verbose": 0}}
    unidl.utils.set_random_seed(1)
    found = SKLearnRegressor(network, **options).fit(x, y)
    assert found.score(x, y) > 0.8 and found.predict(x).shape == (60,)
    assert SKLearnTransformer(network, **options).fit(x, y).transform(x).shape == (60, 1)


def test_search():
    x, y = clusters()
    estimator = classifier(epochs=8)
    loss = {"loss": "categorical_crossentropy"}
    grid = {"model_kwargs": [{**loss, "rate": 0.0}, {**loss, "rate": 0.05}]}
    found = GridSearchCV(estimator, grid, cv=2).fit(x, y)
    assert found.best_params_["model_kwargs"]["rate"] == 0.05


def test_copies():
    x, y = clusters()
    found = classifier().fit(x, y)
    fresh = clone(found)
    assert fresh.get_params() == found.get_params() and not hasattr(fresh, "model_")
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_allclose(again.decision_function(x), found.decision_function(x), rtol=1e-5)
    assert again.history_.history == found.history_.history


def test_a_model_instead_of_a_function():
    x, y = clusters()
    model = network(x, np.zeros((1, 3)), "categorical_crossentropy")
    before = model.get_weights()
    found = SKLearnClassifier(model, fit_kwargs={"epochs": 2, "verbose": 0}).fit(x, y)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert found.model_ is not model
    assert pickle.loads(pickle.dumps(found)).predict(x).tolist() == found.predict(x).tolist()
    warm = SKLearnClassifier(model, warm_start=True, fit_kwargs={"epochs": 1, "verbose": 0})
    first = warm.fit(x, y).model_
    assert warm.fit(x, y).model_ is first
    with pytest.raises(RuntimeError, match="must be compiled"):
        SKLearnClassifier(unidl.Sequential([unidl.Input((3,)), layers.Dense(3)])).fit(x, y)
    with pytest.raises(TypeError, match="`model` must be"):
        SKLearnClassifier("net").fit(x, y)
    with pytest.raises(TypeError, match="must return a model"):
        SKLearnClassifier(lambda X, y: None).fit(x, y)
    with pytest.raises(RuntimeError, match="enable_metadata_routing"):
        warm.set_fit_request(sample_weight=True)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.utils.validation", None)
    with pytest.raises(ImportError, match=r"pip install 'unidl\[sklearn\]'"):
        unidl.wrappers.SKLearnClassifier
    with pytest.raises(AttributeError, match="Other"):
        unidl.wrappers.Other


# What scikit-learn wants of every estimator; these need a model that fits better, or the same twice.
_NOT_OURS = {
    "check_classifiers_one_label_sample_weights", "check_classifiers_classes", "check_classifier_data_not_an_array",
    "check_supervised_y_2d", "check_fit_idempotent", "check_classifiers_train", "check_classifiers_regression_target",
    "check_parameters_default_constructible",
}  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize("kind", [SKLearnClassifier, SKLearnRegressor, SKLearnTransformer])
@pytest.mark.filterwarnings("ignore")
def test_what_scikit_learn_wants(kind):
    loss = "categorical_crossentropy" if kind is SKLearnClassifier else "mse"
    estimator = kind(network, model_kwargs={"loss": loss}, fit_kwargs={"verbose": 0, "epochs": 3})
    done = 0
    for one, check in estimator_checks_generator(estimator, legacy=True):
        if getattr(check, "func", check).__name__ in _NOT_OURS:
            continue
        try:
            check(one)
        except unittest.SkipTest:
            continue
        done += 1
    assert done > 20
