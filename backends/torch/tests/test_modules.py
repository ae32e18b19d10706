"""torch.nn.Module as a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import unidl  # noqa: E402
from unidl import layers  # noqa: E402

if unidl.backend.backend() != "torch":
    pytest.skip("needs UNIDL_BACKEND=torch", allow_module_level=True)

X = np.random.default_rng(0).standard_normal((12, 4)).astype("float32")
Y = X[:, :1] * 2


def net() -> Any:
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def test_its_parameters_are_weights_and_its_buffers_are_not_trained() -> None:
    module = net()
    before = list(module.parameters())
    layer = layers.TorchModuleWrapper(module, name="net")
    assert [v.path for v in layer.trainable_variables][:2] == ["net/0.weight", "net/0.bias"]
    assert [v.name for v in layer.non_trainable_variables] == [
        "1.running_mean", "1.running_var", "1.num_batches_tracked"
    ]  # fmt: skip
    assert all(a is b for a, b in zip(before, layer.trainable_variables, strict=True))  # an old optimizer still fits
    layer.trainable = False
    assert not layer.trainable_variables and not module[0].weight.requires_grad
    layer.trainable = True
    assert len(layer.trainable_variables) == 6 and module[0].weight.requires_grad


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_fit_trains_it_and_counts_its_statistics(run_eagerly: bool) -> None:
    torch.manual_seed(0)
    model = unidl.Sequential([unidl.Input((4,)), layers.TorchModuleWrapper(net()), layers.Dense(1)])
    assert model.output_shape == (None, 1)
    module = model.layers[-2].module
    weight, mean = module[0].weight.detach().clone(), module[1].running_mean.clone()
    model.compile(unidl.optimizers.SGD(0.05), "mse", run_eagerly=run_eagerly)
    losses = model.fit(X, Y, batch_size=6, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert (module[0].weight != weight).any() and (module[1].running_mean != mean).any()
    assert int(module[1].num_batches_tracked) == 16
    model.predict(X, verbose=0)
    assert int(module[1].num_batches_tracked) == 16
    frozen = module[0].weight.detach().clone()
    model.layers[-2].trainable = False
    model.compile(unidl.optimizers.SGD(0.05), "mse", run_eagerly=run_eagerly)
    model.fit(X, Y, verbose=0)
    assert (module[0].weight == frozen).all()


def test_a_module_that_is_an_attribute_becomes_a_layer(tmp_path: Path) -> None:
    class Net(unidl.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(4, 3)
            self.last = layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.last(self.first(x))

    model, other = Net(), Net()
    assert isinstance(model.first, layers.TorchModuleWrapper)
    wanted = model(X).detach().numpy()
    other(X)
    assert len(model.trainable_variables) == 4 and len(model.layers) == 2
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_allclose(other(X).detach().numpy(), wanted, atol=1e-6)


def test_copies_and_what_is_refused() -> None:
    layer = layers.TorchModuleWrapper(torch.nn.Linear(2, 3), output_shape=(None, 3))
    copy = layers.TorchModuleWrapper.from_config(layer.get_config())
    assert copy.module is not layer.module and (copy.module.weight == layer.module.weight).all()
    assert copy.compute_output_shape((5, 2)) == (None, 3)
    with pytest.raises(ValueError, match=r"torch\.load"):
        layers.TorchModuleWrapper.from_config({"module": {"class_name": "__bytes__"}})
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        layers.TorchModuleWrapper("linear")
    with pytest.raises(ValueError, match="not initialized"):
        layers.TorchModuleWrapper(torch.nn.LazyLinear(3))
