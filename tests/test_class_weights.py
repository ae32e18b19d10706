"""Weights of classes, as data adapters make them weights of samples."""

from __future__ import annotations

import numpy as np
import pytest

from unidl.backend import active
from unidl.training.data import adapt


def read(adapter):
    """All batches on the host; their targets and weights are arrays."""
    return [tuple(None if t is None else active.to_numpy(t) for t in batch) for batch in adapter.batches(0)]


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 2, 1, 2]),
        np.array([[0], [2], [1], [2]]),
        np.array([0.0, 2.0, 1.0, 2.0]),
        np.eye(3)[[0, 2, 1, 2]],
    ],
    ids=["indices", "column", "floats", "one-hot"],
)
def test_class_weights(y):
    weights = {0: 1.0, 1: 10.0, 2: 0.5}
    for source in (
        adapt(np.zeros((4, 2)), y, class_weight=weights),
        adapt(iter([(np.zeros((4, 2)), y)]), class_weight=weights),
    ):
        (batch,) = read(source)
        assert batch[2].tolist() == [1.0, 0.5, 10.0, 0.5] and batch[2].dtype == np.float32


def test_class_weights_of_native_targets_times_sample_weights():
    y = active.to_tensor(np.array([0, 1], "int32"))
    (batch,) = read(adapt(np.zeros((2, 2)), y, [2.0, 3.0], class_weight={0: 1, 1: 10}))
    assert batch[2].tolist() == [2.0, 30.0]


@pytest.mark.parametrize(
    ("y", "weights", "words"),
    [
        ([0, 1, 3], {0: 1.0, 1: 1.0}, r"classes \[3\], which have no weight"),
        ([0, -1], {0: 1.0}, r"\[-1\]"),
        (np.eye(2), {0: 1.0, 1: 1.0, 5: 1.0}, r"names the classes \[5\], but `y` has 2 columns"),
        (np.zeros((2, 3, 4)), {0: 1.0}, r"shape \(2, 3, 4\)"),
        ([0.5, 1.0], {0: 1.0, 1: 1.0}, "fractions"),
        ([0, 1], {"cat": 1.0}, "'cat'"),
        ([0, 1], {0: 1.0, 1: float("nan")}, "nan"),
        ([0, 1], [1.0, 2.0], "must be a dict"),
        (None, {0: 1.0}, "needs one array of targets"),
        ({"a": [0, 1]}, {0: 1.0}, "needs one array of targets"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_bad_class_weights(y, weights, words):
    count = 2 if y is None or isinstance(y, dict) else len(y)
    with pytest.raises(ValueError, match=words):
        adapt(np.zeros((count, 2)), y, class_weight=weights)
