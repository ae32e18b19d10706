"""What a student's outputs or features cost against the teacher's."""

from __future__ import annotations

from typing import Any

from unidl import losses, ops, tree


class DistillationLoss:
    """Derive from it and define `compute_loss`, and `get_config` to make it part of saved models."""

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The scalar that shall become small.

        Args:
            teacher_outputs, student_outputs: tensors, or structures of them.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define compute_loss(teacher_outputs, student_outputs, **kwargs)."
        )

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Raise a `ValueError` if the outputs do not correspond."""
        _same_nesting(teacher_outputs, student_outputs, "the teacher's outputs", "the student's outputs")

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raise a `ValueError` if the loss cannot be computed for these models."""


class LogitsDistillation(DistillationLoss):
    """Compares outputs that are logits, divided by a temperature.

    With the Kullback-Leibler divergence (the default) both become probabilities, and the loss is multiplied by the
    square of the temperature, so that its gradients stay of one size (G. Hinton et al., arXiv:1503.02531).

    Args:
        temperature: above 0; the higher, the more the small logits count.
        loss: a loss or its name, or a structure of them like that of the outputs; None leaves an output out.

    Raises:
        ValueError: for a bad temperature, or if no loss is given.
    """

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence") -> None:
        if isinstance(temperature, bool) or not isinstance(temperature, (int, float)) or not temperature > 0:
            raise ValueError(f"LogitsDistillation: `temperature` must be a positive number, not {temperature!r}.")
        self.temperature = temperature
        self.loss = _loss_objects(loss, type(self).__name__)

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The sum of the losses of all outputs."""

        def one(loss: Any, teacher: Any, student: Any) -> Any:
            teacher, student = (ops.divide(logits, self.temperature) for logits in (teacher, student))
            if not isinstance(loss, losses.KLDivergence):
                return loss(teacher, student)
            value = loss(ops.softmax(teacher, axis=-1), ops.softmax(student, axis=-1))
            return ops.multiply(value, float(self.temperature) ** 2)

        return _sum_of(one, self.loss, teacher_outputs, student_outputs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from unidl.saving.objects import serialize_keras_object

        return {"temperature": self.temperature, "loss": serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LogitsDistillation:
        """The loss that `get_config` described."""
        return cls(**_with_losses(config))


class FeatureDistillation(DistillationLoss):
    """Compares the outputs of layers inside the models (A. Romero et al., arXiv:1412.6550), or those of the models.

    Args:
        loss: a loss or its name, or a structure of them like that of the features; None leaves one out.
        teacher_layer_name, student_layer_name: the layers; None: the models' outputs.

    Raises:
        ValueError: if no loss is given.
    """

    def __init__(
        self, loss: Any = "mse", teacher_layer_name: str | None = None, student_layer_name: str | None = None
    ) -> None:
        self.teacher_layer_name, self.student_layer_name = teacher_layer_name, student_layer_name
        self.loss = _loss_objects(loss, type(self).__name__)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        for which, model, name in (
            ("teacher", teacher, self.teacher_layer_name),
            ("student", student, self.student_layer_name),
        ):
            if name is None:
                continue
            if getattr(model, "_net", None) is None:
                raise ValueError(
                    f"FeatureDistillation with the layer {name!r} needs a functional or Sequential model that is "
                    f"built; the {which} {model.name!r} is neither. Call it on data, or leave out the layer's name."
                )
            try:
                model.get_layer(name)
            except ValueError as error:
                raise ValueError(f"FeatureDistillation, in the {which}: {error}") from None

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        super().validate_outputs(teacher_outputs, student_outputs)
        if tree.is_nested(self.loss):
            _same_nesting(self.loss, teacher_outputs, "`loss`", "the teacher's features")

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The sum of the losses of all features."""
        return _sum_of(
            lambda loss, teacher, student: loss(teacher, student), self.loss, teacher_outputs, student_outputs
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from unidl.saving.objects import serialize_keras_object

        return {
            "loss": serialize_keras_object(self.loss),
            "teacher_layer_name": self.teacher_layer_name,
            "student_layer_name": self.student_layer_name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureDistillation:
        """The loss that `get_config` described."""
        return cls(**_with_losses(config))


def _loss_objects(given: Any, kind: str) -> Any:
    """Losses as objects, in the nesting that was given."""
    found = tree.map_structure(lambda item: None if item is None else losses.loss_object(item), given)
    if all(loss is None for loss in tree.flatten(found)):
        raise ValueError(f"{kind}: `loss` must hold at least one loss that is not None.")
    return found


def _with_losses(config: dict[str, Any]) -> dict[str, Any]:
    from unidl.saving.objects import deserialize_keras_object

    loss = config.get("loss")
    written = isinstance(loss, (dict, list, tuple))
    return {**config, "loss": deserialize_keras_object(loss) if written else loss}


def _sum_of(one: Any, loss: Any, teacher: Any, student: Any) -> Any:
    """The sum of ``one(loss, teacher's, student's)`` over all leaves that have a loss."""
    given = tree.flatten(loss) if tree.is_nested(loss) else [loss] * len(tree.flatten(teacher))
    triples = zip(given, tree.flatten(teacher), tree.flatten(student), strict=True)
    values = [one(*triple) for triple in triples if triple[0] is not None]
    total = values[0]
    for value in values[1:]:
        total = ops.add(total, value)
    return total


def _same_nesting(one: Any, other: Any, name: str, other_name: str) -> None:
    try:
        tree.assert_same_structure(one, other)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} and {other_name} are nested in different ways: {error}") from None
