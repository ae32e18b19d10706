"""`distillation`: losses by hand, and a student that learns from a teacher."""

from __future__ import annotations

import json

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.distillation import DistillationLoss, Distiller, FeatureDistillation, LogitsDistillation

trains = pytest.mark.skipif(not active.trains, reason="this backend does not train")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logits(seed):
    return np.random.default_rng(seed).normal(size=(4, 3)).astype("float32")


def value(tensor):
    return float(active.to_numpy(ops.convert_to_tensor(tensor)))


def test_logits():
    teacher, student = logits(0), logits(1)
    p, q = softmax(teacher / 2), softmax(student / 2)
    expected = 4 * (p * np.log(p / q)).sum(1).mean()
    found = LogitsDistillation(2.0).compute_loss(ops.array(teacher), ops.array(student))
    assert value(found) == pytest.approx(expected, rel=1e-4)
    found = LogitsDistillation(2.0, "mse").compute_loss(ops.array(teacher), ops.array(student))
    assert value(found) == pytest.approx((((teacher - student) / 2) ** 2).mean(), rel=1e-5)
    several = LogitsDistillation(1.0, {"a": "mse", "b": None})
    both = {"a": ops.array(teacher), "b": ops.array(student)}
    swapped = {"a": both["b"], "b": both["a"]}
    assert value(several.compute_loss(both, swapped)) == pytest.approx(((teacher - student) ** 2).mean(), rel=1e-5)


def test_features():
    teacher, student = logits(0), logits(1)
    found = FeatureDistillation("mae").compute_loss(ops.array(teacher), ops.array(student))
    assert value(found) == pytest.approx(np.abs(teacher - student).mean(), rel=1e-5)
    with pytest.raises(ValueError, match="nested in different ways"):
        FeatureDistillation().validate_outputs(teacher, [teacher, student])
    with pytest.raises(ValueError, match="`loss` and the teacher"):
        FeatureDistillation({"a": "mse"}).validate_outputs(teacher, student)


@pytest.mark.once
def test_configurations():
    for loss in (
        LogitsDistillation(4.0, {"a": "mse", "b": None}),
        LogitsDistillation(),
        FeatureDistillation("cosine_similarity", "x", "y"),
    ):
        config = json.loads(json.dumps(unidl.saving.serialize_keras_object(loss)))
        again = unidl.saving.deserialize_keras_object(config)
        assert type(again) is type(loss)
        assert unidl.saving.serialize_keras_object(again) == config


@pytest.mark.once
@pytest.mark.parametrize("temperature", [0, -1, "hot", True, float("nan")])
def test_bad_temperatures(temperature):
    with pytest.raises(ValueError, match="temperature"):
        LogitsDistillation(temperature)


@pytest.mark.once
def test_no_loss():
    for kind in (LogitsDistillation, FeatureDistillation):
        with pytest.raises(ValueError, match="`loss`"):
            kind(loss=[None, None])
    with pytest.raises(NotImplementedError, match="compute_loss"):
        DistillationLoss().compute_loss(1, 2)


def models():
    unidl.utils.set_random_seed(5)
    teacher = unidl.Sequential(
        [unidl.Input((4,)), layers.Dense(8, activation="relu", name="wide"), layers.Dense(3)], name="teacher"
    )
    student = unidl.Sequential(
        [unidl.Input((4,)), layers.Dense(8, activation="relu", name="own"), layers.Dropout(0.2), layers.Dense(3)],
        name="student",
    )
    return teacher, student


def data():
    rng = np.random.default_rng(2)
    return rng.normal(size=(30, 4)).astype("float32"), rng.integers(0, 3, 30)


LOSS = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)


@trains
@pytest.mark.parametrize("eager", [False, True])
def test_training(eager):
    teacher, student = models()
    x, y = data()
    before = teacher.get_weights()
    losses = [LogitsDistillation(2.0), FeatureDistillation("mse", "wide", "own")]
    distiller = Distiller(teacher, student, losses, [1.0, 0.5], student_loss_weight=0.25)
    distiller.compile(unidl.optimizers.Adam(0.02), LOSS, metrics=["accuracy"], run_eagerly=eager)
    history = distiller.fit(x, y, epochs=6, batch_size=10, verbose=0, validation_data=(x, y)).history
    assert {"loss", "accuracy", "student_loss", "distillation_loss", "total_loss", "val_total_loss"} <= set(history)
    assert history["distillation_loss"][-1] < history["distillation_loss"][0]
    for ours, theirs in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    scores = distiller.evaluate(x, y, verbose=0, return_dict=True, batch_size=30)
    assert scores["total_loss"] == pytest.approx(
        0.25 * scores["student_loss"] + 0.75 * scores["distillation_loss"], rel=1e-5
    )
    # By hand, from the two models.
    t, s = teacher.predict(x, verbose=0), student.predict(x, verbose=0)
    inner = [
        unidl.Model(m.input, m.get_layer(n).output).predict(x, verbose=0)
        for m, n in ((teacher, "wide"), (student, "own"))
    ]
    p, q = softmax(t / 2), softmax(s / 2)
    expected = 4 * (p * np.log(p / q)).sum(1).mean() + 0.5 * ((inner[0] - inner[1]) ** 2).mean()
    assert scores["distillation_loss"] == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(distiller.predict(x, verbose=0), s, rtol=1e-5)


@trains
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_one_side_alone(weight):
    teacher, student = models()
    x, y = data()
    distiller = Distiller(teacher, student, LogitsDistillation(), student_loss_weight=weight)
    distiller.compile("adam", LOSS)
    history = distiller.fit(x, y, verbose=0).history
    assert (history["student_loss"][0] == 0) is (weight == 0)
    assert (history["distillation_loss"][0] == 0) is (weight == 1)


@trains
def test_subclassed_models_and_own_losses():
    class Net(unidl.Model):
        def __init__(self, units):
            super().__init__()
            self.inner, self.outer = layers.Dense(units, activation="tanh"), layers.Dense(3)

        def call(self, x):
            return self.outer(self.inner(x))

    class Cubes(DistillationLoss):
        def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
            return ops.mean(ops.abs(ops.subtract(teacher_outputs, student_outputs)) ** 3)

    class Bad(DistillationLoss):
        def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
            return teacher_outputs

    x, y = data()
    distiller = Distiller(Net(16), Net(2), Cubes())
    distiller.compile("adam", LOSS)
    history = distiller.fit(x, y, epochs=3, verbose=0).history["distillation_loss"]
    assert history[-1] < history[0]
    distiller = Distiller(Net(16), Net(2), Bad())
    distiller.compile("adam", LOSS)
    with pytest.raises(ValueError, match=r"Bad\.compute_loss must return a scalar"):
        distiller.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="needs a functional or Sequential"):
        Distiller(Net(3), Net(2), FeatureDistillation("mse", "inner", "inner"))


def test_config_of_a_distiller():
    teacher, student = models()
    distiller = Distiller(teacher, student, [LogitsDistillation(2.0)], [0.5], student_loss_weight=0.7)
    config = json.loads(json.dumps(distiller.get_config()))
    again = Distiller.from_config(config)
    assert again.student_loss_weight == 0.7 and again.distillation_losses[0].temperature == 2.0
    again.set_weights(distiller.get_weights())
    x = data()[0]
    np.testing.assert_allclose(again.predict(x, verbose=0), distiller.predict(x, verbose=0), rtol=1e-5)


@pytest.mark.once
def test_bad_distillers():
    teacher, student = models()
    loss = LogitsDistillation()
    other = unidl.Sequential([unidl.Input((4,)), layers.Dense(2)])
    for arguments, words in (
        (("x", student, loss), "teacher must be a model"),
        ((teacher, "x", loss), "student must be a model"),
        ((teacher, other, loss), "outputs of teacher 'teacher'"),
        ((teacher, student, None), "`distillation_losses` cannot be None"),
        ((teacher, student, [loss, loss], [1.0]), "number of `distillation_loss_weights`"),
        ((teacher, student, loss, None, 1.5), "`student_loss_weight`"),
        ((teacher, student, FeatureDistillation("mse", "nowhere", "own")), "in the teacher: .*nowhere"),
    ):
        with pytest.raises(ValueError, match=words):
            Distiller(*arguments)
    distiller = Distiller(teacher, student, loss)
    with pytest.raises(ValueError, match="`loss` cannot be None"):
        distiller.compile("adam")
    with pytest.raises(ValueError, match="`metrics` must be"):
        distiller.compile("adam", LOSS, metrics="accuracy")


@trains
def test_compiled_models_keep_their_metrics_to_themselves():
    teacher, student = models()
    x, y = data()
    for model in (teacher, student):
        model.compile("adam", LOSS, metrics=[unidl.metrics.SparseCategoricalAccuracy(name="accuracy")])
        model.fit(x, y, verbose=0)
    distiller = Distiller(teacher, student, LogitsDistillation())
    distiller.compile("adam", LOSS, metrics=["accuracy"])
    scores = distiller.evaluate(x, y, verbose=0, return_dict=True)
    names = ["accuracy", "distillation_loss", "loss", "student_loss", "total_loss"]
    assert sorted(scores) == names and sorted(distiller.metrics_names) == names
    assert scores["accuracy"] == pytest.approx((student.predict(x, verbose=0).argmax(1) == y).mean())
