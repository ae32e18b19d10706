"""Dtype policies: what they say, and what layers do with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import dtype_policies, layers, ops
from unidl.backend import active
from unidl.dtype_policies import DTypePolicy, DTypePolicyMap

MIXED = [f"mixed_{d}" for d in ("bfloat16", "float16") if d in active.dtypes]
trains = pytest.mark.skipif(not active.trains, reason="this backend has no gradients")


@pytest.fixture(autouse=True)
def default_policy() -> Iterator[None]:
    before = dtype_policies.dtype_policy()
    yield
    dtype_policies.set_dtype_policy(before)


def test_policies_are_equal_by_what_they_say() -> None:
    assert DTypePolicy("float32") == dtype_policies.FloatDTypePolicy("float32") != DTypePolicy("float64")
    for policy in (
        DTypePolicy("mixed_float16"),
        dtype_policies.QuantizedDTypePolicy("int8", "float32"),
        dtype_policies.QuantizedFloat8DTypePolicy("float8", "mixed_bfloat16", 64),
        dtype_policies.Int4DTypePolicy("int4/128", "float32"),
        dtype_policies.GPTQDTypePolicy("gptq/4/128", "float32"),
        dtype_policies.AWQDTypePolicy("awq/4/-1", "float32"),
        DTypePolicyMap("float32", {"a/.*": "float64"}),
    ):
        assert dtype_policies.deserialize(dtype_policies.serialize(policy)) == policy
        assert dtype_policies.get(policy) is policy
    assert dtype_policies.get("int8_from_float32").quantization_mode == "int8"
    assert dtype_policies.get(np.float32).name == "float32"


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: DTypePolicy("float31"), ValueError, "float31"),
        (lambda: DTypePolicy(3), TypeError, "string"),  # type: ignore[arg-type]
        (lambda: dtype_policies.get(object()), ValueError, "dtype"),
        (lambda: dtype_policies.set_dtype_policy(3), ValueError, "policy"),
        (lambda: dtype_policies.QuantizedDTypePolicy("int9", "float32"), ValueError, "int9"),
        (lambda: dtype_policies.QuantizedDTypePolicy("int8", "mixed_float16"), ValueError, "float16"),
        (lambda: dtype_policies.GPTQDTypePolicy("gptq/5/128"), ValueError, "weight_bits"),
        (lambda: dtype_policies.GPTQDTypePolicy("gptq/4"), ValueError, "gptq/<weight_bits>/<group_size>"),
        (lambda: dtype_policies.Int4DTypePolicy("int4/0"), ValueError, "block_size"),
        (lambda: DTypePolicyMap(DTypePolicyMap()), ValueError, "default_policy"),
        (lambda: DTypePolicyMap("float32", {"a.*": "float64", ".*b": "float16"})["ab"], ValueError, "'ab'"),
    ],
)
@pytest.mark.once
def test_what_is_no_policy_is_refused(make: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        make()


@pytest.mark.parametrize("policy", MIXED)
def test_mixed_layers_keep_float32_weights_and_compute_in_16_bits(policy: str) -> None:
    half = policy.removeprefix("mixed_")
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(2, 6)
    layer = layers.Dense(3, activation="tanh", dtype=policy)
    eager = layer(x)
    assert active.dtype(eager) == half and {active.dtype(v) for v in layer.weights} == {"float32"}
    inputs = layers.Input((6,))
    model = unidl.Model(inputs, layer(inputs))
    assert model.outputs[0].dtype == half
    exact = np.tanh(x @ active.to_numpy(layer.kernel))
    for value in (eager, model(x)):
        found = active.to_numpy(value)
        assert active.dtype(value) == half
        np.testing.assert_allclose(found.astype("float32"), exact, atol=0.02)


@pytest.mark.parametrize("policy", MIXED)
def test_own_variables_of_a_mixed_layer_are_read_in_16_bits(policy: str) -> None:
    class Counted(layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight((shape[-1],), "ones")
            self.seen = self.add_weight((), "zeros", trainable=False, autocast=False)

        def call(self, x: Any) -> Any:
            self.seen.assign_add(ops.cast(ops.shape(x)[0], "float32"))
            seen.append(ops.relu(self.scale))
            return self.scale * x

    seen: list[Any] = []
    layer = Counted(dtype=policy)
    half = policy.removeprefix("mixed_")
    assert active.dtype(layer(ops.ones((3, 2)))) == half and active.dtype(seen[0]) == half
    assert float(active.to_numpy(layer.seen)) == 3
    assert active.dtype(layers.Dense(2)(ops.ones((1, 2)))) == "float32"  # nothing stays behind


@trains
@pytest.mark.parametrize("policy", MIXED)
def test_mixed_models_train_their_float32_weights(policy: str) -> None:
    dtype_policies.set_dtype_policy(policy)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 4)).astype("float32")
    y = x @ rng.standard_normal((4, 1)).astype("float32")
    model = unidl.Sequential([unidl.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(1, dtype="float32")])
    model.compile(unidl.optimizers.SGD(0.05), "mse")
    assert model.dtype_policy.name == policy
    first = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=5, verbose=0)
    assert model.evaluate(x, y, verbose=0) < first / 2
    assert {active.dtype(v) for v in model.weights} == {"float32"}


def test_a_map_gives_layers_policies_by_path() -> None:
    layer = layers.Dense(2, name="fine", dtype=DTypePolicyMap("float32", {"fine": "float64"}))
    assert layer.compute_dtype == "float64" and layer.dtype_policy.name == "float64"
    assert type(layer).from_config(layer.get_config()).dtype_policy.name == "float64"


@pytest.mark.skipif("bfloat16" in active.dtypes, reason="this backend has bfloat16")
def test_a_policy_that_the_backend_lacks_is_refused_by_the_layer() -> None:
    with pytest.raises(ValueError, match=r"'dense.*mixed_bfloat16.*float16"):
        layers.Dense(2, name="dense", dtype="mixed_bfloat16")
