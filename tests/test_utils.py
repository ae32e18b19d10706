"""Utilities: seeds, class indices, sequences, splits."""

from __future__ import annotations

import random

import numpy as np
import pytest

import unidl
from unidl import _seed
from unidl.backend import active
from unidl.utils import normalize, pad_sequences, set_random_seed, split_dataset, to_categorical


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


def test_split_dataset():
    x = np.arange(10)
    (lx, ly), (rx, ry) = split_dataset((x, active.to_tensor(x)), left_size=0.8)
    assert lx.tolist() == list(range(8)) and rx.tolist() == [8, 9]
    np.testing.assert_array_equal(active.to_numpy(ly), lx)
    np.testing.assert_array_equal(active.to_numpy(ry), rx)
    left, right = split_dataset(x, left_size=3, right_size=4)
    assert left.tolist() == [0, 1, 2] and right.tolist() == [3, 4, 5, 6]


def test_split_dataset_shuffled_by_a_seed():
    x = np.arange(50)
    left, right = split_dataset(x, right_size=10, shuffle=True, seed=3)
    assert sorted([*left, *right]) == list(range(50)) and left.tolist() != list(range(40))
    assert split_dataset(x, right_size=10, shuffle=True, seed=3)[0].tolist() == left.tolist()
    set_random_seed(1)
    first = split_dataset(x, 25, shuffle=True)[0].tolist()
    assert split_dataset(x, 25, shuffle=True)[0].tolist() != first


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "needs `left_size` or `right_size`"),
        ({"left_size": 10}, "10 and 0 samples of 10"),
        ({"left_size": 6, "right_size": 6}, "6 and 6 samples of 10"),
        ({"left_size": 1.0}, r"`left_size` must be an int of samples or a float.*1\.0"),
        ({"right_size": -1}, "`right_size`"),
    ],
)
def test_bad_splits(sizes, words):
    with pytest.raises(ValueError, match=words):
        split_dataset(np.zeros(10), **sizes)
