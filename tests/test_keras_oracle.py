"""Every layer of `layer_cases` against Keras: same weights, same inputs, same outputs, masks and gradients.

Keras runs once, on TensorFlow, in a process of its own. Since all backends are compared with each
other by the conformance kit, one of them is enough here.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from keras_process import run_with_keras
from layer_cases import BY_NAME, CASES, SIZES, TRAINED, Case, array, data, make, structure, weight_value
from weighted import weighted_sum

import unidl
from unidl import layers, ops, tree
from unidl.backend import active

if active.name != "torch":
    pytest.skip("one backend is compared with Keras, the others with it", allow_module_level=True)

COMPARED = [case for case in CASES if case.keras]
each = pytest.mark.parametrize("case", COMPARED, ids=lambda case: case.name)


def masks_of(case: Case) -> Any:
    """Arrays for the masks of a case: one, or a list with None where there is none."""
    rng = np.random.default_rng(7)
    if case.masks is None or case.masks == []:
        return None
    return structure(case.masks, lambda s: None if s is None else array(s, SIZES, rng))


def with_weights(case: Case) -> tuple[Any, Any, dict[str, Any]]:
    layer = make(case, layers)
    inputs, tensors = (tree.map_structure(ops.convert_to_tensor, v) for v in data(case))
    layer(inputs, **tensors, **case.flags)
    layer.set_weights(
        [weight_value(v.name, tuple(active.shape(v)), f"{case.name}{i}") for i, v in enumerate(layer.weights)]
    )
    return layer, inputs, tensors


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What Keras gives for all cases, by ``<case>/<what>/<index>``."""
    folder = tmp_path_factory.mktemp("keras")
    weights = {}
    for case in COMPARED:
        layer, *_ = with_weights(case)
        for i, value in enumerate(layer.get_weights()):
            weights[f"{case.name}/{i}"] = value
    np.savez(folder / "weights.npz", **weights)
    (folder / "cases.json").write_text(json.dumps([case.name for case in COMPARED]))
    run_with_keras("keras_oracle.py", folder)
    with np.load(folder / "results.npz") as results:
        return dict(results)


def expected(results: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    found = []
    while (key := f"{prefix}/{len(found)}") in results:
        found.append(results[key])
    return found


def compare(actual: Any, wanted: list[np.ndarray], tolerance: float) -> None:
    flat = [v if isinstance(v, np.ndarray) else active.to_numpy(v) for v in tree.flatten(actual)]
    assert [a.shape for a in flat] == [w.shape for w in wanted]
    for a, w in zip(flat, wanted, strict=True):
        np.testing.assert_allclose(a, w, rtol=1e-4, atol=tolerance)


@each
def test_weights_have_the_names_shapes_and_order_of_keras(case: Case, keras: dict[str, np.ndarray]) -> None:
    layer, *_ = with_weights(case)
    names = [str(n) for n in keras[f"{case.name}/names/0"]]
    assert [v.name for v in layer.weights] == names
    assert len(layer.trainable_weights) == int(keras[f"{case.name}/trainable/0"])


@each
def test_outputs_are_those_of_keras(case: Case, keras: dict[str, np.ndarray]) -> None:
    layer, inputs, tensors = with_weights(case)
    found = layer(inputs, **tensors, **case.flags, training=False)
    compare(found, expected(keras, f"{case.name}/inference"), case.tolerance)


@each
def test_training_is_that_of_keras(case: Case, keras: dict[str, np.ndarray]) -> None:
    """Outputs and the weights that the call moved; of layers with randomness the shapes."""
    layer, inputs, tensors = with_weights(case)
    outputs = layer(inputs, **tensors, **case.flags, training=True)
    wanted = expected(keras, f"{case.name}/training")
    if case.random:
        assert [tuple(active.shape(v)) for v in tree.flatten(outputs)] == [w.shape for w in wanted]
        return
    compare(outputs, wanted, case.tolerance)
    compare(layer.get_weights(), expected(keras, f"{case.name}/moved"), case.tolerance)


@pytest.mark.parametrize("case", [c for c in TRAINED if c.keras], ids=lambda c: c.name)
def test_gradients_are_those_of_keras(case: Case, keras: dict[str, np.ndarray]) -> None:
    layer, inputs, tensors = with_weights(case)

    def loss() -> Any:
        return weighted_sum(layer(inputs, **tensors, **case.flags, training=True))

    variables = layer.trainable_variables
    _, found = unidl.value_and_grad(loss, variables)()
    gradients = [ops.zeros_like(v) if g is None else g for v, g in zip(variables, found, strict=True)]
    compare(gradients, expected(keras, f"{case.name}/gradients"), 20 * case.tolerance)


@pytest.mark.parametrize("case", [c for c in COMPARED if c.masks is not None], ids=lambda case: case.name)
def test_masks_pass_on_as_in_keras(case: Case, keras: dict[str, np.ndarray]) -> None:
    layer, inputs, _ = with_weights(case)
    masks = tree.map_structure(lambda m: None if m is None else ops.convert_to_tensor(m), masks_of(case))
    found = [m for m in tree.flatten(layer.compute_mask(inputs, masks)) if m is not None]
    compare(found, expected(keras, f"{case.name}/mask"), 0)


#: Cases with outputs that are not random, and not those of Keras on TensorFlow.
OTHERWISE = {
    "spectral_normalization_embedding": "Keras casts the outputs to the integer dtype of the inputs",
    "attention_masks": "a row without anything to attend to",
    "normalization": "Keras takes the weights that it is given only after finalize_state()",
    "normalization_axes": "as above",
    "normalization_one": "as above",
    "integers_hashed": "Keras only takes unknown integers modulo the number of indices",
    "resizing_bicubic": "another cubic kernel",
    "random_rotation_wrap": "another convention at the border",
    "random_shear_fixed": "ours is relative to width and height, as the documentation says",
    "random_saturation_fixed": "one factor means another range; test_image_oracle.py compares the transformation",
    "random_invert_fixed": "Keras draws twice; test_image_oracle.py compares the transformation",
    "equalization": "each image by itself; Keras pools the batch",
    "equalization_bins": "as above",
    "clahe": "another way to clip the histogram",
    "clahe_any_size": "as above",
}


def test_the_cases_that_keras_computes_otherwise_are_known() -> None:
    assert {name for name, case in BY_NAME.items() if not case.keras and not case.random} == set(OTHERWISE)
