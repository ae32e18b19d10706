"""Recurrent layers on PyTorch's fused kernels; with masks on packed sequences of the steps that count."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unidl.backend.ctc import beam_search


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    weights = [kernel.t(), recurrent_kernel.t()]
    if bias is not None:
        weights += [bias, torch.zeros_like(bias)]
    out, (h, c) = _Fused(torch.lstm, weights, bias is not None)(x, (h0, c0), mask)
    return out, h, c


def gru(
    x: Tensor,
    h0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    reset_after: bool = True,
) -> tuple[Tensor, Tensor]:
    if reset_after:
        weights = [_zr_to_rz(kernel).t(), _zr_to_rz(recurrent_kernel).t()]
        if bias is not None:
            weights += [_zr_to_rz(bias[0]), _zr_to_rz(bias[1])]
        out, (h,) = _Fused(torch.gru, weights, bias is not None)(x, (h0,), mask)
        return out, h

    def step(x_t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h = state[0]
        units = h.shape[1]
        z, r = torch.sigmoid(x_t[:, : 2 * units] + h @ recurrent_kernel[:, : 2 * units]).chunk(2, 1)
        n = torch.tanh(x_t[:, 2 * units :] + (r * h) @ recurrent_kernel[:, 2 * units :])
        return (z * h + (1 - z) * n,)

    out, (h,) = _steps(step, _projected(x, kernel, bias), (h0,), mask)
    return out, h


def simple_rnn(
    x: Tensor,
    h0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    weights = [kernel.t(), recurrent_kernel.t()]
    if bias is not None:
        weights += [bias, torch.zeros_like(bias)]
    out, (h,) = _Fused(torch.rnn_tanh, weights, bias is not None)(x, (h0,), mask)
    return out, h


class _Fused:
    """One of PyTorch's one-layer recurrent kernels, on padded or packed sequences."""

    def __init__(self, kernel: Any, weights: list[Tensor], has_biases: bool) -> None:
        self.kernel = kernel
        self.weights = weights
        self.has_biases = has_biases

    def __call__(self, x: Tensor, states: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All outputs and the last states of `x` (batch, time, features)."""
        if x.shape[2] != self.weights[0].shape[1]:  # the fused CPU kernels do not check, and read what they find
            raise RuntimeError(f"input of {x.shape[2]} features, kernel for {self.weights[0].shape[1]}")
        if x.shape[1] == 0 or (mask is not None and x.shape[0] == 0):
            return x.new_zeros(x.shape[0], x.shape[1], self.weights[1].shape[1]), states
        if mask is not None:
            return (
                self._step_by_step(x, states, mask) if torch.compiler.is_exporting() else self._masked(x, states, mask)
            )
        start = tuple(s[None] for s in states)
        out, *last = self.kernel(x, self._given(start), self.weights, self.has_biases, 1, 0.0, False, False, True)
        return out, tuple(s[0] for s in last)

    @staticmethod
    def _given(states: tuple[Tensor, ...]) -> Any:
        return states if len(states) > 1 else states[0]

    def _step_by_step(self, x: Tensor, states: tuple[Tensor, ...], mask: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same in steps of one time, for `torch.export`, which cannot follow packed sequences."""

        def step(x_t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return self(x_t[:, None], state, None)[1]

        return _steps(step, x, states, mask)

    def _masked(self, x: Tensor, states: tuple[Tensor, ...], mask: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The kernel over the steps that count, moved to the front of each sequence."""
        counts = mask.cumsum(1)  # steps so far
        lengths = counts[:, -1]
        order = torch.argsort((~mask).to(torch.int8), dim=1, stable=True)
        x = torch.take_along_dim(x, order[:, :, None], 1)
        # Packing takes no empty sequences: they get a step whose results are not used.
        packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        back = packed.unsorted_indices
        start = tuple(s.index_select(0, packed.sorted_indices)[None] for s in states)
        data, *last = self.kernel(
            packed.data, packed.batch_sizes, self._given(start), self.weights, self.has_biases, 1, 0.0, False, False
        )
        out, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=x.shape[1])
        # Each step's output is that of the last one that counted, zeros before the first.
        out = torch.take_along_dim(F.pad(out, (0, 0, 1, 0)), counts[:, :, None], 1)
        some = (lengths > 0)[:, None]
        ends = (torch.where(some, s[0].index_select(0, back), first) for s, first in zip(last, states, strict=True))
        return out, tuple(ends)


def leave_uncompiled() -> None:
    """Have `torch.compile` call the kernels as they are: on CPUs it has no derivative of them, as `torch.nn` knows."""
    if not hasattr(_Fused, "compiled_around"):
        _Fused.__call__ = torch.compiler.disable(_Fused.__call__)  # type: ignore[method-assign]
        _Fused.compiled_around = True  # type: ignore[attr-defined]


def _projected(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    projected = x @ kernel
    return projected if bias is None else projected + bias


def _zr_to_rz(weights: Tensor) -> Tensor:
    z, r, n = weights.chunk(3, -1)
    return torch.cat([r, z, n], -1)


def _steps(step: Any, x: Tensor, state: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
    outputs = []
    previous = torch.zeros_like(state[0])
    for t in range(x.shape[1]):
        new = step(x[:, t], state)
        output = new[0]
        if mask is not None:
            keep = mask[:, t, None]
            new = tuple(torch.where(keep, n, s) for n, s in zip(new, state, strict=True))
            output = torch.where(keep, output, previous)
        outputs.append(output)
        previous, state = output, new
    out = torch.stack(outputs, 1) if outputs else x.new_zeros(x.shape[0], 0, state[0].shape[1])
    return out, state


def ctc_loss(
    target: Tensor, output: Tensor, target_length: Tensor, output_length: Tensor, mask_index: int = 0
) -> Tensor:
    classes = output.shape[2]
    if not -classes <= mask_index < classes:
        raise ValueError(f"mask_index {mask_index} is out of range for {classes} classes")
    wide = output.float() if output.dtype.itemsize == 2 else output
    logs = torch.log_softmax(wide, -1).transpose(0, 1)
    loss = F.ctc_loss(
        logs, target.long().clamp(0, classes - 1), output_length.long(), target_length.long(), mask_index % classes,
        "none",
    )  # fmt: skip
    if logs.requires_grad:  # the kernel's gradient is NaN where the loss is infinite
        lost = torch.isinf(loss.detach())[None, :, None]
        logs.register_hook(lambda gradient: gradient.masked_fill(lost, 0.0))
    return loss


def ctc_beam_search(
    inputs: Tensor, sequence_lengths: Tensor, beam_width: int, top_paths: int, mask_index: int
) -> tuple[Tensor, Tensor]:
    """On the host."""
    x, lengths = inputs.detach().cpu().numpy(), sequence_lengths.cpu().numpy()
    paths, scores = beam_search(x, lengths, beam_width, top_paths, mask_index)
    return torch.from_numpy(paths).to(inputs.device), torch.from_numpy(scores).to(inputs.device)


TABLE: dict[str, Any] = {
    "lstm": lstm,
    "gru": gru,
    "simple_rnn": simple_rnn,
    "ctc_loss": ctc_loss,
    "ctc_beam_search": ctc_beam_search,
}
