"""A SavedModel as a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import unidl  # noqa: E402
from unidl import layers  # noqa: E402

if unidl.backend.backend() != "tensorflow":
    pytest.skip("needs UNIDL_BACKEND=tensorflow", allow_module_level=True)

X = np.random.default_rng(0).standard_normal((8, 2)).astype("float32")


class Product(tf.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        self.weight = tf.Variable([[1.0], [2.0]], name="weight")
        self.steps = tf.Variable(0, trainable=False, name="steps")

    def serve(self, x: Any) -> Any:
        return x @ self.weight

    def train(self, x: Any) -> Any:
        self.steps.assign_add(1)
        return x @ self.weight


@pytest.fixture
def folder(tmp_path: Path) -> str:
    module = Product()
    signature = [tf.TensorSpec([None, 2], tf.float32)]
    module.serve = tf.function(module.serve, signature, autograph=False)
    module.train = tf.function(module.train, signature, autograph=False)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    return str(tmp_path)


def test_it_computes_what_was_saved(folder: str) -> None:
    wanted = X @ np.array([[1.0], [2.0]], "float32")
    np.testing.assert_allclose(layers.TFSMLayer(folder)(X).numpy(), wanted, atol=1e-6)
    (output,) = layers.TFSMLayer(folder, call_endpoint="serving_default")(X).values()
    np.testing.assert_allclose(output.numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_fit_trains_its_variables(folder: str, run_eagerly: bool) -> None:
    layer = layers.TFSMLayer(folder, call_training_endpoint="train")
    assert ([v.name for v in layer.trainable_variables], len(layer.non_trainable_variables)) == (["weight"], 1)
    model = unidl.Sequential([unidl.Input((2,)), layer])
    assert model.output_shape == (None, 1)
    model.compile(unidl.optimizers.SGD(0.1), "mse", run_eagerly=run_eagerly)
    y = X @ np.array([[3.0], [-1.0]], "float32")
    losses = model.fit(X, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert layer.get_weights()[1] == 20
    frozen = layers.TFSMLayer(folder, trainable=False)
    assert not frozen.trainable_variables


def test_what_is_refused(folder: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no endpoint 'predict'.*serve"):
        layers.TFSMLayer(folder, call_endpoint="predict")
    with pytest.raises(ValueError, match=r"saved_model.pb"):
        layers.TFSMLayer(tmp_path / "nowhere")
    config = layers.TFSMLayer(folder).get_config()
    with pytest.raises(ValueError, match="safe_mode=False"):
        layers.TFSMLayer.from_config(config)
    assert layers.TFSMLayer.from_config(config, safe_mode=False)(X).shape == (8, 1)
