"""Knowledge distillation: a small model learns the digits from a large one, better than from the labels alone.

    UNIDL_BACKEND=torch python examples/distillation.py        (or tensorflow, mxnet)

Only a few of scikit-learn's digits have labels here; the teacher has seen them all. The student learns from the
teacher's answers to all pictures, which say not only "a 3" but also "rather like an 8" (G. Hinton et al.,
arXiv:1503.02531).
"""

from __future__ import annotations

import os

import numpy as np
from sklearn.datasets import load_digits

import unidl
from unidl import layers
from unidl.distillation import Distiller, FeatureDistillation, LogitsDistillation

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"

unidl.utils.set_random_seed(3)
images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
order = np.random.default_rng(3).permutation(len(images))
train, test = order[:1400], order[1400:]
labelled = train[:60]

loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
accuracy = unidl.metrics.SparseCategoricalAccuracy


def network(name: str, units: int, hidden: int) -> unidl.Model:
    """Two layers of `units` each, the second named `features`, of 16 outputs."""
    x = inputs = unidl.Input((64,))
    for _ in range(hidden):
        x = layers.Dense(units, activation="relu")(x)
    x = layers.Dense(16, activation="tanh", name="features")(x)
    return unidl.Model(inputs, layers.Dense(10, name="logits")(x), name=name)


teacher = network("teacher", 256, 2)
teacher.compile(unidl.optimizers.Adam(2e-3), loss, metrics=[accuracy(name="accuracy")])
teacher.fit(images[train], labels[train], batch_size=32, epochs=8 if FAST else 40, verbose=0)
print(f"teacher: {teacher.count_params():,} parameters")
print(f"teacher accuracy {teacher.evaluate(images[test], labels[test], verbose=0)[1]:.4f}")

alone = network("alone", 16, 1)
alone.compile(unidl.optimizers.Adam(5e-3), loss, metrics=[accuracy(name="accuracy")])
alone.fit(images[labelled], labels[labelled], batch_size=30, epochs=40 if FAST else 150, verbose=0)
score = alone.evaluate(images[test], labels[test], verbose=0)[1]
print(f"a small model on {len(labelled)} labels: accuracy {score:.4f}")

student = network("student", 16, 1)
distiller = Distiller(
    teacher,
    student,
    distillation_losses=[LogitsDistillation(temperature=3.0), FeatureDistillation("mse", "features", "features")],
    distillation_loss_weights=[1.0, 0.5],
    student_loss_weight=0.1,
)
distiller.compile(unidl.optimizers.Adam(5e-3), loss=loss, metrics=[accuracy(name="accuracy")])
# Pictures without a label get the weight 0 in the student's own loss; the teacher says something about each.
has_label = np.isin(train, labelled).astype("float32")
history = distiller.fit(
    images[train], labels[train], sample_weight=has_label, batch_size=32, epochs=10 if FAST else 60, verbose=0
)
losses = history.history["distillation_loss"]
print(f"student: {student.count_params():,} parameters")
print(f"distillation loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last")
scores = distiller.evaluate(images[test], labels[test], verbose=0, return_dict=True)
print(f"student accuracy {scores['accuracy']:.4f}")
