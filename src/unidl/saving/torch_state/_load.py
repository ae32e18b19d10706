"""Matching a model with a file, and loading it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.saving.torch_state._pieces import Stored, Wanted, converted, shape_only, stored_pieces, wanted_pieces
from unidl.saving.torch_state._reader import StateDict
from unidl.saving.torch_state._report import Report, StateDictMismatchError

#: What a name that both have is worth beside a place in the order.
_NAME = 0.001


def load(model: Any, path: Path, names: dict[str, Any], skip_mismatch: bool) -> Report:
    """Give a model the weights of a ``state_dict`` file.

    Args:
        names: dotted name to variable.
        skip_mismatch: load what fits, and warn of the rest.

    Raises:
        ValueError: if the file is no such file.
        StateDictMismatchError: if something is left over on a side; nothing is loaded then.
    """
    wanted = wanted_pieces(model, names)
    by_id = {id(v): name for name, v in names.items()}
    with StateDict(path) as file:
        stored = stored_pieces(file.tensors)
        pairs = match(wanted, stored, shape_only(file.tensors))
        report = _report(wanted, stored, pairs, by_id, file)
        if not report.complete:
            _complain(model, path, report, skip_mismatch)

        def value(name: str, rows: slice | None) -> np.ndarray:
            array = file[name]
            return array if rows is None else array[rows]

        for ours, theirs in pairs:
            arrays = converted(theirs, ours, value)
            assert arrays is not None
            for role, array in arrays.items():
                ours.variables[role].assign(np.array(array))
    for layer in model._flatten_layers():
        layer._after_loading()
    return report


def match(wanted: list[Wanted], stored: list[Stored], shapes: Any) -> list[tuple[Wanted, Stored]]:
    """Which piece is which: in their orders, as many as possible, those of the same names first.

    The longest common subsequence of both lists; what fits then and only then may stand in another order.
    """
    fits: dict[tuple[int, int], bool] = {}
    rows, columns = len(wanted), len(stored)
    for i, ours in enumerate(wanted):
        for j, theirs in enumerate(stored):
            fits[i, j] = converted(theirs, ours, shapes) is not None
    best = np.zeros((rows + 1, columns + 1))
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            best[i, j] = max(best[i + 1, j], best[i, j + 1])
            if fits[i, j]:
                best[i, j] = max(best[i, j], best[i + 1, j + 1] + 1 + _NAME * _alike(wanted[i], stored[j]))
    pairs, i, j = [], 0, 0
    while i < rows and j < columns:
        worth = best[i + 1, j + 1] + 1 + _NAME * _alike(wanted[i], stored[j])
        if fits[i, j] and best[i, j] == worth:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i, j] == best[i + 1, j]:
            i += 1
        else:
            j += 1
    left = [i for i in range(rows) if i not in {a for a, _ in pairs}]
    free = [j for j in range(columns) if j not in {b for _, b in pairs}]
    for i in left:
        choices = [j for j in free if fits[i, j]]
        if len(choices) == 1 and sum(fits[k, choices[0]] for k in left) == 1:
            pairs.append((i, choices[0]))
    return [(wanted[i], stored[j]) for i, j in pairs]


def _alike(ours: Wanted, theirs: Stored) -> bool:
    a, b = ours.path, theirs.module
    return a == b or a.rpartition(".")[2] == b.rpartition(".")[2]


def _report(
    wanted: list[Wanted],
    stored: list[Stored],
    pairs: list[tuple[Wanted, Stored]],
    names: dict[int, str],
    file: StateDict,
) -> Report:
    matched, taken, used = [], set(), set()
    for ours, theirs in pairs:
        taken.add(id(ours))
        used.add(id(theirs))
        sources = [n if rows is None else f"{n}[{rows.start}:{rows.stop}]" for n, rows in theirs.parts.values()]
        targets = [names[id(v)] for v in ours.variables.values()]
        one_each = len(sources) == len(targets) and set(ours.variables) <= set(theirs.parts)
        if one_each:
            sources = [sources[list(theirs.parts).index(role)] for role in ours.variables]
        matched += list(zip(targets, sources, strict=True)) if one_each else [(t, ", ".join(sources)) for t in targets]
    lacking = [
        (names[id(v)], tuple(active.shape(v))) for w in wanted if id(w) not in taken for v in w.variables.values()
    ]
    unused = {n: file.tensors[n].shape for s in stored if id(s) not in used for n, _ in s.parts.values()}
    return Report(matched, lacking, list(unused.items()))


def _complain(model: Any, path: Path, report: Report, skip_mismatch: bool) -> None:
    def listed(rows: list[tuple[str, Any]]) -> str:
        shown = ", ".join(f"{name} {shape}" for name, shape in rows[:6])
        return shown + (f" and {len(rows) - 6} more" if len(rows) > 6 else "")

    problems = []
    if report.lacking:
        problems.append(f"nothing in it fits the model's {listed(report.lacking)}")
    if report.unused:
        problems.append(f"nothing in the model takes its {listed(report.unused)}")
    text = f"{path} and model {model.name!r} do not match: {'; '.join(problems)}."
    if skip_mismatch:
        warnings.warn(f"{text} The other {len(report.matched)} variables were loaded.", stacklevel=5)
        return
    raise StateDictMismatchError(
        f"{text} Nothing was loaded; pass skip_mismatch=True to load what fits. The error's `report` has all names.",
        report,
    )
