"""What `compile` was given, resolved against a model's outputs: losses with weights, and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unidl import ops
from unidl.graph.symbolic import SymbolicTensor
from unidl.training._structures import Names, Path, aligned, at, is_nested, keys_of, leaves


@dataclass
class Term:
    """One loss of the total.

    Attributes:
        path: the part of outputs and targets that it compares: a tensor, or a structure that the loss takes whole.
        loss: a `Loss`, or a user's function of structures.
        weight: by which it is multiplied.
        name: for its own running mean.
    """

    path: Path
    loss: Any
    weight: float
    name: str


class CompiledLoss:
    """The total loss of a model, and a running mean of each of its terms.

    Attributes:
        terms: the losses, once the outputs are known.
    """

    def __init__(self, loss: Any, loss_weights: Any, names: list[str]) -> None:
        self.given = loss
        self.given_weights = loss_weights
        self.names = names
        self.terms: list[Term] | None = None
        self._means: dict[str, Any] = {}

    @property
    def trackers(self) -> list[Any]:
        """The running means, one for each name among the terms; shown if there are several."""
        return list(self._means.values())

    @property
    def losses(self) -> list[Any] | None:
        """The losses of the terms."""
        return None if self.terms is None else [term.loss for term in self.terms]

    def at(self, path: Path) -> Any:
        """The loss of the output at `path`, if it has one of its own."""
        return next((term.loss for term in self.terms or () if term.path == path), None)

    def build(self, y: Any, y_pred: Any) -> None:
        from unidl import metrics

        given, weights = self.given, self.given_weights
        self._names = Names(y_pred, self.names)
        self._outputs = y_pred
        if not is_nested(given) and is_nested(y_pred):  # one loss for each of several outputs
            found = [(path, given, at(_by_place(weights, y_pred, self.names, "loss_weights"), path)
                      if is_nested(weights) else weights) for path, _ in leaves(y_pred)]  # fmt: skip
        else:
            found = self._walk(given, weights, y_pred, ())
        self.terms = []
        for path, item, weight in found:
            loss = _loss_of(item, at(y, path), at(y_pred, path))
            name = self._names.name(path) if self._names.known or path and isinstance(path[-1], str) else ""
            name = name or str(getattr(loss, "name", None) or getattr(item, "__name__", "loss"))
            self.terms.append(Term(path, loss, 1.0 if weight is None else float(weight), name))
        names = dict.fromkeys(t.name for t in self.terms)
        self._means = {name: metrics.Mean(name=f"{name}_loss") for name in names} if len(names) > 1 else {}

    def _walk(self, given: Any, weights: Any, y_pred: Any, path: Path) -> list[tuple[Path, Any, Any]]:
        """Path, loss and weight of each loss in `given`, which is for the outputs at `path`."""
        if given is None:
            return []
        here = at(y_pred, path)
        if isinstance(given, dict) and "class_name" not in given:
            given = _by_place(given, here, self.names if not path else [], "loss")
            if is_nested(weights):
                weights = _by_place(weights, here, self.names if not path else [], "loss_weights")
            keys: Any = given if isinstance(given, dict) else range(len(given))
            return [f for k in keys for f in self._walk(given[k], _part(weights, k), y_pred, (*path, k))]
        if isinstance(given, (list, tuple)):
            places = range(len(given))
            if isinstance(here, (list, tuple)) and _stands_for(given, here):
                if len(given) != len(here):
                    raise ValueError(f"`loss` has {len(given)} entries for {len(here)} outputs.")
                if isinstance(weights, dict):
                    weights = _by_place(weights, here, self.names if not path else [], "loss_weights")
                return [f for i in places for f in self._walk(given[i], _part(weights, i), y_pred, (*path, i))]
            if isinstance(here, dict) and not path and len(given) == len(here) and not any(map(is_nested, given)):
                order = keys_of(here, self.names)
                return [f for i, k in enumerate(order) for f in self._walk(given[i], _part(weights, i), y_pred, (k,))]
            return [f for i in places for f in self._walk(given[i], _part(weights, i), y_pred, path)]
        return [(path, given, weights)]

    def targets(self, y: Any, y_pred: Any) -> Any:
        """Targets in the structure of the outputs; they may be left out for outputs without a loss.

        Raises:
            ValueError: if their number is another.
        """
        given = self.given
        if isinstance(given, (list, tuple)) and isinstance(y_pred, (list, tuple)) and len(given) == len(y_pred):
            values = list(y) if isinstance(y, (list, tuple)) else [y]
            wanted = [item is not None for item in given]
            if not isinstance(y, dict) and len(values) == sum(wanted) < len(given):
                rest = iter(values)
                y = [next(rest) if want else None for want in wanted]
        return aligned(y, y_pred, self.names)

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y = self.targets(y, y_pred)
        if self.terms is None:
            self.build(y, y_pred)
        if is_nested(sample_weight):
            sample_weight = aligned(sample_weight, y_pred, self.names)
        total = None
        shown: dict[str, Any] = {}
        for term in self.terms or ():
            target = at(y, term.path)
            if target is None:
                what = self._names.name(term.path) or "of the model"
                raise ValueError(f"Output {what!r} has a loss, but the data has no target for it.")
            weight = at(sample_weight, term.path) if is_nested(sample_weight) else sample_weight
            output = at(y_pred, term.path)
            value = term.loss(target, output, sample_weight=weight)
            shown[term.name] = value if term.name not in shown else ops.add(shown[term.name], value)
            value = value if term.weight == 1.0 else ops.multiply(value, term.weight)
            total = value if total is None else ops.add(total, value)
        for name, mean in self._means.items():
            mean.update_state(shown[name])
        return total


def _part(weights: Any, key: Any) -> Any:
    if isinstance(weights, dict):
        return weights.get(key)
    return weights[key] if isinstance(weights, (list, tuple)) else weights


def _stands_for(given: Any, outputs: Any) -> bool:
    """Whether a list of losses has one entry for each output, and not several for all of them together.

    A list that holds structures belongs to outputs of its own type only: for a tuple of outputs, ``[whole, (a, b)]``
    are a loss of the tuple and one of each part.
    """
    return type(given) is type(outputs) or not any(is_nested(item) for item in given)


def _by_place(given: Any, outputs: Any, names: list[str], what: str) -> Any:
    """A dict by output name in the structure of the outputs; anything else as it is.

    Raises:
        ValueError: if it names outputs that there are not.
    """
    if not isinstance(given, dict):
        return given
    if isinstance(outputs, dict):
        if unknown := sorted(set(given) - set(outputs)):
            raise _unknown(what, unknown, sorted(outputs), given)
        return given
    if not is_nested(outputs):
        name = names[0] if len(names) == 1 else None
        if len(given) == 1 and (name is None or name in given):
            return list(given.values())
        raise _unknown(what, sorted(given), names or ["the only output"], given)
    if unknown := sorted(set(given) - set(names)):
        raise _unknown(what, unknown, names, given)
    found = [given.get(name) for name in names]
    return found if isinstance(outputs, list) else tuple(found)


def _unknown(what: str, unknown: list[str], known: list[str], given: Any) -> ValueError:
    return ValueError(
        f"Invalid `{what}`: it names the outputs {unknown}, which the model lacks. Expected keys among {known}; "
        f"{what}={given!r} was given."
    )


def _loss_of(item: Any, target: Any, output: Any) -> Any:
    """`item` as something that is called with targets and predictions."""
    from unidl import losses

    if is_nested(output):
        if not callable(item):
            raise ValueError(f"Not a loss of several outputs together: {item!r}. Give a function of the structures.")
        return losses.LossFunctionWrapper(item) if not isinstance(item, losses.Loss) else item
    return losses.resolve(item, _shape(target) if target is not None else (), _shape(output))


class CompiledMetrics:
    """The metrics of a model, made when its outputs are first seen.

    Attributes:
        groups: for each output its path, and its metrics with whether sample weights apply to them.
    """

    def __init__(self, metrics: Any, weighted: Any, names: list[str]) -> None:
        for what, given in (("metrics", metrics), ("weighted_metrics", weighted)):
            if given is not None and not is_nested(given):
                raise ValueError(f"`{what}` must be a list, tuple or dict of metrics, not {given!r}: put it in a list.")
        self.given = metrics
        self.given_weighted = weighted
        self.names = names
        self.groups: list[tuple[Path, list[tuple[Any, bool]]]] | None = None

    @property
    def metrics(self) -> list[Any]:
        """All of them: of all outputs first those without, then those with sample weights."""
        groups = self.groups or ()
        return [m for want in (False, True) for _, group in groups for m, weighted in group if weighted is want]

    def build(self, y: Any, y_pred: Any, loss: CompiledLoss) -> None:
        from unidl import metrics as known

        names = Names(y_pred, self.names)
        outputs = leaves(y_pred)
        self.groups = [(path, []) for path, _ in outputs]
        for given, weighted, what in (
            (self.given, False, "metrics"), (self.given_weighted, True, "weighted_metrics"),
        ):  # fmt: skip
            for (path, output), (_, group) in zip(outputs, self.groups, strict=True):
                for item in self._items(given, y_pred, path, what):
                    if item is None:
                        continue
                    metric = known.resolve(item, _shape(at(y, path)), _shape(output), loss.at(path))
                    if metric is not item or len(outputs) > 1:
                        prefix = f"{names.name(path)}_" if len(outputs) > 1 else ""
                        metric._name = _name_in_group(metric, prefix, group if weighted else [])
                    group.append((metric, weighted))
        used: dict[str, int] = {}
        for metric in self.metrics:
            count = used[metric.name] = used.get(metric.name, -1) + 1
            if count:
                metric._name = f"{metric.name}_{count}"

    def _items(self, given: Any, y_pred: Any, path: Path, what: str) -> list[Any]:
        """What `given` holds for the output at `path`.

        Raises:
            ValueError: if its structure is not that of the outputs.
        """
        if not given:
            return []
        if len(leaves(y_pred)) == 1:
            if isinstance(given, dict):
                known = [str(k) for k in (y_pred if isinstance(y_pred, dict) else self.names)]
                if known and (unknown := sorted(set(map(str, given)) - set(known))):
                    raise _unknown(what, unknown, known, given)
            return [item for _, item in leaves(given)]
        given = _by_place(given, y_pred, self.names, what)
        if isinstance(y_pred, dict) and isinstance(given, (list, tuple)) and len(given) == len(y_pred):
            given = dict(zip(keys_of(y_pred, self.names), given, strict=True))
        for depth, step in enumerate(path):
            if given is None:
                return []
            here = at(y_pred, path[:depth])
            fits = isinstance(given, dict) if isinstance(here, dict) else isinstance(given, (list, tuple))
            if not fits or (not isinstance(here, dict) and len(given) != len(here)):
                raise ValueError(
                    f"Invalid `{what}`: it must be a dict by output name, or have the structure of the outputs "
                    f"(names {self.names}); {what}={given!r} was given for {len(here)} outputs."
                )
            given = given.get(step) if isinstance(given, dict) else given[step]
        return [item for _, item in leaves(given)] if is_nested(given) else [given]

    def update(self, y: Any, y_pred: Any, sample_weight: Any, loss: CompiledLoss) -> None:
        y = loss.targets(y, y_pred)
        if self.groups is None:
            self.build(y, y_pred, loss)
        if is_nested(sample_weight):
            sample_weight = aligned(sample_weight, y_pred, self.names)
        for path, group in self.groups or ():
            target, output = at(y, path), at(y_pred, path)
            weight = at(sample_weight, path) if is_nested(sample_weight) else sample_weight
            for metric, weighted in group:
                if weighted and weight is not None:
                    metric.update_state(target, output, sample_weight=weight)
                else:
                    metric.update_state(target, output)


def _name_in_group(metric: Any, prefix: str, others: list[tuple[Any, bool]]) -> str:
    """The metric's name with the prefix of its output, and "weighted_" if one of `others` has it."""
    name = metric.name.removeprefix(prefix)
    if any(m.name.removeprefix(prefix) == name for m, _ in others):
        name = f"weighted_{name}"
    return prefix + name


def _shape(value: Any) -> tuple[Any, ...]:
    return value.shape if type(value) is SymbolicTensor else tuple(ops.shape(value))
