"""Preprocessing layers in `tf.data` pipelines, on every engine."""

from __future__ import annotations

import numpy as np
import pytest

from unidl import layers, ops
from unidl.backend import active
from unidl.layers.preprocessing._host import DataLayer

tf = pytest.importorskip("tensorflow")

ROWS = np.arange(12, dtype="float32").reshape(3, 4)


class Both(DataLayer):
    """A layer with a weight, an argument and two outputs."""

    def build(self, input_shape):
        self.weight = self.add_weight((input_shape["a"][-1],), "ones")

    def call(self, inputs, factor=1.0, training=False):
        scaled = ops.multiply(ops.multiply(inputs["a"], self.weight), factor)
        return {"sum": ops.add(scaled, inputs["b"]), "count": ops.cast(ops.sum(scaled, -1), "int32")}


def test_a_layer_maps_a_dataset():
    dataset = tf.data.Dataset.from_tensor_slices(ROWS).batch(2).map(layers.Rescaling(2, offset=[1, 2, 3, 4]))
    assert dataset.element_spec == tf.TensorSpec((None, 4), tf.float32)
    np.testing.assert_allclose(np.concatenate([b.numpy() for b in dataset]), ROWS * 2 + [1, 2, 3, 4])


def test_a_layer_inside_a_mapped_function_with_labels():
    layer = layers.Rescaling(0.5)
    dataset = tf.data.Dataset.from_tensor_slices((ROWS, [0, 1, 2])).map(lambda x, y: (layer(x), y))
    assert dataset.element_spec[0].shape == (4,)
    np.testing.assert_allclose([x.numpy() for x, _ in dataset], ROWS / 2)


def test_structures_arguments_and_weights():
    layer = Both()
    dataset = tf.data.Dataset.from_tensor_slices({"a": ROWS, "b": ROWS}).batch(2, drop_remainder=True)
    dataset = dataset.map(lambda x: layer(x, factor=3.0))
    assert dataset.element_spec["sum"] == tf.TensorSpec((2, 4), tf.float32)
    assert dataset.element_spec["count"] == tf.TensorSpec((2,), tf.int32)
    first = next(iter(dataset))
    np.testing.assert_allclose(first["sum"].numpy(), ROWS[:2] * 4)
    layer.weight.assign(np.zeros(4, "float32"))
    np.testing.assert_allclose(next(iter(dataset))["sum"].numpy(), ROWS[:2])  # the weight's value of that moment


def test_eager_tensors_of_tensorflow_become_the_engines():
    out = layers.Rescaling(2)(tf.constant(ROWS))
    assert active.is_tensor(out)
    np.testing.assert_allclose(ops.convert_to_numpy(out), ROWS * 2)


@pytest.mark.parametrize("make", [tf.sparse.from_dense, tf.RaggedTensor.from_tensor])
def test_sparse_and_ragged_tensors_are_refused(make):
    with pytest.raises(ValueError, match=r"'rescaling.*inputs should be dense tensors, but a (sparse|ragged) one"):
        layers.Rescaling(2)(make(tf.constant(ROWS)))


def test_tensorflow_is_not_imported_for_it(fresh_python):
    if active.name == "tensorflow":
        pytest.skip("there it is the engine")
    code = "import sys, unidl; unidl.layers.Rescaling(2)([[1.0]]); print('tensorflow' in sys.modules)"
    assert fresh_python(code).strip() == "False"
