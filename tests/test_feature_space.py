"""`utils.FeatureSpace`: every kind of feature, what it learns from, models around it, pipelines."""

from __future__ import annotations

import json

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.utils import FeatureSpace, PyDataset

COUNT = 40
_rng = np.random.default_rng(0)
TABLE = {
    "price": _rng.uniform(1, 9, COUNT).astype("float32"),
    "size": _rng.normal(50, 10, COUNT).astype("float32"),
    "age": _rng.integers(0, 90, COUNT).astype("int32"),
    "rooms": _rng.integers(1, 6, COUNT).astype("int32"),
    "city": _rng.choice(["Rome", "Oslo", "Bonn"], COUNT),
    "street": _rng.choice(["a", "b", "c", "d"], COUNT),
}
ALL = {
    "price": "float_rescaled", "size": "float_normalized", "age": "integer_hashed", "rooms": "integer_categorical",
    "city": "string_categorical", "street": "string_hashed",
}  # fmt: skip
NUMBERS = {k: v for k, v in ALL.items() if k not in ("city", "street")}


def host(value):
    return ops.convert_to_numpy(value)


def space(features=ALL, **arguments):
    made = FeatureSpace(features, **{"hashing_dim": 8, "crossing_dim": 4, **arguments})
    made.adapt(TABLE)
    return made


def test_every_kind_of_feature():
    made = space({**ALL, "age": FeatureSpace.float_discretized(3)}, crosses=[("city", "rooms")], output_mode="dict")
    out = made(TABLE)
    widths = {k: v.shape[1] for k, v in out.items()}
    assert widths == {"age": 3, "city": 4, "price": 1, "rooms": 6, "size": 1, "street": 8, "city_X_rooms": 4}
    np.testing.assert_allclose(host(out["price"])[:, 0], TABLE["price"])
    assert abs(host(out["size"]).mean()) < 1e-5
    for name in ("age", "city", "rooms", "street", "city_X_rooms"):
        np.testing.assert_array_equal(host(out[name]).sum(1), 1)
    words = made.preprocessors["city"].get_vocabulary()
    assert [words[i] for i in host(out["city"]).argmax(1)] == TABLE["city"].tolist()
    assert isinstance(made.crossers["city_X_rooms"], layers.HashedCrossing)


def test_one_sample_is_a_row_of_many():
    made = space(crosses=[("city", "street")])
    many = host(made(TABLE))
    assert many.shape == (COUNT, 1 + 1 + 8 + 6 + 4 + 8 + 4)
    one = host(made({k: v[3] for k, v in TABLE.items()}))
    np.testing.assert_allclose(one, many[3], atol=1e-6)
    columns = host(made({k: v[:, None] for k, v in TABLE.items()}))
    np.testing.assert_allclose(columns, many, atol=1e-6)


class Batches(PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {k: v[index * 10 : index * 10 + 10] for k, v in TABLE.items()}, np.zeros(10)


def _loader():
    torch = pytest.importorskip("torch")
    rows = [{k: v[i] for k, v in TABLE.items()} for i in range(COUNT)]
    return torch.utils.data.DataLoader(rows, batch_size=16, collate_fn=lambda b: {k: np.array([r[k] for r in b]) for k in b[0]})  # fmt: skip  # noqa: E501


def _tf(batched):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices(TABLE)
    return data.batch(16) if batched else data


@pytest.mark.parametrize(
    "make",
    [Batches, _loader, lambda: _tf(True), lambda: _tf(False), lambda: iter([TABLE]), lambda: [TABLE]],
    ids=["PyDataset", "DataLoader", "tf.data", "tf.data of rows", "iterator", "list"],
)
def test_it_learns_from_anything(make):
    made = FeatureSpace(ALL, hashing_dim=8)
    made.adapt(make())
    np.testing.assert_allclose(host(made(TABLE)), host(space()(TABLE)), atol=1e-5)


def test_a_model_of_raw_and_one_of_encoded_features():
    made = space(NUMBERS)
    features = made.get_encoded_features()
    assert features.shape == (None, 1 + 1 + 8 + 6)
    head = layers.Dense(1)(features)
    trained = unidl.Model(features, head)
    whole = unidl.Model(made.get_inputs(), head)
    encoded = host(made(TABLE))
    if active.trains:
        trained.compile("sgd", "mse")
        trained.fit(encoded, TABLE["price"], verbose=0)
    raw = {k: v[:, None] for k, v in TABLE.items() if k in NUMBERS}
    np.testing.assert_allclose(whole.predict(raw, verbose=0), trained.predict(encoded, verbose=0), rtol=1e-4, atol=1e-4)


def test_a_pipeline():
    tf = pytest.importorskip("tensorflow")
    made = space(crosses=[("city", "street")])
    want = host(made(TABLE))
    rows = tf.data.Dataset.from_tensor_slices(TABLE).map(made)
    assert rows.element_spec == tf.TensorSpec((want.shape[1],), tf.float32)
    np.testing.assert_allclose(np.stack(list(rows.as_numpy_iterator())), want, atol=1e-6)
    batches = tf.data.Dataset.from_tensor_slices((TABLE, TABLE["price"])).batch(16).map(lambda x, y: (made(x), y))
    np.testing.assert_allclose(np.concatenate([x.numpy() for x, _ in batches]), want, atol=1e-6)


def test_configuration_and_state(tmp_path):
    texts = layers.TextVectorization(output_mode="tf_idf", name="words")
    features = {**ALL, "city": FeatureSpace.feature("string", texts, "float")}
    made = space(features, crosses=[FeatureSpace.cross(("rooms", "street"), 5)])
    again = FeatureSpace.from_config(json.loads(json.dumps(made.get_config())))
    again.build_from_config(made.get_build_config())
    for name, layer in made.preprocessors.items():
        folder, store = tmp_path / name, {}
        folder.mkdir()
        if hasattr(layer, "save_assets"):
            layer.save_assets(folder)
            again.preprocessors[name].load_assets(folder)
        layer.save_own_variables(store)
        again.preprocessors[name].load_own_variables(store)
    np.testing.assert_allclose(host(again(TABLE)), host(made(TABLE)), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeatureSpace({}), "cannot be None or empty"),
        (lambda: FeatureSpace({"a": "string"}), "Invalid feature type 'string' of 'a'"),
        (lambda: FeatureSpace({"a": "float"}, output_mode="list"), "`output_mode`"),
        (lambda: FeatureSpace({"a": "integer_hashed"}, crosses=[("a", "b")]), r"\['b'\] are not"),
        (lambda: FeatureSpace({"a": "integer_hashed"}, crosses=[("a", "a")], crossing_dim=None), "`crossing_dim`"),
        (lambda: FeatureSpace({"a": "float_normalized"})({"a": [1.0]}), r"call `.adapt\(dataset\)` before: \['a'\]"),
        (lambda: FeatureSpace({"a": "float"})([1.0]), "called with a dict"),
        (lambda: FeatureSpace({"a": "float"})({"b": [1.0]}), r"lacks features \['a'\]"),
        (lambda: FeatureSpace({"a": "float_normalized"}).adapt({"b": [1.0]}), "lacks feature 'a'"),
        (lambda: FeatureSpace({"a": "float_normalized"}).adapt(3), "dict of columns"),
        (lambda: FeatureSpace({"a": FeatureSpace.integer_hashed(3, "int")})({"a": [1]}), "cannot be concatenated"),
        (lambda: FeatureSpace.cross(("a", "b"), 3, "float"), "`output_mode` of a cross"),
        (lambda: FeatureSpace.feature("int32", None, "other"), "`output_mode` of a feature"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()
