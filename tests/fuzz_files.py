"""Reads model files that were changed at random, and says what came of it: ``python fuzz_files.py FIRST_SEED COUNT``.

Each seed gives one file: an archive, an HDF5 file of Keras 2 or 3, or a safetensors file, with some bytes changed, or
some part of its JSON, or its structure. Reading it must end within two seconds with a model, or with a ValueError,
TypeError or NotImplementedError, take a bounded amount of memory, and neither run anything nor touch another file. An
audit hook watches.
"""

from __future__ import annotations

import copy
import faulthandler
import io
import json
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import unidl
from unidl import layers
from unidl.backend import active

SECONDS = 2.0
#: What a file must never cause: code, processes, sockets, libraries; and files outside of the temporary folder.
FORBIDDEN = (
    "compile", "exec", "import", "marshal.", "pickle.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
    "subprocess.", "socket.", "ctypes.dlopen", "urllib.", "ftplib.", "webbrowser.", "code.", "shutil.",
)  # fmt: skip
FILES = ("open", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


class Watch:
    """An audit hook that notes what is forbidden while it is `on`."""

    def __init__(self, folder: str) -> None:
        self.on = False
        self.folder = os.path.realpath(folder)
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, args: Any) -> None:
        if not self.on or not (event in FILES or event.startswith(FORBIDDEN)):
            return
        if event != "import" and _is_importing():
            return
        if event.startswith(FORBIDDEN) and not self._is_harmless(event, args):
            self.seen.append(f"{event} {str(args)[:200]}")
        elif event in FILES and args and isinstance(args[0], (str, bytes)):
            path = os.fsdecode(args[0])
            if event in ("os.remove", "os.rmdir") and args[-1] >= 0:  # relative to a folder that is open
                path = os.path.join(os.readlink(f"/proc/self/fd/{args[-1]}"), path)
            if not os.path.realpath(path).startswith(self.folder):
                self.seen.append(f"{event} {str(args)[:200]}")

    def _is_harmless(self, event: str, args: Any) -> bool:
        if event == "import":  # of what is imported already, or a part of what is installed here
            return args[0] in sys.modules or args[0].split(".")[0] in _TRUSTED
        if (
            event == "compile"
        ):  # what `inspect.signature` does with the text of a builtin's signature: it is only parsed
            return isinstance(args[0], bytes) and args[0].startswith(b"def foo")
        return event == "shutil.rmtree" and os.path.realpath(args[0]).startswith(self.folder)


def _is_importing() -> bool:
    """Whether Python is reading a module, of whose import the hook was told already."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


_TRUSTED = {name.split(".")[0] for name in sys.modules} | {"ml_dtypes", "zoneinfo"}


# -- files to begin with ---------------------------------------------------------------------------------------


def bases(folder: Path) -> dict[str, Any]:
    """Models by the kind of file: one that is whole, and, for weights alone, the model that reads them."""
    words = layers.Input((4,), dtype="int32", name="words")
    x = layers.Embedding(5, 3)(words)
    x = layers.Bidirectional(layers.GRU(2, return_sequences=True))(x)
    x = layers.LayerNormalization()(x * 2.0 + 1.0)
    x = layers.MultiHeadAttention(1, 2)(x, x)
    net = unidl.Model(words, layers.Dense(2, activation="relu")(layers.GlobalAveragePooling1D()(x)))
    stack = unidl.Sequential(
        [layers.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2)]
    )
    text = layers.StringLookup(vocabulary=["a", "b"])
    vocabulary = unidl.Sequential([layers.Input((2,), dtype="string"), text, layers.Embedding(4, 2)])
    made: dict[str, Any] = {}
    for name, model in {"net": net, "stack": stack, "vocabulary": vocabulary}.items():
        if active.trains and name != "vocabulary":
            model.compile("adam", "mse", metrics=["mae"])
            model.optimizer.build(model.trainable_variables)
        path = folder / f"{name}.keras"
        model.save(path)
        made[path.name] = path.read_bytes()
    for end in (".h5", ".weights.h5", ".safetensors"):
        path = folder / f"base{end}"
        (stack.save if end == ".h5" else stack.save_weights)(path)
        made[path.name] = path.read_bytes()
    import keras2_files as k2

    dense = [k2.dense("d", 3, "relu", batch_input_shape=[None, 4]), k2.recurrent("LSTM", "r", 2)]
    dense.insert(1, {"class_name": "Reshape", "config": {"name": "s", "trainable": True, "target_shape": [3, 1]}})
    weights = {
        "d": k2.named("d", kernel=k2.array(4, 3), bias=k2.array(3)),
        "s": [],
        "r": k2.named("r", kernel=k2.array(1, 8), recurrent_kernel=k2.array(2, 8), bias=k2.array(8)),
    }
    training = {
        "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1}},
        "loss": "mse",
        "metrics": [],
        "loss_weights": None,
    }
    old = {"class_name": "Sequential", "config": {"name": "old", "layers": dense}}
    made["keras2.h5"] = k2.write(folder / "keras2.h5", old, weights, training=training).read_bytes()
    made["newer.h5"] = _newer(folder / "keras2.h5", folder / "newer.h5")
    made["stack"] = stack
    return made


def _newer(path: Path, other: Path) -> bytes:
    """The same file with the newer structures of HDF5: chunks, many and large attributes, many links."""

    def copy(old: Any, new: Any) -> None:
        new.attrs.update(old.attrs)
        for name, item in old.items():
            if isinstance(item, h5py.Group):
                copy(item, new.create_group(name))
            else:
                chunks = {"chunks": (1,) * item.ndim, "compression": "gzip"} if item.ndim else {}
                copied = new.create_dataset(name, data=item[()], **chunks)
                copied.attrs.update(item.attrs)

    with h5py.File(path) as old, h5py.File(other, "w", libver="latest") as new:
        copy(old, new)
        new.attrs["large"] = "h" * 70_000
        for number in range(20):
            new["model_weights"].attrs[f"more{number}"] = number
            new["model_weights"].create_group(f"more{number}")
    return other.read_bytes()


# -- changes ---------------------------------------------------------------------------------------------------

_VALUES: list[Any] = [
    None, True, -1, 0, 1, 2, 7, 2**31, 2**40, 2**63, -(2**63), 1e30, float("nan"), float("inf"), "", "x", "relu",
    "../../x", "/etc/passwd", [], {}, [None], [[]], {"class_name": "x"}, {"class_name": "Dense", "config": None},
    "\ud800", "é\0", [2**20, 2**20], [None, 10**9, 3],
    {"class_name": "__lambda__", "config": {"value": ["", None, None]}},
    {"class_name": "__tensor__", "config": {"value": [1], "dtype": "float32"}},
    {"class_name": "__numpy__", "config": {}},
    {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"},
    {"class_name": "function", "config": "get_file", "module": "keras.utils", "registered_name": "get_file"},
    {"class_name": "__keras_tensor__", "config": {"keras_history": ["dense", 0, 0], "shape": [2], "dtype": "float32"}},
]  # fmt: skip
_NAMES = [
    *(n for n in dir(layers) if n[0].isupper()), "Sequential", "Functional", "Adam", "load_model", "get_file",
    "Function", "eval", "__import__", "Lambda", "TFSMLayer", "TorchModuleWrapper", "Layer", "Model", "function",
    "__slice__", "SGD", "os.system",
]  # fmt: skip


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        place, kind = rng.randrange(max(len(out), 1)), rng.random()
        if not out:
            break
        if kind < 0.4:
            out[place] = rng.randrange(256)
        elif kind < 0.6:
            out[place] ^= 1 << rng.randrange(8)
        elif kind < 0.8:
            size = rng.choice((1, 2, 4, 8))
            out[place : place + size] = rng.choice((b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f"))[:size]
        elif kind < 0.9:
            del out[place : place + rng.randrange(1, 60)]
        else:
            out[place:place] = out[: rng.randrange(1, 60)]
    return bytes(out)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every place in JSON data: what holds it, and its key there."""
    found: list[tuple[Any, Any]] = []
    todo = [tree]
    while todo:
        here = todo.pop()
        items = (
            list(here.items()) if isinstance(here, dict) else list(enumerate(here)) if isinstance(here, list) else []
        )
        found += [(here, key) for key, _ in items]
        todo += [value for _, value in items]
    return found


def changed_json(text: bytes, rng: random.Random) -> bytes:
    tree = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        spots = places(tree)
        if not spots:
            break
        here, key = rng.choice(spots)
        kind = rng.random()
        if kind < 0.45:
            here[key] = copy.deepcopy(rng.choice(_VALUES))
        elif kind < 0.6 and isinstance(here, dict) and any(k in here for k in ("class_name", "module")):
            here["class_name"] = rng.choice(_NAMES)
            here["registered_name"] = None
        elif kind < 0.7:
            other, at = rng.choice(spots)
            here[key] = copy.deepcopy(other[at])
        elif kind < 0.8:
            del here[key]
        elif kind < 0.9 and isinstance(here, list):
            here.extend(copy.deepcopy(here[:5]) * rng.choice((1, 30)))
        elif isinstance(here[key], bool) or not isinstance(here[key], (int, float)):
            for _ in range(rng.choice((3, 40, 400))):
                here[key] = (
                    [here[key]] if rng.random() < 0.5 else {"class_name": "Dense", "config": {"units": here[key]}}
                )
                if rng.random() < 0.02:
                    break
        else:
            here[key] = here[key] * rng.choice((-1, 0, 10**3, 10**9))
    try:
        return json.dumps(tree).encode("utf-8", "surrogatepass")
    except (RecursionError, ValueError):
        return b"[" * 5000


def changed_archive(data: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    kind = rng.random()
    if kind < 0.25:
        return changed_bytes(data, rng)
    chosen = rng.randrange(len(entries))
    name, content = entries[chosen]
    if kind < 0.7:
        json_at = next(i for i, (n, _) in enumerate(entries) if n == rng.choice(("config.json", "config.json", n)))
        name, content = entries[json_at]
        change = changed_json if name.endswith(".json") and rng.random() < 0.9 else changed_bytes
        entries[json_at] = (name, change(content, rng))
    elif kind < 0.85:
        entries[chosen] = (name, changed_bytes(content, rng))
    elif kind < 0.9:
        entries[chosen] = (
            rng.choice(("../x", "/tmp/x", "assets/../../x", "a\\b", "", "assets/layers/x", "run.py")),
            content,
        )
    elif kind < 0.95:
        entries.append(entries[chosen])
    else:
        del entries[chosen]
    out = io.BytesIO()
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive,
    ):
        warnings.simplefilter("ignore")
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = archive.compression
            info.external_attr = rng.choice((0, 0, 0, 0xA1FF << 16)) if rng.random() < 0.1 else 0
            archive.writestr(info, content)
    return out.getvalue()


def changed_hdf5(data: bytes, rng: random.Random) -> bytes:
    """Bytes, mostly; or the configuration, or what the names lead to."""
    if rng.random() < 0.6:
        return changed_bytes(data, rng)
    out = io.BytesIO(data)
    with h5py.File(out, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        if "model_config" in file.attrs and rng.random() < 0.7:
            text = file.attrs["model_config"]
            text = changed_json(text if isinstance(text, bytes) else text.encode(), rng)
            file.attrs["model_config"] = text.replace(b"\0", b"0")
        else:
            name = rng.choice(names)
            kind = rng.randrange(6)
            del file[name]
            if kind == 0:
                file[name] = h5py.SoftLink("/")
            elif kind == 1:
                file[name] = h5py.ExternalLink("/etc/passwd", "/")
            elif kind == 2:
                file.create_dataset(name, shape=(2**20, 2**21), dtype="float32", chunks=True)
            elif kind == 3:
                file.create_dataset(name, shape=(3, 4), dtype="float32", external=[("/etc/passwd", 0, 48)])
            elif kind == 4:
                layout = h5py.VirtualLayout(shape=(3, 4), dtype="float32")
                layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(3, 4))
                file.create_virtual_dataset(name, layout)
            else:
                file[name] = np.zeros(rng.choice(((), (0,), (3, 4), (2, 2, 2))), rng.choice(("f8", "i4", "S3", "?")))
    return out.getvalue()


def changed_safetensors(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        return changed_bytes(data, rng)
    size = struct.unpack("<Q", data[:8])[0]
    header = changed_json(data[8 : 8 + size], rng)
    size = rng.choice((len(header), len(header), len(header), 2**63, 0, len(header) + 1))
    return struct.pack("<Q", size) + header + data[8 + struct.unpack("<Q", data[:8])[0] :]


CHANGES = {".keras": changed_archive, ".h5": changed_hdf5, ".safetensors": changed_safetensors}


# -- reading them ----------------------------------------------------------------------------------------------


def read(path: Path, stack: Any) -> None:
    if path.name.endswith((".weights.h5", ".safetensors")):
        stack.load_weights(path)
    else:
        unidl.saving.load_model(path)


class TooLong(BaseException):
    """Not caught by anything that reads files."""


def main(first: int, count: int) -> dict[str, Any]:
    """Read the files of `count` seeds from `first` on; what came of it, as JSON data."""
    faulthandler.enable()
    outcomes: Counter[str] = Counter()
    problems: list[str] = []
    slowest = 0.0

    def late(*_: Any) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, late)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        tempfile.tempdir = name
        made = bases(folder)
        stack = made.pop("stack")
        for base in made:  # what they import is imported
            read(folder / base, stack)
        watch = Watch(name)
        if active.name == "numpy":
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        kinds = sorted(made)
        for seed in range(first, first + count):
            rng = random.Random(seed)
            base = kinds[seed % len(kinds)]
            end = next(e for e in CHANGES if base.endswith(e))
            path = folder / f"changed{'.weights' if '.weights.' in base else ''}{end}"
            path.write_bytes(CHANGES[end](made[base], rng))
            before = sorted(os.listdir(folder))
            start = time.perf_counter()
            outcome = "read"
            try:
                signal.setitimer(signal.ITIMER_REAL, SECONDS)
                watch.on = True
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read(path, stack)
            except (ValueError, TypeError, NotImplementedError) as error:
                outcome = "refused"
                if not str(error).strip():
                    problems.append(f"seed {seed}: {base}: an error without words: {error!r}")
            except TooLong:
                problems.append(f"seed {seed}: {base}: more than {SECONDS} s")
            except BaseException as error:
                problems.append(f"seed {seed}: {base}: {type(error).__name__}: {str(error)[:300]}")
            finally:
                watch.on = False
                signal.setitimer(signal.ITIMER_REAL, 0)
            outcomes[f"{base} {outcome}"] += 1
            slowest = max(slowest, time.perf_counter() - start)
            problems += [f"seed {seed}: {base}: {seen}" for seen in watch.seen]
            watch.seen.clear()
            if sorted(os.listdir(folder)) != before:
                problems.append(f"seed {seed}: {base}: files were left: {sorted(os.listdir(folder))}")
        tempfile.tempdir = None
    return {
        "seeds": [first, first + count - 1], "files": count, "slowest": round(slowest, 3),
        "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "outcomes": dict(sorted(outcomes.items())), "problems": problems,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2])), indent=1))
