"""`audio_dataset_from_directory`."""

from __future__ import annotations

import wave
from typing import Any

import numpy as np

from unidl.graph.symbolic import TensorSpec
from unidl.utils._directories import Request


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: Any = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Batches of the ``.wav`` files in a directory, with labels from the names of its folders.

    Args:
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links,
            verbose: see `image_dataset_from_directory`.
        sampling_rate: samples a second, to which all files are resampled; None leaves them.
        output_sequence_length: longer recordings lose their end, shorter ones get zeros; None: as long as the longest
            of each batch.
        ragged: not supported.

    Returns:
        A data set of float32 recordings from -1 to 1, of shape (batch, time, channels), or of pairs of recordings and
        labels, with the attributes `class_names` and `file_paths`: on TensorFlow a `tf.data.Dataset`, elsewhere a
        `utils.Dataset`.

    Raises:
        ValueError: if there is no file, a file is no uncompressed WAV file, or arguments do not go together.
    """
    if ragged:
        if output_sequence_length is not None:
            raise ValueError("`ragged` keeps lengths and `output_sequence_length` makes them equal: give only one.")
        raise ValueError("unidl has no ragged tensors: leave out `ragged`; shorter recordings get zeros.")
    for name, value in (("sampling_rate", sampling_rate), ("output_sequence_length", output_sequence_length)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"`{name}` must be a positive integer, not {value!r}.")
    request = Request(
        "audio", (".wav",), directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
        subset, follow_links, verbose, True,
    )  # fmt: skip
    request.check()

    def load(path: str) -> np.ndarray:
        samples, rate = decoded(path)
        if sampling_rate is not None and rate != sampling_rate:
            samples = resampled(samples, round(len(samples) * sampling_rate / rate))
        return samples if output_sequence_length is None else fitted(samples, output_sequence_length)

    def join(rows: list[np.ndarray]) -> np.ndarray:
        longest = max(len(row) for row in rows)
        return np.stack([fitted(row, longest) for row in rows])

    return request.datasets(load, TensorSpec((output_sequence_length, None), "float32"), join, "No {0}audio files")


def decoded(path: str) -> tuple[np.ndarray, int]:
    """A recording as float32 from -1 to 1, shape (time, channels), and its samples a second."""
    try:
        with wave.open(path, "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path!r} is no uncompressed WAV file: {error}") from None
    if width == 1:
        samples = np.frombuffer(data, np.uint8).astype(np.float32) / 128.0 - 1.0
    elif width == 3:
        triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(triples), 4), np.uint8)
        wide[:, 1:] = triples
        samples = wide.view("<i4")[:, 0].astype(np.float32) / 2.0**31
    else:
        samples = np.frombuffer(data, f"<i{width}").astype(np.float32) / 2.0 ** (8 * width - 1)
    return samples.reshape(-1, channels), rate


def resampled(samples: np.ndarray, length: int) -> np.ndarray:
    """The same recording in `length` samples, by cutting or filling its spectrum."""
    have = len(samples)
    if have in (0, length):
        return samples
    kept = min(have, length) // 2 + 1
    spectrum = np.zeros((length // 2 + 1, samples.shape[1]), np.complex128)
    spectrum[:kept] = np.fft.rfft(samples, axis=0)[:kept]
    if min(have, length) % 2 == 0 and have != length:  # the highest frequency stands for two, or is one of two
        spectrum[kept - 1] *= 0.5 if length > have else 1.0
    return (np.fft.irfft(spectrum, length, axis=0) * (length / have)).astype(np.float32)


def fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """The first `length` samples, with zeros after the last if there are fewer."""
    if len(samples) >= length:
        return samples[:length]
    return np.concatenate([samples, np.zeros((length - len(samples), samples.shape[1]), np.float32)])
