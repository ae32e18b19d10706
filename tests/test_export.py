"""Exported models: run by the plain engine, for another batch size than they were tried with; and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.export import ExportArchive

FORMATS = active.export_formats
SUFFIX = {"torch": ".pt2", "torchscript": ".pt"}
exporting = pytest.mark.skipif(not FORMATS, reason="the backend has no file format")


class Gated(layers.Layer):
    def call(self, x: Any) -> Any:
        return x * ops.sigmoid(ops.mean(x, axis=-1, keepdims=True))


class Branches(unidl.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = layers.Dense(3, activation="tanh"), layers.Dense(3)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.first(x) + (self.second(x) if training else x[:, :3])


def images() -> Any:
    stack = [
        layers.Conv2D(4, 3, padding="same", activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(2),
        layers.SeparableConv2D(4, 3, padding="same"), layers.Conv2DTranspose(3, 3, strides=2), layers.Dropout(0.3),
        layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax"),
    ]  # fmt: skip
    model = unidl.Sequential([unidl.Input((8, 8, 3)), *stack])
    model.layers[1].moving_mean.assign(np.arange(4, dtype="float32"))
    return model


def words() -> Any:
    x = tokens = unidl.Input((5,), dtype="int32", name="words")
    x = layers.Embedding(7, 4, mask_zero=True)(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.GRU(3, return_sequences=True)(x)
    x = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(x, x))
    return unidl.Model(tokens, {"score": layers.Dense(2)(layers.GlobalAveragePooling1D()(x))})


def video() -> Any:
    x = unidl.Input((3, 6, 6, 1))
    return unidl.Model(x, layers.TimeDistributed(layers.Flatten())(layers.ConvLSTM2D(2, 3, return_sequences=True)(x)))


def shapes() -> Any:
    x = unidl.Input((6,))
    y = layers.RepeatVector(2)(layers.Flatten()(layers.Reshape((2, 3))(x)))
    return unidl.Model(
        x, [layers.Dense(3)(Gated()(y)), ops.broadcast_to(ops.expand_dims(x, 1), (ops.shape(x)[0], 2, 6))]
    )


def numbers() -> Any:
    layer = layers.Normalization()
    layer.adapt(np.arange(12, dtype="float32").reshape(4, 3))
    x = unidl.Input((3,))
    return unidl.Model(x, layers.Concatenate()([layer(x), layers.Rescaling(2.0, 1.0)(x)]))


def subclassed() -> Any:
    model = Branches()
    model(np.ones((2, 4), "float32"))
    return model


MODELS = {f.__name__: f for f in (images, words, video, shapes, numbers, subclassed)}
BATCH = 7


def given(name: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    if name == "words":
        return rng.integers(0, 7, (BATCH, 5)).astype("int32")
    sizes = {"images": (8, 8, 3), "video": (3, 6, 6, 1), "shapes": (6,), "numbers": (3,), "subclassed": (4,)}
    return rng.random((BATCH, *sizes[name]), "float32")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[np.ndarray]]]:
    """All models in all formats, run in a process without unidl; the folder, and what the models themselves give."""
    folder, wanted = tmp_path_factory.mktemp("exported"), {}
    for name, make in MODELS.items():
        model = make()
        signature = [unidl.InputSpec(shape=(None, 4))] if name == "subclassed" else None
        for format in FORMATS:
            path = folder / f"{name}_{format}{SUFFIX.get(format, '')}"
            model.export(path, format=format, verbose=False, input_signature=signature)
        np.savez(folder / f"{name}.in.npz", **{"0": given(name)})
        wanted[name] = [active.to_numpy(t) for t in unidl.tree.flatten(model(active.to_tensor(given(name))))]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-S", "-I", "-c", _START, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, wanted


# The editable installations of a development environment are .pth files, which -S leaves out.
_START = f"""
import sys
sys.path += {[p for p in sys.path if p.endswith("site-packages")]!r}
sys.argv = ["", {active.engine!r}, sys.argv[1]]
exec(compile(open({str(Path(__file__).with_name("exported_models.py"))!r}).read(), "exported_models.py", "exec"))
"""


@exporting
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_the_plain_engine_gives_the_same(name: str, format: str, exported: Any) -> None:
    folder, wanted = exported
    with np.load(folder / f"{name}.{format}.npz") as found:
        assert len(found) == len(wanted[name])
        for i, want in enumerate(wanted[name]):
            np.testing.assert_allclose(found[f"arr_{i}"], want, rtol=1e-4, atol=1e-5)


def test_other_formats_name_the_backend(tmp_path: Path) -> None:
    model = unidl.Sequential([unidl.Input((3,)), layers.Dense(2)])
    other = "mxnet" if active.name != "mxnet" else "torchscript"
    with pytest.raises(ValueError, match=rf"{other}.*UNIDL_BACKEND={'mxnet' if other == 'mxnet' else 'torch'}"):
        model.export(tmp_path / "model", format=other)
    with pytest.raises(ValueError, match="no export format 'cassette'"):
        model.export(tmp_path / "model", format="cassette")
    with pytest.raises(ValueError, match="cassette"):
        ExportArchive("cassette")
    assert os.listdir(tmp_path) == []


@exporting
def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    class Counting(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * float(active.to_numpy(ops.sum(x)))

    class Branching(layers.Layer):
        def call(self, x: Any) -> Any:
            return ops.cond(ops.sum(x) > 3, lambda: x * 2, lambda: x)

    path, format = tmp_path / "model", FORMATS[-1]
    good = unidl.Sequential([unidl.Input((3,)), layers.Dense(2)])
    good.export(path, format=format, verbose=False)
    before = sorted(os.listdir(tmp_path))
    stamps = [os.stat(tmp_path / name).st_mtime_ns for name in before]
    bad: list[Any] = [Counting()] if active.name == "tensorflow" else [Counting(), Branching()]
    for layer in bad:
        model = unidl.Sequential([unidl.Input((3,)), layer])
        with pytest.raises(ValueError, match=r"cannot be exported"):
            model.export(path, format=format, verbose=False)
    if format == "tf_saved_model":
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "letter").write_text("dear")
        with pytest.raises(FileExistsError, match="no SavedModel"):
            good.export(tmp_path / "mine", verbose=False)
        assert (tmp_path / "mine" / "letter").read_text() == "dear"
        before.append("mine")
        before.sort()
        stamps = [os.stat(tmp_path / name).st_mtime_ns for name in before]
    unbuilt = unidl.Sequential([layers.Dense(2)])
    with pytest.raises(ValueError, match="not built"):
        unbuilt.export(path, format=format)
    assert sorted(os.listdir(tmp_path)) == before
    assert [os.stat(tmp_path / name).st_mtime_ns for name in before] == stamps
    good.export(path, format=format, verbose=False)
    assert sorted(os.listdir(tmp_path)) == before


@exporting
def test_an_archive_of_functions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = unidl.Sequential([unidl.Input((3,)), layers.Dense(2), layers.Dropout(0.5)])
    archive = ExportArchive(FORMATS[0])
    archive.track(model)
    archive.add_endpoint("doubled", lambda x: model(x) * 2, [unidl.InputSpec(shape=(None, 3), name="x")])
    archive.add_variable_collection("kernels", [model.layers[0].kernel])
    assert len(archive.variables) == 2 and len(archive.trainable_variables) == 2 and not archive.non_trainable_variables
    for name, words in (("doubled", "already"), ("not a word", "word")):
        with pytest.raises(ValueError, match=words):
            archive.add_endpoint(name, model, [unidl.InputSpec(shape=(None, 3))])
    with pytest.raises(ValueError, match="input_signature"):
        archive.add_endpoint("other", model)
    with pytest.raises(ValueError, match="no shape"):
        archive.add_endpoint("other", model, ["x"])
    archive.write_out(tmp_path / "archive")
    assert "doubled: x float32[?, 3] -> output_0 float32[?, 2]" in capsys.readouterr().out
    archive.track_and_add_endpoint("serve", model, None)
    x = np.ones((2, 3), "float32")
    want = active.to_numpy(model(active.to_tensor(x)))
    if active.name != "tensorflow":
        with pytest.raises(ValueError, match="one function"):
            archive.write_out(tmp_path / "both")
        return
    import tensorflow as tf

    archive.write_out(tmp_path / "both", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "both"))
    np.testing.assert_allclose(loaded.doubled(x), 2 * want, rtol=1e-5)
    np.testing.assert_allclose(loaded.serve(x), want, rtol=1e-5)
    assert len(loaded.kernels) == 1 and len(loaded.trainable_variables) == 2
    served = loaded.signatures["serving_default"](x=tf.constant(x))
    np.testing.assert_allclose(served["output_0"], 2 * want, rtol=1e-5)


@exporting
def test_structures_of_inputs(tmp_path: Path) -> None:
    a, b = unidl.Input((3,), name="a"), unidl.Input((2,), name="b")
    model = unidl.Model({"a": a, "b": b}, {"sum": ops.sum(a, 1) + ops.sum(b, 1), "far": layers.Dense(2)(a)})
    path = tmp_path / f"model{SUFFIX.get(FORMATS[0], '')}"
    model.export(path, format=FORMATS[0], verbose=False)
    values = {"a": np.ones((4, 3), "float32"), "b": np.full((4, 2), 2, "float32")}
    if active.name == "tensorflow":
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        found = loaded.serve(values)
    elif active.name == "torch":
        import torch

        found = torch.export.load(path).module()({k: torch.from_numpy(v) for k, v in values.items()})
    else:
        import mxnet as mx

        block = mx.gluon.SymbolBlock.imports(f"{path}-symbol.json", ["a", "b"], f"{path}-0000.params")
        found = dict(zip(("far", "sum"), block(*(mx.np.array(v) for v in values.values())), strict=True))
    np.testing.assert_allclose(active.to_numpy(found["sum"]), np.full(4, 7.0), rtol=1e-6)


@pytest.mark.skipif("mxnet" not in FORMATS, reason="a format of MXNet")
def test_the_command_names_symbols_as_asked_for(tmp_path: Path) -> None:
    from unidl.cli import main

    unidl.Sequential([unidl.Input((4,)), layers.Dense(2)]).save(tmp_path / "net.keras")
    assert main(["convert", str(tmp_path / "net.keras"), str(tmp_path / "net-symbol.json")]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net-0000.params", "net-symbol.json", "net.keras"]
