"""Where two engines part: one model run on both, node by node, values and gradients compared.

`compare` starts one process for each engine (`unidl.testing.compare_worker`); this one imports none.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unidl._select import PREFERENCE, check_known, found, has_engine
from unidl.errors import BackendError

_LINES = 8  # how much of what a failed process said is shown
# Their results may be small differences of large inputs: errors are judged by the size of what they read.
_CANCELLING = ("add", "subtract", "sum", "mean")


class CompareError(RuntimeError):
    """There is nothing to compare: a script fails, or the engines recorded different graphs."""


class Measured(NamedTuple):
    """How far two arrays are apart.

    Attributes:
        excess: the largest error by what is tolerated: above 1 they differ.
        error: the largest absolute error; `where` it is, and both values there.
        wrong, size: how many elements differ, of how many.
    """

    excess: float
    error: float
    where: tuple[int, ...]
    values: tuple[str, str]
    wrong: int
    size: int

    def __str__(self) -> str:
        at = f" at {list(self.where)}" if self.where else ""
        return (
            f"{self.wrong} of {self.size} elements differ; the worst is off by {self.error:.3g}"
            f"{at}: {self.values[0]} and {self.values[1]}"
        )


@dataclass(frozen=True)
class Difference:
    """One tensor on two engines.

    Attributes:
        kind: "value" or "gradient".
        op, path: the node: for a gradient the one through which it was propagated. `path` is the layer's.
        key: the node's place in the recording, "" for inputs and weights.
        tensor: the tensor in words.
        shape, dtype: of it.
        engines: the two that were compared.
        measured: how far they are apart.
        notes: what else is known, in sentences.
    """

    kind: str
    op: str
    path: str
    key: str
    tensor: str
    shape: tuple[int, ...]
    dtype: str
    engines: tuple[str, str]
    measured: Measured
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"The {self.kind} of {self.tensor} differs between {self.engines[0]} and {self.engines[1]}:"
        return "\n".join([head, *(f"  {line}" for line in (str(self.measured), *self.notes))])


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes:
        backends: the engines' names, the reference first.
        engines: what each is, with its version.
        first: where they part, or None. Values go first, from inputs to outputs; if they agree, gradients, from the
            outputs back.
        compared: everything, in order, agreeing or not.
        nodes: how many nodes were compared.
        notes: what was not compared, in sentences.
    """

    backends: tuple[str, ...]
    engines: tuple[str, ...]
    first: Difference | None
    compared: tuple[Difference, ...]
    nodes: int
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return self.first is None

    @property
    def worst(self) -> list[Difference]:
        """Everything that was compared, the worst first."""
        return sorted(self.compared, key=lambda d: -d.measured.excess)

    def __str__(self) -> str:
        versions = ", ".join(f"{name} ({version})" for name, version in zip(self.backends, self.engines, strict=True))
        lines = [f"{versions}: {self.nodes} nodes, {len(self.compared)} tensors compared", *self.notes]
        if self.first is None:
            worst = self.worst[0] if self.compared else None
            last = "All agree."
            if worst is not None:
                share = f"{worst.measured.excess:.2g} of what is tolerated"
                last += f" The {worst.kind} of {worst.tensor} is closest to the limit: {share}."
            return "\n".join([*lines, last])
        others = sum(d.measured.excess > 1 for d in self.compared) - 1
        tail = [f"{others} other tensors differ as well; they may be the consequences."] if others else []
        return "\n".join([*lines, str(self.first), *tail])


@dataclass
class _Seen:
    """What one engine's process wrote down."""

    name: str
    report: dict[str, Any]
    arrays: Any
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def value(self, tensor: str) -> np.ndarray | None:
        return self.arrays.get(f"v/{tensor}")

    def gradient(self, tensor: str) -> np.ndarray | None:
        return self.arrays.get(f"g/{tensor}")


def compare(
    source: str | os.PathLike[str] | Callable[[], Any],
    backends: Sequence[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    batch: int = 4,
    unknown: int = 16,
    seed: int = 0,
    training: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    timeout: float = 600,
) -> Comparison:
    """Run one model on several engines and find the first node at which they differ.

    Each engine runs in a process of its own. Weights, inputs and random numbers are the same on all, from `seed`.

    Args:
        source: a Python file, ``"file.py:name"``, or a function of a module: what is named is a model, or a function
            that returns a model or ``(model, inputs)``. Without a name it is the file's only model, or its function
            `model` or `build`. If the file has ``inputs`` (arrays), they are used.
        backends: two or more names, the reference first; by default all that are installed.
        weights: a ``.safetensors`` file to load.
        batch, unknown: the batch size, and the size of other unknown dimensions, of inputs drawn from the seed.
        training: whether the model runs as in training.
        rtol, atol: in place of `TOLERANCES` of each tensor's dtype. Errors are relative to a tensor's largest element.
        timeout: seconds that each engine may take.

    Raises:
        BackendError: if a backend is not installed, or there are fewer than two.
        CompareError: if a script fails, or its graphs have different structures.
    """
    names = _checked(backends)
    path, name = _split(source)
    if not path.is_file():
        raise CompareError(f"There is no file {path}.")
    if weights is not None and not Path(weights).is_file():
        raise CompareError(f"There is no file {weights}.")
    job = {
        "path": str(path.resolve()), "name": name, "batch": batch, "unknown": unknown, "seed": seed,
        "training": training, "weights": None if weights is None else str(Path(weights).resolve()),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="unidl-compare-") as scratch:
        with ThreadPoolExecutor(max_workers=2) as pool:
            seen = list(pool.map(lambda n: _run(n, job, Path(scratch, n), timeout), names))
        try:
            return _judged(seen, rtol, atol)
        finally:
            for one in seen:
                one.arrays.close()


def _checked(backends: Sequence[str] | None) -> tuple[str, ...]:
    if backends is None:
        installed = found()
        backends = [n for n in PREFERENCE if n in installed and has_engine(n)]
    names = tuple(backends)
    for name in names:
        check_known(name, "the backends to compare")
    if len(set(names)) < 2 or len(set(names)) != len(names):
        raise BackendError(f"Two or more different backends are needed to compare, not {', '.join(names) or 'none'}.")
    return names


def _split(source: Any) -> tuple[Path, str]:
    """The file and the name in it."""
    if callable(source):
        file, name = inspect.getsourcefile(source), getattr(source, "__qualname__", "")
        if file is None or not name or "<" in name:
            raise CompareError(f"{source!r} cannot be imported by other processes: pass a function of a module.")
        return Path(file), name
    text = os.fspath(source)
    path, colon, name = text.rpartition(":")
    if colon and name.replace(".", "_").isidentifier() and not Path(text).is_file():
        return Path(path), name
    return Path(text), ""


def _run(name: str, job: dict[str, Any], folder: Path, timeout: float) -> _Seen:
    folder.mkdir()
    file = folder / "job.json"
    file.write_text(json.dumps({**job, "folder": str(folder)}), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "unidl.testing.compare_worker", str(file)],
            env={**os.environ, "UNIDL_BACKEND": name, "UNIDL_PORTABLE_RANDOM": "1"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise CompareError(f"On {name} the script did not finish within {timeout:g} s.") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()][-_LINES:]
        raise CompareError("\n  ".join([f"On {name} the script fails (status {done.returncode}):", *said]))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    seen = _Seen(name, report, np.load(folder / "values.npz"))
    seen.nodes = {node["key"]: node for node in report["nodes"]}
    return seen


# -- structure -------------------------------------------------------------------------------------


def _node_text(node: dict[str, Any] | None) -> str:
    if node is None:
        return "nothing"
    shapes = ", ".join(f"{dtype}{shape}" for shape, dtype in node["outputs"])
    return f"{node['op']} in {node['path'] or 'the model'} -> {shapes}"


def _same_structure(a: _Seen, b: _Seen) -> None:
    """Raise CompareError at the first node (weight, input) that the two recordings do not share."""
    for what in ("inputs", "variables"):
        for place in range(max(len(a.report[what]), len(b.report[what]))):
            one, other = (s.report[what][place] if place < len(s.report[what]) else None for s in (a, b))
            if one is None or other is None or one[1:] != other[1:]:
                texts = [f"{t[0]} {t[2]}{t[1]}" if t else "nothing" for t in (one, other)]
                raise CompareError(
                    f"The models have different structures. {what.capitalize()[:-1]} {place}: {a.name} has {texts[0]}, "
                    f"{b.name} has {texts[1]}."
                )
    tops = [[n for n in s.report["nodes"] if "." not in n["key"]] for s in (a, b)]
    for place in range(max(map(len, tops))):
        one, other = (nodes[place] if place < len(nodes) else None for nodes in tops)
        if one is None or other is None or not _alike(one, other):
            raise CompareError(
                f"The models have different structures. Node {place}: {a.name} recorded {_node_text(one)}; "
                f"{b.name} recorded {_node_text(other)}."
            )


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[k] == other[k] for k in ("key", "op", "path", "outputs"))


# -- numbers ---------------------------------------------------------------------------------------


def measure(p: np.ndarray, q: np.ndarray, rtol: float, atol: float, scale: float = 0.0) -> Measured:
    """Compare `q` with the reference `p`: errors up to ``atol + rtol * max(|p|, scale)``, `scale` the size of terms."""
    if p.shape != q.shape:
        return Measured(np.inf, np.inf, (), (f"shape {list(p.shape)}", f"shape {list(q.shape)}"), p.size, p.size)
    if not p.size:
        return Measured(0.0, 0.0, (), ("", ""), 0, 0)
    x, y = _wide(p), _wide(q)
    with np.errstate(all="ignore"):
        error = np.abs(x - y)
        size = max(_largest(x), scale)
        bound = atol + rtol * size
        excess = error / bound if bound else np.where(error > 0, np.inf, 0.0)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    error, excess = np.where(same, 0.0, error), np.where(same, 0.0, excess)
    error[np.isnan(error)] = excess[np.isnan(excess)] = np.inf
    place = np.unravel_index(int(np.argmax(excess)), excess.shape)
    where = tuple(int(i) for i in place)
    return Measured(
        float(excess[place]), float(error[place]), where, (_number(p[place]), _number(q[place])),
        int((excess > 1).sum()), p.size,
    )  # fmt: skip


def _wide(x: np.ndarray) -> np.ndarray:
    return x.astype("complex128" if x.dtype.kind == "c" else "float64")


def _largest(x: np.ndarray) -> float:
    size = np.abs(x)
    return float(size[np.isfinite(size)].max(initial=0.0))


def _number(value: Any) -> str:
    return f"{value:.8g}" if np.asarray(value).dtype.kind in "fc" else str(value)


class _Pair:
    """Two engines' results and how they are judged."""

    def __init__(self, a: _Seen, b: _Seen, rtol: float | None, atol: float | None) -> None:
        self.a, self.b, self.rtol, self.atol = a, b, rtol, atol
        self.keys = [k for k, n in a.nodes.items() if k in b.nodes and _alike(n, b.nodes[k])]
        specs = {f"i{i}": t[1:] for i, t in enumerate(a.report["inputs"])}
        specs |= {f"w{i}": t[1:] for i, t in enumerate(a.report["variables"])}
        for key, node in a.nodes.items():
            specs |= {f"{key}:{i}": spec for i, spec in enumerate(node["outputs"])}
        self.shapes = {name: tuple(shape) for name, (shape, _) in specs.items()}
        self.dtypes = {name: dtype for name, (_, dtype) in specs.items()}
        self.readers: dict[str, list[str]] = {}
        for key in self.keys:
            for tensor in a.nodes[key]["reads"]:
                self.readers.setdefault(tensor, []).append(key)
        self.values: dict[str, Measured] = {}
        self.gradients: dict[str, Measured] = {}

    def tolerances(self, tensor: str) -> tuple[float, float]:
        from unidl.testing import TOLERANCES

        rtol, atol = TOLERANCES.get(self.dtypes.get(tensor, ""), (0.0, 0.0))
        if not rtol:  # whole numbers agree or do not
            return 0.0, 0.0
        return (rtol if self.rtol is None else self.rtol), (atol if self.atol is None else self.atol)

    def text(self, tensor: str) -> str:
        """A tensor in words."""
        if tensor[0] == "i":
            return f"input {self.a.report['inputs'][int(tensor[1:])][0]!r}"
        if tensor[0] == "w":
            return f"weight {self.a.report['variables'][int(tensor[1:])][0]!r}"
        if tensor[0] == "c":
            return "a constant"
        key, _, index = tensor.partition(":")
        node = self.a.nodes[key]
        output = f"output {index} of " if len(node["outputs"]) > 1 else ""
        return f"{output}op {node['op']!r} in {node['path'] or 'the model'!r} (node {key})"

    def difference(self, kind: str, tensor: str, node: str, measured: Measured, notes: Sequence[str]) -> Difference:
        op = self.a.nodes[node] if node else {"op": "", "path": ""}
        shape = self.shapes.get(tensor, ())
        names = self.a.name, self.b.name
        return Difference(
            kind, op["op"], op["path"], node, self.text(tensor), shape, self.dtypes.get(tensor, ""), names, measured,
            tuple(notes),
        )  # fmt: skip

    # -- values --

    def measure_values(self) -> None:
        leaves = [t for t in self.dtypes if t[0] in "iw"]
        for tensor in leaves:
            self._measure_value(tensor, 0.0)
        for key in self.keys:
            node = self.a.nodes[key]
            scale = 0.0
            if node["op"] in _CANCELLING:
                read = [self.a.value(t) for t in node["reads"]]
                scale = max((_largest(_wide(x)) for x in read if x is not None), default=0.0)
            for index in range(len(node["outputs"])):
                self._measure_value(f"{key}:{index}", scale)

    def _measure_value(self, tensor: str, scale: float) -> None:
        p, q = self.a.value(tensor), self.b.value(tensor)
        if p is not None and q is not None:
            self.values[tensor] = measure(p, q, *self.tolerances(tensor), scale)

    def value_notes(self, key: str) -> list[str]:
        node, other = self.a.nodes[key], self.b.nodes[key]
        errors = [self.values[t] for t in node["reads"] if t in self.values]
        notes = [f"op {node['op']!r}, layer {node['path'] or '(the model itself)'}"]
        shapes = [f"{self.dtypes.get(t, '')}{list(self.shapes.get(t, ()))}" for t in node["reads"] if t[0] != "c"]
        notes.append(f"it read {', '.join(shapes) or 'no tensors'}")
        notes += self.setting_notes(key)
        for one, two in zip(node["reads"], other["reads"]):
            p, q = self.a.value(one), self.b.value(two)
            if one[0] == two[0] == "c" and p is not None and q is not None and not np.array_equal(p, q, True):
                notes.append(f"a constant that it read is not the same: {measure(p, q, 0.0, 0.0)}")
        if errors:
            largest = max(e.error for e in errors)
            notes.append("what it read is equal" if not largest else f"what it read differs by at most {largest:.3g}")
        return notes

    def setting_notes(self, key: str) -> list[str]:
        """What the script gave the op differently on the two engines."""
        one, other = self.a.nodes[key]["settings"], self.b.nodes[key]["settings"]
        return [
            f"`{name}` is {one[name]} on {self.a.name}, {other[name]} on {self.b.name}: the script gave it so"
            for name in one
            if name in other and one[name] != other[name]
        ]

    # -- gradients --

    def measure_gradients(self) -> None:
        for tensor in self.dtypes:
            p, q, shaped = self.a.gradient(tensor), self.b.gradient(tensor), self.a.value(tensor)
            if (p is None and q is None) or shaped is None or self.b.value(tensor) is None:
                continue
            zero = np.zeros(shaped.shape, "float32")  # a gradient that an engine does not give
            p, q = zero if p is None else p, zero if q is None else q
            # A sum of terms that cancel: it is as exact as they are, and they are as large as what came back.
            back = [self.a.gradient(f"{k}:{i}") for k in self.readers.get(tensor, ()) for i in range(self._outputs(k))]
            scale = max((_largest(_wide(g)) for g in back if g is not None), default=0.0)
            self.gradients[tensor] = measure(p, q, *self.tolerances(tensor), scale)

    def _outputs(self, key: str) -> int:
        return len(self.a.nodes[key]["outputs"])

    def _wrong(self, tensor: str) -> bool:
        return tensor in self.gradients and self.gradients[tensor].excess > 1

    def gradient_fault(self) -> tuple[str, str, list[str]] | None:
        """(tensor, node, notes): the last tensor with a wrong gradient whose readers' outputs all have a right one."""
        decomposed = {k.rpartition(".")[0] for k in self.keys if "." in k}
        for key in reversed(self.keys):
            if key in decomposed:
                continue
            for tensor in filter(self._wrong, self.a.nodes[key]["reads"]):
                readers = [k for k in self.readers[tensor] if k not in decomposed]
                if any(self._wrong(f"{k}:{i}") for k in readers for i in range(self._outputs(k))):
                    continue
                through = [f"op {self.a.nodes[k]['op']!r} in {self.a.nodes[k]['path'] or 'the model'!r} (node {k})"
                           for k in readers]  # fmt: skip
                note = f"it came back through {' or '.join(through)}, the gradient of whose output agrees"
                return tensor, key, [note, *(text for k in readers for text in self.setting_notes(k))]
        wrong = next((t for t in reversed(self.gradients) if self._wrong(t)), None)
        return None if wrong is None else (wrong, wrong.partition(":")[0] if ":" in wrong else "", [])


def _judged(seen: list[_Seen], rtol: float | None, atol: float | None) -> Comparison:
    first: Difference | None = None
    later: Difference | None = None
    compared: list[Difference] = []
    reference, notes = seen[0], []
    untrained = [s.name for s in seen if not s.report["trains"]]
    for name in untrained:
        notes.append(f"{name} has no gradients: only values are compared with it.")
    for other in seen[1:]:
        _same_structure(reference, other)
        pair = _Pair(reference, other, rtol, atol)
        pair.measure_values()
        if reference.report["trains"] and other.report["trains"]:
            pair.measure_gradients()
        for kind, table in (("value", pair.values), ("gradient", pair.gradients)):
            for tensor, measured in table.items():
                node = tensor.partition(":")[0] if ":" in tensor else ""
                compared.append(pair.difference(kind, tensor, node, measured, ()))
        wrong = next((t for t, m in pair.values.items() if m.excess > 1), None)
        if wrong is not None and first is None:
            node = wrong.partition(":")[0] if ":" in wrong else ""
            first = pair.difference("value", wrong, node, pair.values[wrong], pair.value_notes(node) if node else ())
        if wrong is None and later is None and (fault := pair.gradient_fault()) is not None:
            tensor, node, why = fault
            later = pair.difference("gradient", tensor, node, pair.gradients[tensor], why)
    return Comparison(
        tuple(s.name for s in seen),
        tuple(s.report["engine"] for s in seen),
        first or later,
        tuple(compared),
        len(reference.report["nodes"]),
        tuple(notes),
    )
