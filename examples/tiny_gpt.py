"""A miniature GPT: a transformer that continues English prose word by word.

    UNIDL_BACKEND=tensorflow python examples/tiny_gpt.py

It reads the documentation strings of NumPy and learns to say which word comes next. Causal attention lets each place
see what is before it and nothing after, so that one pass over a text learns at all its places. A callback writes a few
words after each epoch. Only the import line would differ with Keras.
"""

from __future__ import annotations

import inspect
import os
import re

import numpy as np

import unidl as keras
from unidl import layers, ops

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
LENGTH, WIDTH, HEADS, BLOCKS = (24, 48, 2, 1) if FAST else (48, 96, 4, 2)
WORDS, TEXTS, EPOCHS = (400, 640, 8) if FAST else (1500, 6000, 8)

keras.utils.set_random_seed(1)


def prose() -> list[str]:
    """The words of NumPy's documentation, in lower case, with full stops as words."""
    found: dict[str, None] = {}
    for module in (np, np.linalg, np.fft, np.random, np.ma):
        for name in sorted(dir(module)):
            doc = getattr(getattr(module, name), "__doc__", None)
            if not name.startswith("_") and isinstance(doc, str):
                found.setdefault(inspect.cleandoc(doc).partition("\n\nExamples\n")[0])
    return re.findall(r"[a-z]+|\.", " ".join(found).lower())


@keras.saving.register_keras_serializable("tiny_gpt")
class TokenAndPosition(layers.Layer):
    """Word numbers (batch, time) as the sums of a vector for the word and one for its place."""

    def __init__(self, length: int, words: int, width: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.length, self.words, self.width = length, words, width
        self.token = layers.Embedding(words, width)
        self.position = layers.Embedding(length, width)

    def call(self, x):
        places = ops.arange(0, ops.shape(x)[-1], 1)
        return self.token(x) + self.position(places)


@keras.saving.register_keras_serializable("tiny_gpt")
class Block(layers.Layer):
    """Causal attention and a small network for each place, both added to what comes in."""

    def __init__(self, width: int, heads: int, rate: float = 0.1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.width, self.heads, self.rate = width, heads, rate
        self.attention = layers.MultiHeadAttention(heads, width // heads, dropout=rate)
        self.network = keras.Sequential([layers.Dense(4 * width, activation="gelu"), layers.Dense(width)])
        self.before = layers.LayerNormalization(epsilon=1e-6)
        self.between = layers.LayerNormalization(epsilon=1e-6)
        self.dropout = layers.Dropout(rate)

    def call(self, x):
        normal = self.before(x)
        x = x + self.attention(normal, normal, use_causal_mask=True)
        return x + self.dropout(self.network(self.between(x)))


text = prose()
counts: dict[str, int] = {}
for word in text:
    counts[word] = counts.get(word, 0) + 1
known = sorted(counts, key=lambda w: (-counts[w], w))[: WORDS - 1]
number = {word: i for i, word in enumerate(known, 1)}  # 0: any other word
tokens = np.array([number.get(word, 0) for word in text], "int32")
split = int(0.9 * len(tokens))
print(f"{len(tokens)} words, of which the {WORDS - 1} commonest are told apart")


def pieces(part: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` pieces of the text from anywhere, and the same one word later."""
    starts = np.random.default_rng(2).integers(0, len(part) - LENGTH - 1, count)
    whole = part[starts[:, None] + np.arange(LENGTH + 1)]
    return whole[:, :-1], whole[:, 1:]


inputs = keras.Input((None,), dtype="int32")
h = TokenAndPosition(LENGTH, WORDS, WIDTH)(inputs)
for _ in range(BLOCKS):
    h = Block(WIDTH, HEADS)(h)
model = keras.Model(inputs, layers.Dense(WORDS)(layers.LayerNormalization(epsilon=1e-6)(h)), name="tiny_gpt")
model.compile(keras.optimizers.Adam(4e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))


class Writer(keras.callbacks.Callback):
    """Continues `prompt` at the end of each epoch, choosing among the likeliest words."""

    def __init__(self, prompt: str, count: int, top: int = 8) -> None:
        super().__init__()
        self.prompt, self.count, self.top = prompt.split(), count, top
        self.random = np.random.default_rng(4)

    def on_epoch_end(self, epoch, logs=None):
        written = [number.get(word, 0) for word in self.prompt]
        for _ in range(self.count):
            seen = np.zeros((1, LENGTH), "int32")  # one length, so that engines which compile do it once
            last = written[-LENGTH:]
            seen[0, : len(last)] = last
            logits = ops.convert_to_numpy(self.model(seen))[0, len(last) - 1]
            logits[0] = -np.inf  # words that are not known are not written
            best = np.argsort(logits)[-self.top :]
            chances = np.exp(logits[best] - logits[best].max())
            written.append(int(self.random.choice(best, p=chances / chances.sum())))
        print(" ".join("…" if w == 0 else known[w - 1] for w in written))


x, y = pieces(tokens[:split], TEXTS)
model.fit(x, y, batch_size=32, epochs=EPOCHS, verbose=2, callbacks=[Writer("return the", 12)])

x, y = pieces(tokens[split:], 64)
loss = model.evaluate(x, y, verbose=0)
often = np.bincount(tokens[:split], minlength=WORDS) + 1.0
alone = -np.log(often / often.sum())[y].mean()  # each word by how common it is, whatever came before
later = x.copy()
later[:, LENGTH // 2 :] = 1
change = np.abs(model.predict(x, verbose=0) - model.predict(later, verbose=0))[:, : LENGTH // 2].max()
print(f"largest change of a prediction by words that come later: {change:.1e}")
print(f"backend {keras.backend.backend()}: perplexity {np.exp(loss):.1f}; by frequency alone: {np.exp(alone):.1f}")
