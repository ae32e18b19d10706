"""Recurrent layers on PyTorch's fused kernels; masks by packing, or step by step where they have holes."""

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
    if mask is None or (lengths := _lengths(mask)) is not None:
        run = _Fused(torch.lstm, weights, bias is not None)
        out, (h, c) = run(x, (h0[None], c0[None]), None if mask is None else lengths)
        return (out if mask is None else _carried(out, lengths)), h[0], c[0]

    def step(x_t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        i, f, g, o = torch.addmm(x_t, state[0], recurrent_kernel).chunk(4, 1)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    out, (h, c) = _steps(step, _projected(x, kernel, bias), (h0, c0), mask)
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
    if reset_after and (mask is None or (lengths := _lengths(mask)) is not None):
        weights = [_zr_to_rz(kernel).t(), _zr_to_rz(recurrent_kernel).t()]
        if bias is not None:
            weights += [_zr_to_rz(bias[0]), _zr_to_rz(bias[1])]
        run = _Fused(torch.gru, weights, bias is not None)
        out, h = run(x, h0[None], None if mask is None else lengths)
        return (out if mask is None else _carried(out, lengths)), h[0]
    into = bias if bias is None or not reset_after else bias[0]

    def step(x_t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h = state[0]
        units = h.shape[1]
        if reset_after:
            inner = h @ recurrent_kernel if bias is None else torch.addmm(bias[1], h, recurrent_kernel)
            z, r = torch.sigmoid(x_t[:, : 2 * units] + inner[:, : 2 * units]).chunk(2, 1)
            n = torch.tanh(x_t[:, 2 * units :] + r * inner[:, 2 * units :])
        else:
            z, r = torch.sigmoid(x_t[:, : 2 * units] + h @ recurrent_kernel[:, : 2 * units]).chunk(2, 1)
            n = torch.tanh(x_t[:, 2 * units :] + (r * h) @ recurrent_kernel[:, 2 * units :])
        return (z * h + (1 - z) * n,)

    out, (h,) = _steps(step, _projected(x, kernel, into), (h0,), mask)
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
    if mask is None or (lengths := _lengths(mask)) is not None:
        run = _Fused(torch.rnn_tanh, weights, bias is not None)
        out, h = run(x, h0[None], None if mask is None else lengths)
        return (out if mask is None else _carried(out, lengths)), h[0]

    def step(x_t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (torch.tanh(torch.addmm(x_t, state[0], recurrent_kernel)),)

    out, (h,) = _steps(step, _projected(x, kernel, bias), (h0,), mask)
    return out, h


class _Fused:
    """One of PyTorch's one-layer recurrent kernels, on padded or packed sequences."""

    def __init__(self, kernel: Any, weights: list[Tensor], has_biases: bool) -> None:
        self.kernel = kernel
        self.weights = weights
        self.has_biases = has_biases

    def __call__(self, x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
        if x.shape[2] != self.weights[0].shape[1]:  # the fused CPU kernels do not check, and read what they find
            raise RuntimeError(f"input of {x.shape[2]} features, kernel for {self.weights[0].shape[1]}")
        if x.shape[1] == 0:
            return x.new_zeros(x.shape[0], 0, self.weights[1].shape[1]), state
        if lengths is None:
            out, *last = self.kernel(x, state, self.weights, self.has_biases, 1, 0.0, False, False, True)
            return out, last if len(last) > 1 else last[0]
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        order, back = packed.sorted_indices, packed.unsorted_indices
        many = isinstance(state, tuple)
        state = tuple(s.index_select(1, order) for s in state) if many else state.index_select(1, order)
        data, *last = self.kernel(
            packed.data, packed.batch_sizes, state, self.weights, self.has_biases, 1, 0.0, False, False
        )
        out, _ = pad_packed_sequence(packed._replace(data=data), batch_first=True, total_length=x.shape[1])
        last = [s.index_select(1, back) for s in last]
        return out, last if many else last[0]


def _lengths(mask: Tensor) -> Tensor | None:
    """Sequence lengths if `mask` is a plain right padding with no empty sequence, else None."""
    lengths = mask.sum(1)
    padded = torch.arange(mask.shape[1], device=mask.device) < lengths[:, None]
    return lengths if bool((padded == mask).all()) and bool((lengths > 0).all()) else None


def _carried(out: Tensor, lengths: Tensor) -> Tensor:
    """`out` with each sequence's last output repeated over its padding."""
    places = torch.minimum(torch.arange(out.shape[1], device=out.device), lengths[:, None] - 1)
    return torch.take_along_dim(out, places[:, :, None], 1)


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
