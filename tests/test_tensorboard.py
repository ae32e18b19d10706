"""`TensorBoard` and `RemoteMonitor`: what they write and send."""

from __future__ import annotations

import json
import struct
import sys
import types
import zlib
from pathlib import Path

import numpy as np
import pytest

import unidl
from unidl.backend import active
from unidl.callbacks import RemoteMonitor, TensorBoard, _events

trains = pytest.mark.skipif(not active.trains, reason="this backend does not train")


def fields(data):
    """The fields of a protocol buffer message, as (number, value) pairs."""
    found, place = [], 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(data):
        key = varint()
        if key & 7 == 0:
            found.append((key >> 3, varint()))
        elif key & 7 == 2:
            size = varint()
            found.append((key >> 3, data[place : place + size]))
            place += size
        else:
            kind, size = ("<d", 8) if key & 7 == 1 else ("<f", 4)
            found.append((key >> 3, struct.unpack(kind, data[place : place + size])[0]))
            place += size
    return found


def records(path):
    data = Path(path).read_bytes()
    while data:
        size, check = struct.unpack("<QI", data[:12])
        assert check == _events.masked_crc(data[:8])
        body = data[12 : 12 + size]
        assert struct.unpack("<I", data[12 + size : 16 + size])[0] == _events.masked_crc(body)
        yield dict(fields(body))
        data = data[16 + size :]


def summaries(folder):
    """(tag, step) to the fields of the value, for all files in a folder."""
    found = {}
    for path in sorted(Path(folder).glob("events.out.tfevents.*")):
        for event in records(path):
            for _, value in fields(event.get(5, b"")):
                parts = dict(fields(value))
                found[parts[1].decode(), event.get(2, 0)] = parts
    return found


@pytest.mark.once
def test_checksums():
    # 0xE3069283 is the CRC-32C of "123456789" in RFC 3720's sense; TensorFlow rotates it and adds a constant.
    crc = 0xE3069283
    assert _events.masked_crc(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.once
def test_pictures():
    from io import BytesIO

    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(5 * 4 * 3, dtype="uint8").reshape(5, 4, 3)
    np.testing.assert_array_equal(np.asarray(image.open(BytesIO(_events.png(pixels)))), pixels)
    assert zlib.crc32(b"") == 0


def trained(folder, **options):
    unidl.utils.set_random_seed(1)
    model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2, name="first"), unidl.layers.Dense(1)])
    model.compile(unidl.optimizers.SGD(0.1), "mse")
    x, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
    history = model.fit(
        x, y, batch_size=2, epochs=2, verbose=0, validation_data=(x, y), callbacks=[TensorBoard(folder, **options)]
    )
    return model, history.history


@trains
def test_scalars(tmp_path):
    model, history = trained(tmp_path, write_steps_per_second=True)
    train, validation = summaries(tmp_path / "train"), summaries(tmp_path / "validation")
    assert {tag for tag, _ in train} == {"epoch_loss", "epoch_learning_rate", "epoch_steps_per_second"}
    assert {tag for tag, _ in validation} == {"epoch_loss", "evaluation_loss_vs_iterations"}
    for epoch in range(2):
        assert train["epoch_loss", epoch][2] == pytest.approx(history["loss"][epoch], rel=1e-6)
        assert validation["epoch_loss", epoch][2] == pytest.approx(history["val_loss"][epoch], rel=1e-6)
        assert validation["evaluation_loss_vs_iterations", 4 * (epoch + 1)]
    assert train["epoch_learning_rate", 0][2] == pytest.approx(0.1)
    assert train["epoch_steps_per_second", 0][2] > 0
    (path,) = (tmp_path / "train").glob("events*")
    events = list(records(path))
    assert events[0][3] == b"brain.Event:2"
    nodes = [dict(fields(node)) for event in events if 4 in event for _, node in fields(event[4])]
    names = [node[1].decode() for node in nodes]
    assert len(set(names)) == len(names)
    assert any("first" in name for name in names)


@trains
def test_batches(tmp_path):
    trained(tmp_path, update_freq=2, write_graph=False)
    found = summaries(tmp_path / "train")
    assert sorted(step for tag, step in found if tag == "batch_loss") == [1, 3, 5, 7]


@trains
def test_histograms_and_images(tmp_path):
    model, _ = trained(tmp_path, histogram_freq=1, write_images=True)
    found = summaries(tmp_path / "train")
    kernel = active.to_numpy(model.layers[-1].kernel if hasattr(model.layers[-1], "kernel") else model.weights[2])
    path = model.weights[2].path
    parts = dict(fields(found[f"{path}/histogram", 1][5]))
    assert parts[3] == kernel.size
    assert parts[1] == pytest.approx(float(kernel.min()))
    assert parts[4] == pytest.approx(float(kernel.sum()), rel=1e-5)
    assert np.frombuffer(parts[7], "<f8").sum() == kernel.size
    assert dict(fields(found[f"{path}/image", 1][4]))[4].startswith(b"\x89PNG")


@trains
def test_the_engine_reads_what_is_written(tmp_path):
    if active.name != "tensorflow":
        pytest.skip("needs TensorFlow's reader")
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    trained(tmp_path, histogram_freq=1)
    (path,) = (tmp_path / "train").glob("events*")
    events = [event_pb2.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    tags = {value.tag for event in events for value in event.summary.value if value.WhichOneof("value") == "histo"}
    assert len(tags) == 4
    graphs = [tf.compat.v1.GraphDef.FromString(e.graph_def) for e in events if e.graph_def]
    assert len(graphs) == 1
    assert graphs[0].node


@trains
def test_embeddings(tmp_path):
    model = unidl.Sequential([unidl.Input((3,), dtype="int32"), unidl.layers.Embedding(5, 2, name="words")])
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 3), "int32"), np.zeros((4, 3, 2), "float32")
    model.fit(x, y, verbose=0, callbacks=[TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata="labels.tsv")])
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "words.tsv"' in text
    assert 'metadata_path: "labels.tsv"' in text
    table = np.loadtxt(tmp_path / "words.tsv", delimiter="\t")
    np.testing.assert_allclose(table, model.get_weights()[0], rtol=1e-4)
    with pytest.raises(ValueError, match="letters"):
        TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"letters": "x"}).set_model(model)


@pytest.mark.once
def test_own_values(tmp_path):
    board = TensorBoard(tmp_path)
    board.summary.scalar("mine", 2.5, step=3)
    board.summary.histogram("spread", np.arange(4.0), step=3)
    board.summary.image("grey", np.zeros((2, 2, 1), "uint8"), step=3)
    board.on_train_end()
    found = summaries(tmp_path / "train")
    assert found["mine", 3][2] == 2.5
    assert dict(fields(found["spread", 3][5]))[3] == 4
    assert dict(fields(found["grey", 3][4]))[1] == 2


@pytest.mark.once
def test_arguments():
    with pytest.raises(ValueError, match="update_freq"):
        TensorBoard(update_freq="always")
    with pytest.warns(UserWarning, match="profile_batch"):
        TensorBoard(profile_batch=(2, 5))


class Failed(Exception):
    pass


@pytest.mark.once
def test_remote_monitor(monkeypatch):
    sent = []
    fake = types.ModuleType("requests")
    fake.post = lambda url, **how: sent.append((url, how))
    fake.exceptions = types.SimpleNamespace(RequestException=Failed)
    monkeypatch.setitem(sys.modules, "requests", fake)
    logs = {"loss": np.float32(0.5), "hits": np.arange(1), "all": np.arange(2)}
    plain = {"epoch": 3, "loss": 0.5, "hits": 0, "all": [0, 1]}
    RemoteMonitor(send_as_json=True, headers={"a": "b"}).on_epoch_end(3, logs)
    assert sent.pop() == ("http://localhost:9000/publish/epoch/end/", {"headers": {"a": "b"}, "json": plain})
    RemoteMonitor("http://x", "/y", field="f").on_epoch_end(3, logs)
    url, how = sent.pop()
    assert url == "http://x/y"
    assert json.loads(how["data"]["f"]) == plain

    def refuse(url, **how):
        raise Failed("nobody there")

    fake.post = refuse
    with pytest.warns(UserWarning, match="Could not reach"):
        RemoteMonitor().on_epoch_end(0, logs)
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ImportError, match="pip install requests"):
        RemoteMonitor().on_epoch_end(0, logs)
