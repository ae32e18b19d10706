"""`Distiller`: trains a student model with labels and with what a teacher model says."""

from __future__ import annotations

from typing import Any

from unidl import metrics, ops
from unidl.models import Model


class Distiller(Model):
    """A model that computes what `student` does, and is trained to agree with labels and with `teacher`.

    The loss is ``w * student_loss + (1 - w) * distillation_loss``, with w the `student_loss_weight`; the distillation
    loss is the weighted sum of `distillation_losses`. The teacher is frozen, and runs as in inference. After
    training, ``distiller.student`` is the model to keep.

    Args:
        teacher, student: models with inputs and outputs of the same shapes.
        distillation_losses: a `DistillationLoss` or a list of them.
        distillation_loss_weights: one number for each; by default 1.
        student_loss_weight: from 0 (the teacher only) to 1 (labels only).

    Attributes:
        teacher, student: as given.
        student_loss_tracker, distillation_loss_tracker, total_loss_tracker: running means, which are shown as metrics.

    Raises:
        ValueError: if the models do not fit together or a weight is out of range.

    Example:
        >>> import unidl
        >>> from unidl import distillation, layers
        >>> teacher = unidl.Sequential([unidl.Input((4,)), layers.Dense(32, activation="relu"), layers.Dense(3)])
        >>> student = unidl.Sequential([unidl.Input((4,)), layers.Dense(3)])
        >>> distiller = distillation.Distiller(teacher, student, distillation.LogitsDistillation(temperature=2.0))
        >>> teacher.trainable, len(distiller.trainable_variables)
        (False, 2)
    """

    def __init__(
        self,
        teacher: Any,
        student: Any,
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: float = 0.5,
        name: str | None = "distiller",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        for which, model in (("teacher", teacher), ("student", student)):
            if not isinstance(model, Model):
                raise ValueError(f"Distiller: the {which} must be a model, not {model!r}.")
        _check_models(teacher, student)
        weight = student_loss_weight
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= 1:
            raise ValueError(f"Distiller: `student_loss_weight` must be a number from 0 to 1, not {weight!r}.")
        if distillation_losses is None:
            raise ValueError(
                "Distiller: `distillation_losses` cannot be None; give a DistillationLoss or a list of them."
            )
        one = not isinstance(distillation_losses, (list, tuple))
        chosen = [distillation_losses] if one else list(distillation_losses)
        weights = [1.0] * len(chosen) if distillation_loss_weights is None else distillation_loss_weights
        weights = list(weights) if isinstance(weights, (list, tuple)) else [weights]
        if len(weights) != len(chosen):
            raise ValueError(
                f"Distiller: the number of `distillation_loss_weights` ({len(weights)}) must be that of "
                f"`distillation_losses` ({len(chosen)})."
            )
        for loss in chosen:
            loss.validate_model_compatibility(teacher, student)
        self.teacher, self.student = teacher, student
        self.distillation_losses, self.distillation_loss_weights = chosen, weights
        self.student_loss_weight = student_loss_weight
        teacher.trainable = False
        self.student_loss_tracker = metrics.Mean(name="student_loss")
        self.distillation_loss_tracker = metrics.Mean(name="distillation_loss")
        self.total_loss_tracker = metrics.Mean(name="total_loss")
        self._features = _Features(teacher, student, chosen)

    def compile(  # type: ignore[override]  # the order of Keras
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Say how to train: `loss` is that of the student against the labels; the rest as for any model.

        Raises:
            ValueError: without `loss`.
        """
        if loss is None:
            raise ValueError("Distiller: `loss` cannot be None: it is that of the student against the labels.")
        if metrics is not None and not isinstance(metrics, (list, tuple)):
            raise ValueError(f"Distiller: `metrics` must be a list or tuple, not {metrics!r}.")
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any) -> Any:
        """What the student puts out."""
        if mask is not None:
            kwargs["mask"] = mask
        features = self._features
        if features.of_student is None or not self.compiled:
            return self.student(inputs, training=training, **kwargs)
        # The layers' outputs are had from the same run, for the loss that follows.
        found = features.of_student(inputs, training=training, **kwargs)
        features.latest = found
        return found[_FINAL]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The weighted sum of the student's loss and the distillation losses."""
        if y_pred is None:
            y_pred = self(x, training=training)
        weight = float(self.student_loss_weight)
        student: Any = 0.0
        if weight > 0 and y is not None:
            student = super().compute_loss(x, y, y_pred, sample_weight, training)
        distilled: Any = 0.0
        if weight < 1:
            distilled = self._distillation_loss(x, y_pred, training)
        total = ops.add(ops.multiply(student, weight), ops.multiply(distilled, 1.0 - weight))
        self.student_loss_tracker.update_state(student)
        self.distillation_loss_tracker.update_state(distilled)
        self.total_loss_tracker.update_state(total)
        return total

    def _distillation_loss(self, x: Any, y_pred: Any, training: bool) -> Any:
        features = self._features
        run = features.of_teacher
        taught = run(x, training=False) if run is not None else {_FINAL: self.teacher(x, training=False)}
        shown, features.latest = features.latest, None
        if features.of_student is None:
            shown = {_FINAL: y_pred}
        elif shown is None or shown[_FINAL] is not y_pred:  # y_pred came from elsewhere
            shown = {**features.of_student(x, training=training), _FINAL: y_pred}
        total: Any = 0.0
        for loss, weight in zip(self.distillation_losses, self.distillation_loss_weights, strict=True):
            goal = taught[getattr(loss, "teacher_layer_name", None) or _FINAL]
            own = shown[getattr(loss, "student_layer_name", None) or _FINAL]
            loss.validate_outputs(goal, own)
            value = loss.compute_loss(goal, own)
            if len(ops.shape(value)):
                raise ValueError(
                    f"{type(loss).__name__}.compute_loss must return a scalar, not the shape {ops.shape(value)}."
                )
            total = ops.add(total, ops.multiply(value, float(weight)))
        return total


_FINAL = "final_output"


class _Features:
    """Models that also put out what layers inside the teacher and the student do, where a loss asks for it.

    Attributes:
        of_teacher, of_student: None if only the final outputs are needed.
        latest: what `of_student` put out last, until the loss has been computed.
    """

    def __init__(self, teacher: Any, student: Any, losses: list[Any]) -> None:
        self.of_teacher = _extractor(teacher, [getattr(loss, "teacher_layer_name", None) for loss in losses])
        self.of_student = _extractor(student, [getattr(loss, "student_layer_name", None) for loss in losses])
        self.latest: Any = None


def _extractor(model: Any, names: list[str | None]) -> Any:
    wanted = [name for name in dict.fromkeys(names) if name]
    if not wanted:
        return None
    outputs = {_FINAL: model.output, **{name: model.get_layer(name).output for name in wanted}}
    return Model(model.input, outputs, name=f"{model.name}_features")


def _check_models(teacher: Any, student: Any) -> None:
    """Functional models must have inputs and outputs of fitting shapes."""
    if getattr(teacher, "_net", None) is None or getattr(student, "_net", None) is None:
        return
    for what in ("inputs", "outputs"):
        ours, theirs = getattr(teacher, what), getattr(student, what)
        shapes = [t.shape for t in ours], [t.shape for t in theirs]
        fit = len(ours) == len(theirs) and all(
            len(a.shape) == len(b.shape)
            and all(m is None or n is None or m == n for m, n in zip(a.shape, b.shape, strict=True))
            and a.dtype == b.dtype
            for a, b in zip(ours, theirs, strict=True)
        )
        if not fit:
            raise ValueError(
                f"Distiller: the {what} of teacher {teacher.name!r} and student {student.name!r} do not fit: "
                f"{shapes[0]} of {[t.dtype for t in ours]} and {shapes[1]} of {[t.dtype for t in theirs]}."
            )
