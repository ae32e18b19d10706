"""Connectionist temporal classification: the loss, and decoding (Graves et al., ICML 2006)."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    composite,
    need_dtype,
    need_rank,
    primitive,
    require,
    same_dim,
)
from unidl.ops._precision import wide

#: The logarithm of a probability that counts as 0: far below all others, and far from overflow.
_NEVER = -1e30


def _blank(mask_index: int | None, classes: Any) -> int:
    require(isinstance(classes, int), "the number of classes must be known.")
    index = classes - 1 if mask_index is None else mask_index
    require(-classes <= index < classes, f"`mask_index` {index} is out of range for {classes} classes.")
    return index % classes


@composite(promote="output", floating=True, checked=True)
def ctc_loss(
    target: Tensor, output: Tensor, target_length: Tensor, output_length: Tensor, mask_index: int = 0
) -> Tensor:
    """The negative logarithm of the probability of all alignments of `target` with the steps of `output`.

    Args:
        target: classes, (batch, labels); what follows an example's `target_length` is not used.
        output: logits, (batch, time, classes).
        target_length, output_length: (batch,).
        mask_index: the class that stands for no label.

    Returns:
        (batch,), in at least float32; infinite (with gradient 0) where an example has too few steps for
        its labels. Steps needed: one for each label, and one between two equal ones.

    Example:
        >>> from unidl import ops
        >>> loss = ops.ctc_loss([[1]], ops.zeros((1, 1, 4)), [1], [1])  # one step, four equal classes
        >>> print(ops.convert_to_numpy(ops.round(ops.exp(ops.negative(loss)), 3)))
        [0.25]
    """
    from unidl.ops._bind import dtype_of

    need_rank(target, "target", 2, 2)
    need_rank(output, "output", 3, 3)
    need_dtype(output, "output", "floating")
    need_dtype(target, "target", "real")
    same_dim(target.shape[0], output.shape[0], "batch sizes of `target` and `output`")
    for name, length in (("target_length", target_length), ("output_length", output_length)):
        need_rank(length, name, 1, 1)
        need_dtype(length, name, "real")
        same_dim(output.shape[0], length.shape[0], f"batch sizes of `output` and `{name}`")
    batch, time, classes = ops.shape(output)
    blank = _blank(mask_index, classes)
    logs = ops.maximum(ops.log_softmax(wide(output), -1), _NEVER)
    kind = dtype_of(logs)
    # The states: no label, the first, no label, the second, ... One label more than there are, so that none is no
    # special case.
    labels = ops.pad(ops.clip(ops.cast(target, "int32"), 0, classes - 1), ((0, 0), (0, 1)))
    count = ops.shape(labels)[1]
    pairs = ops.stack([ops.full_like(labels, blank), labels], 2)
    states = ops.pad(ops.reshape(pairs, (batch, count * 2)), ((0, 0), (0, 1)), constant_values=blank)
    width = count * 2 + 1
    before = ops.pad(states[:, :-2], ((0, 0), (2, 0)), constant_values=blank)
    # From one label to the next, unless they are equal.
    skips = ops.logical_and(ops.not_equal(states, blank), ops.not_equal(states, before))
    seen = ops.take_along_axis(logs, ops.broadcast_to(ops.expand_dims(states, 1), (batch, time, width)), 2)
    inside = ops.less(ops.expand_dims(ops.arange(time), 1), ops.cast(output_length, "int32"))

    def step(alpha: Any, now: Any) -> tuple[Any, Any]:
        scores, valid = now
        one = ops.pad(alpha[:, :-1], ((0, 0), (1, 0)), constant_values=_NEVER)
        two = ops.pad(alpha[:, :-2], ((0, 0), (2, 0)), constant_values=_NEVER)
        ways = ops.stack([alpha, one, ops.where(skips, two, _NEVER)], 0)
        new = ops.add(ops.logsumexp(ways, 0), scores)
        return ops.where(ops.expand_dims(valid, 1), ops.maximum(new, _NEVER), alpha), ()

    start = ops.cast(ops.where(ops.equal(ops.arange(width), 0), 0.0, _NEVER), kind)
    start = ops.broadcast_to(ops.expand_dims(start, 0), (batch, width))
    alpha, _ = ops.scan(step, start, (ops.transpose(seen, (1, 0, 2)), inside))
    last = ops.expand_dims(ops.multiply(ops.cast(target_length, "int32"), 2), 1)
    at_blank = ops.take_along_axis(alpha, last, 1)
    at_label = ops.take_along_axis(alpha, ops.maximum(ops.subtract(last, 1), 0), 1)
    at_label = ops.where(ops.equal(last, 0), _NEVER, at_label)
    total = ops.squeeze(ops.logsumexp(ops.concatenate([at_blank, at_label], 1), 1, True), 1)
    return ops.where(ops.less(total, 0.5 * _NEVER), float("inf"), ops.negative(total))


@primitive(promote="inputs", floating=True, checked=True)
def ctc_beam_search(
    inputs: Tensor, sequence_lengths: Tensor, beam_width: int, top_paths: int, mask_index: int
) -> tuple[Tensor, Tensor]:
    """The most probable labellings by prefix beam search: see `ctc_decode`, which calls this.

    Example:
        >>> from unidl import ops
        >>> paths, _ = ops.ctc_beam_search(ops.array([[[0.0, 5.0, 0.0]]]), [1], 10, 1, 0)
        >>> print(ops.convert_to_numpy(paths))
        [[[1]]]
    """
    _check_decode(inputs, sequence_lengths)
    if inputs.shape[2] is not None:
        _blank(mask_index, inputs.shape[2])
    require(1 <= top_paths <= beam_width, f"`top_paths` {top_paths} must be from 1 to `beam_width`, {beam_width}.")
    batch, time, _ = inputs.shape
    return TensorSpec((top_paths, batch, time), "int32"), TensorSpec((batch, top_paths), inputs.dtype)


def _check_decode(inputs: Any, sequence_lengths: Any) -> None:
    need_rank(inputs, "inputs", 3, 3)
    need_dtype(inputs, "inputs", "floating")
    need_rank(sequence_lengths, "sequence_lengths", 1, 1)
    need_dtype(sequence_lengths, "sequence_lengths", "real")
    same_dim(inputs.shape[0], sequence_lengths.shape[0], "batch sizes of `inputs` and `sequence_lengths`")
    require(inputs.shape[2] != 0, "`inputs` have no classes.")


@composite(promote="inputs", floating=True)
def ctc_decode(
    inputs: Tensor,
    sequence_lengths: Tensor,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Tensor, Tensor]:
    """Labellings for the logits of a model that was trained with `ctc_loss`.

    Args:
        inputs: logits, (batch, time, classes).
        sequence_lengths: (batch,).
        strategy: "greedy" (the best class of each step) or "beam_search" (the most probable labellings, summed
            over their alignments, as far as `beam_width` prefixes at a time show them).
        top_paths: how many labellings beam search returns, the best first.
        merge_repeated: greedy: equal classes of consecutive steps are one label. Beam search always does that.
        mask_index: the class that stands for no label; None: the last one.

    Returns:
        The labels, int32 (1 or `top_paths`, batch, time), padded with -1; and (batch, 1), minus the sum of the
        largest logits of the steps, or (batch, `top_paths`), the logarithms of the labellings' probabilities
        (-inf where there are fewer labellings).

    Example:
        >>> from unidl import ops
        >>> logits = ops.array([[[0.0, 9.0, 0.0], [0.0, 9.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]])
        >>> labels, scores = ops.ctc_decode(logits, [4])
        >>> print(ops.convert_to_numpy(labels), ops.convert_to_numpy(scores))
        [[[ 1  2 -1 -1]]] [[-36.]]
    """
    _check_decode(inputs, sequence_lengths)
    require(strategy in ("greedy", "beam_search"), f"`strategy` must be 'greedy' or 'beam_search', not {strategy!r}.")
    require(
        beam_width >= 1 and top_paths >= 1, f"`beam_width` {beam_width} and `top_paths` {top_paths} must be positive."
    )
    time, classes = ops.shape(inputs)[1:]
    blank = _blank(mask_index, classes)
    inputs, lengths = wide(inputs), ops.cast(sequence_lengths, "int32")
    if strategy == "beam_search":
        return ops.ctc_beam_search(inputs, lengths, beam_width, top_paths, blank)
    steps = ops.expand_dims(ops.arange(time), 0)
    inside = ops.less(steps, ops.expand_dims(lengths, 1))
    best = ops.where(inside, ops.cast(ops.argmax(inputs, -1), "int32"), blank)
    scores = ops.sum(ops.where(inside, ops.max(inputs, -1), 0.0), 1, True)
    empty = ops.equal(best, blank)
    if merge_repeated:
        previous = ops.pad(best, ((0, 0), (1, 0)), constant_values=-1)[:, :-1]
        empty = ops.logical_or(empty, ops.equal(best, previous))
    # What is left moves to the front, in its order.
    order = ops.argsort(ops.where(empty, 2**30, steps), 1)
    labels = ops.take_along_axis(ops.where(empty, -1, best), ops.cast(order, "int32"), 1)
    return ops.expand_dims(labels, 0), ops.negative(scores)


__all__ = ["ctc_loss", "ctc_beam_search", "ctc_decode"]
