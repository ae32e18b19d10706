"""Which library does this sentence come from? An LSTM on sentences of different lengths, with masks.

    UNIDL_BACKEND=mxnet python examples/sequence.py

The text is real and on every machine that can run the examples: the documentation strings of NumPy, SciPy,
scikit-learn and matplotlib, cut into sentences, without the libraries' names. Word numbers are padded with 0, which
`Embedding` turns into a mask: padded steps change nothing.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re

import numpy as np

import unidl
from unidl import layers

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
SOURCES = {
    "numpy": ["", ".linalg", ".fft", ".random", ".ma"],
    "scipy": [".signal", ".stats", ".optimize", ".ndimage", ".interpolate"],
    "sklearn": [".metrics", ".linear_model", ".ensemble", ".cluster", ".preprocessing"],
    "matplotlib": [".axes", ".figure", ".colors", ".patches", ".ticker"],
}
NAMES = list(SOURCES)
LENGTH, WORDS, PER_LIBRARY = 24, 2000, 150 if FAST else 800

unidl.utils.set_random_seed(3)


def docstrings(modules: list[str]) -> list[str]:
    """The documentation of the public functions, classes and methods of `modules`."""
    found: dict[str, None] = {}
    for name in modules:
        module = importlib.import_module(name)
        members = [getattr(module, n, None) for n in sorted(dir(module)) if not n.startswith("_")]
        for member in members:
            methods = [v for _, v in sorted(vars(member).items())] if inspect.isclass(member) else []
            for item in [member, *methods]:
                if callable(item) and isinstance(doc := getattr(item, "__doc__", None), str):
                    found.setdefault(inspect.cleandoc(doc))
    return list(found)


def sentences(texts: list[str]) -> list[list[str]]:
    """Sentences of at least four words, in lower case, without what would give the library away."""
    found: dict[tuple[str, ...], None] = {}
    for text in texts:
        for sentence in re.split(r"[.:;]\s|\n\n", text):
            words = re.findall(r"[a-z]+", re.sub("|".join(NAMES), "library", sentence.lower()))
            if len(words) >= 4:
                found.setdefault(tuple(words[:LENGTH]))
    return [list(words) for words in found]


random = np.random.default_rng(3)
texts: list[list[str]] = []
labels: list[int] = []
for label, (library, modules) in enumerate(SOURCES.items()):
    of_library = sentences(docstrings([library + module for module in modules]))
    chosen = random.permutation(len(of_library))[:PER_LIBRARY]
    texts += [of_library[i] for i in chosen]
    labels += [label] * len(chosen)

order = random.permutation(len(texts))
split = int(0.8 * len(order))
counts: dict[str, int] = {}
for i in order[:split]:  # the vocabulary comes from the training part alone
    for word in texts[i]:
        counts[word] = counts.get(word, 0) + 1
kept = sorted(counts, key=lambda w: (-counts[w], w))[: WORDS - 2]
number = {word: n for n, word in enumerate(kept, 2)}  # 0 is padding, 1 any other word
x = unidl.utils.pad_sequences([[number.get(w, 1) for w in t] for t in texts], maxlen=LENGTH, padding="post")
y = np.array(labels, "int32")
lengths = [len(t) for t in texts]
print(f"{len(texts)} sentences of {min(lengths)} to {max(lengths)} words, {len(NAMES)} libraries")

model = unidl.Sequential(
    [
        unidl.Input((None,), dtype="int32"),  # sentences of any length
        layers.Embedding(WORDS, 32, mask_zero=True),
        layers.LSTM(48),
        layers.Dropout(0.4),
        layers.Dense(len(NAMES), activation="softmax"),
    ],
    name="reader",
)
model.compile(optimizer=unidl.optimizers.Adam(4e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
train, test = order[:split], order[split:]
model.fit(x[train], y[train], batch_size=64, epochs=6 if FAST else 3, validation_split=0.1, verbose=2)

_, accuracy = model.evaluate(x[test], y[test], verbose=0)
guess = np.bincount(y[test]).max() / len(test)
p = model.predict(x[test], verbose=0)
# The same sentences with twice the padding: the mask makes it no difference.
padded = model.predict(np.pad(x[test], ((0, 0), (0, LENGTH))), verbose=0)
surest = int(np.argmax(p.max(-1)))
print(f"surest: {' '.join(texts[test[surest]])!r} is {NAMES[int(p[surest].argmax())]} ({p[surest].max():.0%})")
print(f"largest change of a probability by more padding: {np.abs(p - padded).max():.1e}")
print(f"backend {unidl.backend.backend()}: test accuracy {accuracy:.3f}; always the commonest library: {guess:.3f}")
