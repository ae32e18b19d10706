"""`unidl compare`: engines that agree, and the first node at which they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unidl._select import found, has_engine
from unidl.cli import main
from unidl.errors import BackendError
from unidl.testing import compare
from unidl.testing.comparing import CompareError, measure

_MISSING = [n for n in ("torch", "mxnet", "numpy") if n not in found() or not has_engine(n)]
pytestmark = [pytest.mark.once, pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {_MISSING}")]

SCRIPT = """
import numpy as np
import unidl
from unidl import layers, ops

ODD = unidl.backend.backend() != "torch"


class Scaled(layers.Layer):
    def call(self, x):
        return x * (1.01 if ODD else 1.0)


class Slope(layers.Layer):
    '''The identity, with another derivative on one engine.'''

    def call(self, x):
        return x + (0.5 if ODD else 0.0) * (x - ops.stop_gradient(x))


def net(*inside):
    return unidl.Sequential(
        [unidl.Input((5,)), layers.Dense(4, activation="gelu"), *inside, layers.Dense(2)], name="net"
    )


def plain():
    return net()


def value():
    return net(Scaled(name="scaled"))


def gradient():
    return net(Slope(name="slope"))


def structure():
    return net(layers.Dense(3 + ODD, name="wide"))


def more_ops():
    return net(*[layers.ReLU()] * ODD)


def given():
    return net(), np.full((3, 5), 7.0, "float32")


def failing():
    if ODD:
        raise RuntimeError("planted failure")
    return net()


def images():
    x = unidl.Input((6, 6, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.Dropout(0.3)(layers.BatchNormalization()(y))
    return unidl.Model(x, layers.Dense(3, activation="softmax")(layers.LSTM(5)(layers.Reshape((6, 24))(y))))


def tokens():
    return unidl.Sequential([unidl.Input((None,)), layers.Embedding(7, 4), layers.GRU(3)])
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def small() -> Any:
    """A model for other processes, which import this module."""
    import unidl

    return unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2)])


def test_measure() -> None:
    x = np.asarray([1.0, np.nan, np.inf, 0.0], "float32")
    assert measure(x, x.copy(), 0.0, 0.0).excess == 0
    y = np.asarray([1.0, np.nan, np.inf, 0.5], "float32")
    found = measure(x, y, 0.1, 0.0)
    assert found.excess == pytest.approx(5) and found.where == (3,) and found.wrong == 1 and found.size == 4
    assert measure(x, y, 0.1, 0.0, scale=10).excess == pytest.approx(0.5)
    assert measure(x, np.asarray([1.0, 0.0, np.inf, 0.0], "float32"), 0.1, 1.0).excess == np.inf
    assert measure(x, x[:2], 1.0, 1.0).excess == np.inf
    assert measure(np.asarray([1, 2]), np.asarray([1, 3]), 0.0, 0.0).wrong == 1


@pytest.mark.parametrize("name", ["images", "tokens"])
def test_engines_agree(script: str, name: str) -> None:
    result = compare(f"{script}:{name}", ["torch", "mxnet", "numpy"], training=name == "images")
    assert result.agrees, str(result)
    assert {d.kind for d in result.compared} == {"value", "gradient"}
    kernels = [d for d in result.compared if d.kind == "gradient" and "kernel" in d.tensor]
    assert kernels and all(d.engines == ("torch", "mxnet") for d in kernels)
    assert "numpy has no gradients" in str(result) and "All agree" in str(result)


def test_a_value_that_differs_is_found_at_its_layer(script: str) -> None:
    result = compare(f"{script}:value", ["torch", "numpy"], batch=3)
    assert result.first is not None
    assert (result.first.kind, result.first.path, result.first.op) == ("value", "net/scaled", "multiply")
    assert result.first.shape == (3, 4) and result.first.measured.wrong == 12
    assert 1.0 < result.first.measured.excess == max(d.measured.excess for d in result.compared[:12])
    text = str(result)
    assert "`x2` is 1.0 on torch, 1.01 on numpy" in text and "what it read differs by at most" in text


def test_a_gradient_that_differs_is_found_at_its_layer(script: str) -> None:
    result = compare(f"{script}:gradient", ["torch", "mxnet"])
    assert result.first is not None
    assert (result.first.kind, result.first.path, result.first.op) == ("gradient", "net/slope", "multiply")
    assert all(d.measured.excess <= 1 for d in result.compared if d.kind == "value")
    assert any(d.measured.excess > 1 and "net/dense/kernel" in d.tensor for d in result.compared)


def test_inputs_weights_and_tolerances_are_those_given(script: str, tmp_path: Path) -> None:
    result = compare(f"{script}:given", ["torch", "numpy"])
    assert result.agrees and result.compared[0].shape == (3, 5)
    assert compare(f"{script}:value", ["torch", "numpy"], rtol=0.2).agrees

    import unidl

    net = unidl.Sequential([unidl.Input((5,)), unidl.layers.Dense(4), unidl.layers.Dense(2)], name="net")
    net.set_weights([np.zeros_like(w) for w in net.get_weights()])
    net.save_weights(tmp_path / "zeros.safetensors")
    assert compare(f"{script}:value", ["torch", "numpy"], weights=tmp_path / "zeros.safetensors").agrees


def test_a_function_of_a_module_can_be_compared() -> None:
    result = compare(small, ["torch", "numpy"])
    assert result.agrees and result.nodes == 1


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "structure",
            r"Variable 2: torch has net/wide/kernel float32\[4, 3\], numpy has net/wide/kernel float32\[4, 4\]",
        ),
        ("more_ops", r"Node 2: torch recorded linear in net/dense_1.*; numpy recorded relu"),
        ("failing", r"On numpy the script fails(.|\n)*RuntimeError: planted failure"),
        ("nothing", "has no 'nothing'"),
        ("ODD", "gives bool, which is no model"),
        ("", "no model, and no function `model` or `build`"),
    ],
)
def test_what_cannot_be_compared(script: str, name: str, message: str) -> None:
    with pytest.raises(CompareError, match=message):
        compare(f"{script}:{name}" if name else script, ["torch", "numpy"])


def test_backends_are_checked() -> None:
    with pytest.raises(BackendError, match="Unknown backend 'teano'"):
        compare("script.py", ["torch", "teano"])
    with pytest.raises(BackendError, match="Two or more different backends"):
        compare("script.py", ["torch", "torch"])
    with pytest.raises(CompareError, match="There is no file"):
        compare("no_such_script.py", ["torch", "numpy"])
    with pytest.raises(CompareError, match="pass a function of a module"):
        compare(lambda: None, ["torch", "numpy"])


def test_command_line(script: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", f"{script}:value", "--backends", "torch,numpy", "--all"]) == 1
    printed = capfd.readouterr().out
    assert printed.startswith("node") and "net/scaled" in printed and "differs between torch and numpy" in printed
    assert main(["compare", f"{script}:plain", "--backends", "torch,numpy", "--rtol", "0.1"]) == 0
    assert "All agree" in capfd.readouterr().out
    assert main(["compare", f"{script}:failing", "--backends", "torch,numpy"]) == 2
    assert "planted failure" in capfd.readouterr().err
