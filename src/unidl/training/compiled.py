"""What `compile` was given, resolved against a model's outputs: losses with weights, and metrics."""

from __future__ import annotations

from typing import Any

from unidl import ops, tree
from unidl.graph.symbolic import SymbolicTensor


def _per_output(given: Any, y_pred: Any, names: list[str], what: str) -> list[Any]:
    """`given` (one for all, a list, or a dict by output name) as a list parallel to the flat outputs."""
    count = len(tree.flatten(y_pred))
    if isinstance(given, dict):
        keys = sorted(y_pred) if isinstance(y_pred, dict) else names
        if unknown := sorted(set(given) - set(keys)):
            raise ValueError(f"`{what}` names the outputs {unknown}; the model has {keys}.")
        return [given.get(k) for k in keys]
    if isinstance(given, (list, tuple)) and (count > 1 or what != "metrics"):
        if len(given) != count:
            raise ValueError(f"`{what}` has {len(given)} entries for {count} outputs.")
        return list(given)
    return [given] * count


def paired(y: Any, y_pred: Any) -> list[tuple[Any, Any]]:
    """Targets and predictions, leaf by leaf.

    Raises:
        ValueError: if their structures do not correspond.
    """
    flat_pred = tree.flatten(y_pred)
    if isinstance(y, dict) and isinstance(y_pred, dict):
        flat_y = [y.get(k) for k in sorted(y_pred)]
    else:
        flat_y = tree.flatten(y)
    if len(flat_y) != len(flat_pred):
        raise ValueError(f"The model has {len(flat_pred)} outputs, but the data has {len(flat_y)} targets.")
    return list(zip(flat_y, flat_pred, strict=True))


class CompiledLoss:
    """The total loss of a model, and a running mean of each output's own.

    Attributes:
        losses: one loss (or None) for each output, once the outputs are known.
        weights: as many numbers.
        trackers: running means, shown for models of several outputs.
    """

    def __init__(self, loss: Any, loss_weights: Any, names: list[str]) -> None:
        self.given = loss
        self.given_weights = loss_weights
        self.names = names
        self.losses: list[Any] | None = None
        self.weights: list[float] = []
        self.trackers: list[Any] = []

    def build(self, y: Any, y_pred: Any) -> None:
        from unidl import losses, metrics

        names = sorted(y_pred) if isinstance(y_pred, dict) else self.names
        flat = tree.flatten(y_pred)
        names = names if len(names) == len(flat) else [f"output_{i}" for i in range(len(flat))]
        given = _per_output(self.given, y_pred, names, "loss")
        targets = [t for t, _ in paired(y, y_pred)]
        self.losses = [
            None if item is None else losses.resolve(item, () if t is None else _shape(t), _shape(p))
            for item, t, p in zip(given, targets, flat, strict=True)
        ]
        weights = _per_output(self.given_weights, y_pred, names, "loss_weights")
        self.weights = [1.0 if w is None else float(w) for w in weights]
        if len(flat) > 1:
            self.trackers = [metrics.Mean(name=f"{name}_loss") for name in names]

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if self.losses is None:
            self.build(y, y_pred)
        total = None
        pairs = paired(y, y_pred)
        weights = (
            tree.flatten(sample_weight)
            if isinstance(sample_weight, (list, tuple, dict))
            else [sample_weight] * len(pairs)
        )
        for i, ((target, output), loss) in enumerate(zip(pairs, self.losses or (), strict=True)):
            if loss is None:
                continue
            if target is None:
                raise ValueError(f"Output {i} has a loss, but the data has no target for it.")
            value = loss(target, output, sample_weight=weights[i])
            if self.trackers:
                self.trackers[i].update_state(value)
            value = value if self.weights[i] == 1.0 else ops.multiply(value, self.weights[i])
            total = value if total is None else ops.add(total, value)
        return total


class CompiledMetrics:
    """The metrics of a model, made when its outputs are first seen.

    Attributes:
        groups: for each output the metrics and whether sample weights apply to them.
    """

    def __init__(self, metrics: Any, weighted: Any, names: list[str]) -> None:
        self.given = metrics
        self.given_weighted = weighted
        self.names = names
        self.groups: list[list[tuple[Any, bool]]] | None = None

    @property
    def metrics(self) -> list[Any]:
        return [m for group in self.groups or () for m, _ in group]

    def build(self, y: Any, y_pred: Any, loss: CompiledLoss) -> None:
        from unidl import metrics as known

        flat = tree.flatten(y_pred)
        names = sorted(y_pred) if isinstance(y_pred, dict) else self.names
        names = names if len(names) == len(flat) else [f"output_{i}" for i in range(len(flat))]
        pairs = paired(y, y_pred)
        self.groups = [[] for _ in flat]
        for given, weighted in ((self.given, False), (self.given_weighted, True)):
            if given is None:
                continue
            if len(flat) == 1 and not isinstance(given, dict):
                per_output = [given]
            else:
                per_output = _per_output(given, y_pred, names, "metrics")
            for i, items in enumerate(per_output):
                for item in items if isinstance(items, (list, tuple)) else [items]:
                    if item is None:
                        continue
                    target, output = pairs[i]
                    own_loss = loss.losses[i] if loss.losses else None
                    metric = known.resolve(item, _shape(target), _shape(output), own_loss)
                    if len(flat) > 1 and metric is not item:
                        metric._name = f"{names[i]}_{metric.name}"
                    self.groups[i].append((metric, weighted))
        used: dict[str, int] = {}
        for metric in self.metrics:
            count = used[metric.name] = used.get(metric.name, -1) + 1
            if count:
                metric._name = f"{metric.name}_{count}"

    def update(self, y: Any, y_pred: Any, sample_weight: Any, loss: CompiledLoss) -> None:
        if self.groups is None:
            self.build(y, y_pred, loss)
        pairs = paired(y, y_pred)
        weights = (
            tree.flatten(sample_weight)
            if isinstance(sample_weight, (list, tuple, dict))
            else [sample_weight] * len(pairs)
        )
        for (target, output), group, weight in zip(pairs, self.groups or (), weights, strict=True):
            for metric, weighted in group:
                if weighted and weight is not None:
                    metric.update_state(target, output, sample_weight=weight)
                else:
                    metric.update_state(target, output)


def _shape(value: Any) -> tuple[Any, ...]:
    return value.shape if type(value) is SymbolicTensor else tuple(ops.shape(value))
