"""Utilities: seeds, class indices, sequences, splits."""

from __future__ import annotations

import copy
import json
import random

import numpy as np
import pytest

import unidl
from unidl import _seed
from unidl.backend import active
from unidl.utils import (
    Config,
    clear_session,
    get_source_inputs,
    is_keras_tensor,
    normalize,
    pack_x_y_sample_weight,
    pad_sequences,
    set_random_seed,
    split_dataset,
    to_categorical,
    unpack_x_y_sample_weight,
)


def test_set_random_seed_repeats_every_generator():
    def draws():
        set_random_seed(7)
        native = unidl.random.uniform((3,))
        return [random.random(), np.random.rand(), _seed.derived_seed("x"), *active.to_numpy(native).tolist()]

    assert draws() == draws()


@pytest.mark.parametrize("seed", [-1, 1.5, "x", True, 2**32, None])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="A seed is an int from 0"):
        set_random_seed(seed)


@pytest.mark.parametrize("x", [[0, 2], np.array([[0], [2]]), [0.0, 2.0], np.array([0, 2], "uint8")])
def test_to_categorical(x):
    result = to_categorical(x)
    assert result.tolist() == [[1, 0, 0], [0, 0, 1]] and result.dtype == np.float32
    assert to_categorical(x, 4).shape == (2, 4)


def test_to_categorical_of_tensors_and_of_more_dimensions():
    result = to_categorical(active.to_tensor(np.array([[0, 1], [1, 0]])), 2)
    assert active.is_tensor(result)
    np.testing.assert_array_equal(active.to_numpy(result), np.eye(2)[[[0, 1], [1, 0]]])
    assert to_categorical(np.zeros((0,), "int32"), 3).shape == (0, 3)


@pytest.mark.parametrize(
    ("x", "classes", "words"),
    [
        ([0, 3], 3, "range from 0 to 3; 3 classes are 0 to 2"),
        ([-1, 0], None, "range from -1"),
        ([0.5], None, "needs integers"),
        ([], None, "give `num_classes`"),
        (["a"], None, "Encode strings"),
    ],
)
def test_bad_classes(x, classes, words):
    with pytest.raises(ValueError, match=words):
        to_categorical(x, classes)


def test_normalize():
    x = np.array([[3.0, 4.0], [0.0, 0.0]], "float32")
    np.testing.assert_allclose(normalize(x), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(normalize(x, axis=0, order=1), [[1, 1], [0, 0]])
    assert normalize(x).dtype == np.float32 and active.is_tensor(normalize(active.to_tensor(x)))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [[0, 0, 1], [2, 3, 4]]),
        ({"padding": "post", "value": 9}, [[1, 9, 9], [2, 3, 4]]),
        ({"maxlen": 2}, [[0, 1], [3, 4]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3]]),
        ({"maxlen": 0}, [[], []]),
    ],
)
def test_pad_sequences(arguments, expected):
    result = pad_sequences([[1], [2, 3, 4]], **arguments)
    assert result.tolist() == expected and result.dtype == np.int32


def test_pad_sequences_of_vectors_of_strings_and_of_nothing():
    assert pad_sequences([np.ones((1, 2)), np.ones((3, 2))], dtype="float32").shape == (2, 3, 2)
    words = pad_sequences([["a"], ["b", "c"]], dtype=object, value="-")
    assert words.tolist() == [["-", "a"], ["b", "c"]]
    assert pad_sequences([[], [1]]).tolist() == [[0], [1]] and pad_sequences([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("sequences", "arguments", "words"),
    [
        ([1, 2], {}, "item 0 is 1, not a sequence"),
        (5, {}, "needs a list of sequences"),
        ([[1]], {"padding": "left"}, "`padding` must be 'pre' or 'post'"),
        ([[1]], {"value": "x"}, "dtype=object"),
        ([np.ones((1, 2)), np.ones((1, 3))], {}, r"item 1 has elements of shape \(3,\)"),
    ],
)
def test_bad_sequences(sequences, arguments, words):
    with pytest.raises(ValueError, match=words):
        pad_sequences(sequences, **arguments)


def values(dataset):
    return [np.asarray(v).tolist() for v in dataset.as_numpy_iterator()]


def test_split_dataset():
    x = np.arange(10)
    left, right = split_dataset((x, active.to_tensor(x)), left_size=0.8)
    assert len(left) == 8 and len(right) == 2
    assert [(int(a), int(b)) for a, b in right.as_numpy_iterator()] == [(8, 8), (9, 9)]
    left, right = split_dataset(x, left_size=3, right_size=4)
    assert values(left) == [0, 1, 2] and values(right) == [6, 7, 8, 9]
    assert values(left.batch(2)) == [[0, 1], [2]]
    left, _ = split_dataset({"a": x, "b": np.ones((10, 2))}, 5)
    assert sorted(next(iter(left))) == ["a", "b"]
    again, _ = split_dataset(left, 2)
    assert int(next(iter(again.as_numpy_iterator()))["a"]) == 0


def test_split_dataset_by_number():
    left, _ = split_dataset(np.arange(10), 4, preferred_backend="torch")
    assert int(active.to_numpy(left[3])) == 3 and len(left) == 4

    class Indexed:  # as PyTorch's data sets are
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return np.full(2, index), index

    _, right = split_dataset(Indexed(), right_size=0.5)
    assert [int(y) for _, y in right.as_numpy_iterator()] == [3, 4, 5]


def test_split_dataset_shuffled_by_a_seed():
    x = np.arange(50)
    left, right = (values(part) for part in split_dataset(x, right_size=10, shuffle=True, seed=3))
    assert sorted([*left, *right]) == list(range(50)) and left != list(range(40))
    assert values(split_dataset(x, right_size=10, shuffle=True, seed=3)[0]) == left
    set_random_seed(1)
    first = values(split_dataset(x, 25, shuffle=True)[0])
    assert values(split_dataset(x, 25, shuffle=True)[0]) != first


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "`left_size` and `right_size` are both None"),
        ({"left_size": 10}, "10 and 0 samples of 10"),
        ({"left_size": 6, "right_size": 6}, "ask for 12 samples; the dataset has 10"),
        ({"left_size": 1.5}, r"`left_size` should be.*1\.5"),
        ({"right_size": -1}, "`right_size`"),
    ],
)
def test_bad_splits(sizes, words):
    with pytest.raises(ValueError, match=words):
        split_dataset(np.zeros(10), **sizes)


def test_bad_split_types():
    with pytest.raises(TypeError, match="left_size"):
        split_dataset(np.zeros(10), "half")
    with pytest.raises(TypeError, match="received: int"):
        split_dataset(3, 2)
    with pytest.raises(ValueError, match="preferred_backend"):
        split_dataset(np.zeros(10), 2, preferred_backend="abacus")
    with pytest.raises(ValueError, match="empty"):
        split_dataset([], 2)


@pytest.mark.once
def test_config():
    config = Config(rate=0.1)
    config.units = 3
    config["name"] = "x"
    assert config.as_dict() == {"rate": 0.1, "units": 3, "name": "x"}
    assert json.loads(config.to_json()) == config.as_dict()
    assert (config.get("none", 5), config.pop("name"), "name" in config, len(config)) == (5, "x", False, 2)
    config.update({"a": 1}, b=2)
    del config["a"]
    del config.b
    with pytest.raises(AttributeError, match="Is 'units' meant"):
        config.unit
    with pytest.raises(AttributeError, match="method"):
        config.keys = 3
    config.freeze()
    assert config.frozen
    for change in (lambda: config.update(a=1), lambda: setattr(config, "a", 1), lambda: config.pop("rate")):
        with pytest.raises(ValueError, match="frozen"):
            change()
    config.unfreeze()
    config.a = 1
    assert copy.deepcopy(config).as_dict() == config.as_dict()


def test_sources_of_symbolic_tensors():
    a, b = unidl.Input((2,)), unidl.Input((2,))
    c = unidl.layers.Dense(2)(a)
    total = unidl.layers.Add()([c, b])
    assert {id(t) for t in get_source_inputs(total)} == {id(a), id(b)}
    assert get_source_inputs(c) == [a] and get_source_inputs(a) == [a] and get_source_inputs(np.ones(2)) == []
    assert is_keras_tensor(total) and not is_keras_tensor(active.to_tensor(np.ones(2)))


@pytest.mark.once
def test_clear_session():
    unidl.layers.Dense(1)
    clear_session()
    assert unidl.layers.Dense(1).name == "dense"
    assert unidl.layers.Dense(1).name == "dense_1"


@pytest.mark.once
def test_packed_batches():
    for parts in ((1, 2, 3), (1, 2, None), (1, None, None), ([1, 2], None, None)):
        assert unpack_x_y_sample_weight(pack_x_y_sample_weight(*parts)) == parts
    assert pack_x_y_sample_weight([1]) == ([1],)
