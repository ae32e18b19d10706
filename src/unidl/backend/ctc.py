"""Prefix beam search on the host, for the backends' `ctc_beam_search` (Graves, arXiv:1211.3711, section 2.4)."""

from __future__ import annotations

from typing import Any

import numpy as np


def beam_search(
    inputs: np.ndarray, lengths: np.ndarray, beam_width: int, top_paths: int, mask_index: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best labellings of each example.

    Args:
        inputs: float logits, (batch, time, classes).

    Returns:
        int32 (top_paths, batch, time), padded with -1, and their log probabilities, (batch, top_paths).
    """
    batch, time, _ = inputs.shape
    paths = np.full((top_paths, batch, time), -1, "int32")
    scores = np.full((batch, top_paths), -np.inf, inputs.dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for example in range(batch):
            length = int(np.clip(lengths[example], 0, time))
            logits = inputs[example, :length].astype("float64")
            top = logits.max(-1, keepdims=True) if length else logits
            logs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
            for place, (path, score) in enumerate(_search(logs, beam_width, mask_index)[:top_paths]):
                paths[place, example, : len(path)] = path
                scores[example, place] = score
    return paths, scores


def _search(logs: np.ndarray, beam_width: int, blank: int) -> list[tuple[tuple[int, ...], float]]:
    """Labellings and their log probabilities, the most probable first."""
    prefixes: list[tuple[int, ...]] = [()]
    # Log probabilities of the alignments of each prefix that end with no label, and with its last label.
    with_blank, with_label = np.zeros(1), np.full(1, -np.inf)
    for now in logs:
        total = np.logaddexp(with_blank, with_label)
        last = np.array([p[-1] if p else blank for p in prefixes])
        stay_blank = total + now[blank]
        stay_label = np.where([not p for p in prefixes], -np.inf, with_label + now[last])
        # A label that repeats the last one is a new label only after none.
        grown = total[:, None] + now
        rows = np.arange(len(prefixes))
        grown[rows, last] = with_blank + now[last]
        grown[:, blank] = -np.inf
        known = {p: i for i, p in enumerate(prefixes)}
        for i, prefix in enumerate(prefixes):
            parent = known.get(prefix[:-1]) if prefix else None
            if parent is not None:
                stay_label[i] = np.logaddexp(stay_label[i], grown[parent, prefix[-1]])
                grown[parent, prefix[-1]] = -np.inf
        candidates = np.concatenate([np.logaddexp(stay_blank, stay_label), grown.ravel()])
        best = np.argsort(-candidates, kind="stable")[:beam_width]
        best = best[(candidates[best] > -np.inf) | (np.arange(len(best)) == 0)]
        count, classes = len(prefixes), len(now)
        old: Any = [b if b < count else -1 for b in best]
        prefixes = [
            prefixes[b] if b < count else (*prefixes[(b - count) // classes], int((b - count) % classes)) for b in best
        ]
        with_blank = np.array([stay_blank[b] if b >= 0 else -np.inf for b in old])
        with_label = np.array([stay_label[b] if b < count else candidates[b] for b in best])
    total = np.logaddexp(with_blank, with_label)
    return [(prefixes[i], float(total[i])) for i in np.argsort(-total, kind="stable")]


__all__ = ["beam_search"]
