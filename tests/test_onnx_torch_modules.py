"""Modules and functions of PyTorch, as its exporter writes them: `load` and `prepare` give what PyTorch gives."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unidl import onnx, ops


class Call(nn.Module):
    """A function of its modules and inputs, as a module."""

    def __init__(self, function: Any, *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.inner = function, nn.ModuleList(modules)

    def forward(self, *inputs: Any) -> Any:
        return self.function(*self.inner, *inputs)


def image(channels: int = 3, height: int = 12, width: int = 10) -> torch.Tensor:
    return torch.randn(2, channels, height, width)


def words() -> torch.Tensor:
    return torch.randn(2, 7, 12)


def table() -> torch.Tensor:
    return torch.randn(3, 6)


ACTIVATIONS = (
    F.relu6, F.gelu, F.silu, F.hardswish, F.hardsigmoid, F.softplus, F.elu, F.selu, F.celu, F.mish, F.logsigmoid,
    F.tanhshrink, F.softsign, F.hardtanh, F.softshrink, F.hardshrink, F.leaky_relu,
)  # fmt: skip

MODULES: dict[str, Any] = {
    "GroupNorm": lambda: (nn.GroupNorm(3, 12), image(12)),
    "InstanceNorm": lambda: (nn.InstanceNorm2d(3, affine=True), image()),
    "LayerNorm": lambda: (nn.LayerNorm([7, 12]), words()),
    "BatchNorm": lambda: (nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8)), torch.randn(4, 12)),
    "weight_norm": lambda: (nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)), table()),
    "ConvTranspose": lambda: (nn.ConvTranspose2d(3, 5, 3, stride=2, padding=1, output_padding=1), image()),
    "depthwise": lambda: (nn.Conv2d(6, 12, 3, groups=6, dilation=2, padding=2), image(6)),
    "Conv1d": lambda: (nn.Conv1d(4, 6, 5, stride=2), torch.randn(2, 4, 30)),
    "Conv3d": lambda: (nn.Conv3d(2, 3, 3, padding=1), torch.randn(2, 2, 5, 6, 7)),
    "PixelShuffle": lambda: (nn.PixelShuffle(2), image(12)),
    "adaptive pools": lambda: (nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.AdaptiveMaxPool2d(2)), image(3, 16, 16)),
    "AvgPool": lambda: (nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False), image(3, 15, 17)),
    "MaxPool": lambda: (nn.MaxPool2d(3, 2, dilation=2, padding=1), image(3, 20, 18)),
    "nearest": lambda: (Call(lambda x: F.interpolate(x, scale_factor=1.7)), image(3, 16, 16)),
    "bilinear": lambda: (Call(lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear")), image()),
    "bicubic, corners": lambda: (
        Call(lambda x: F.interpolate(x, scale_factor=0.6, mode="bicubic", align_corners=True)),
        image(),
    ),
    "grid_sample": lambda: (
        Call(lambda x, g: F.grid_sample(x, g, align_corners=False, padding_mode="reflection")),
        image(),
        torch.randn(2, 5, 5, 2),
    ),
    "ReflectionPad": lambda: (nn.ReflectionPad2d(2), image()),
    "ReplicationPad": lambda: (nn.ReplicationPad2d((1, 2, 3, 0)), image()),
    "circular pad": lambda: (Call(lambda x: F.pad(x, (1, 2, 2, 1), mode="circular")), image()),
    "Unfold": lambda: (nn.Unfold(3, padding=1, stride=2), image()),
    "Fold": lambda: (nn.Fold((8, 8), 2, stride=2), torch.randn(2, 12, 16)),
    "LSTM": lambda: (
        Call(lambda m, x: m(x)[0], nn.LSTM(12, 9, 2, batch_first=True, bidirectional=True)),
        words(),
    ),
    "GRU": lambda: (Call(lambda m, x: m(x)[0], nn.GRU(12, 9, batch_first=True)), words()),
    "RNN": lambda: (Call(lambda m, x: m(x)[1], nn.RNN(12, 9, 2, nonlinearity="relu", batch_first=True)), words()),
    "TransformerEncoder": lambda: (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 3, 24, batch_first=True), 2, enable_nested_tensor=False),
        words(),
    ),
    "MultiheadAttention": lambda: (
        Call(lambda m, x: m(x, x, x)[0], nn.MultiheadAttention(12, 4, batch_first=True)),
        words(),
    ),
    "causal attention": lambda: (
        Call(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True)),
        torch.randn(2, 3, 7, 8),
    ),
    "Embedding": lambda: (
        Call(lambda m, x: m(x).mean(1), nn.Embedding(20, 6, padding_idx=0)),
        torch.randint(0, 20, (2, 5)),
    ),
    "activations": lambda: (Call(lambda x: sum(f(x) for f in ACTIVATIONS)), table()),
    "PReLU and glu": lambda: (Call(lambda m, x: F.glu(m(x), 1), nn.PReLU(4)), image(4)),
    "einsum": lambda: (
        Call(lambda a, b: torch.einsum("bij,bkj->bik", a, b)),
        torch.randn(2, 3, 4),
        torch.randn(2, 5, 4),
    ),
    "slices": lambda: (Call(lambda x: x[:, 1:, ::2, -3:].flatten(1)), image()),
    "gather": lambda: (Call(lambda x, i: torch.gather(x, 1, i)), table(), torch.randint(0, 6, (3, 4))),
    "scatter": lambda: (
        Call(lambda x, i, s: x.scatter(1, i, s)),
        table(),
        torch.tensor([[0, 2], [1, 5], [3, 4]]),
        torch.randn(3, 2),
    ),
    "order": lambda: (Call(lambda x: torch.topk(x, 3)[0].sum(1) + torch.sort(x, 1)[1][:, 0] + x.argmin(1)), table()),
    "roll and flip": lambda: (Call(lambda x: torch.roll(x, 2, 1) + torch.flip(x, [1])), table()),
    "meshgrid": lambda: (
        Call(lambda x, y: torch.stack(torch.meshgrid(x, y, indexing="ij"))),
        torch.randn(3),
        torch.randn(4),
    ),
    "masks": lambda: (Call(lambda x: torch.where(x > 0, x.clamp(max=0.5), x.masked_fill(x < -1, -9.0))), table()),
    "chunks": lambda: (Call(lambda x: torch.cat([c * i for i, c in enumerate(x.chunk(3, 1))], 1)), table()),
    "reductions": lambda: (
        Call(lambda x: x.norm(dim=1) + x.abs().sum(1) + torch.logsumexp(x, 1) + x.var(1) + x.cumsum(1)[:, 2]),
        table(),
    ),
    "triangles": lambda: (Call(lambda x: torch.tril(x, 1) + torch.triu(x)), table()),
    "one_hot": lambda: (Call(lambda x: F.one_hot(x, 5).float()), torch.tensor([0, 3, 4])),
    "cross_entropy": lambda: (Call(lambda x, t: F.cross_entropy(x, t)), table(), torch.tensor([0, 3, 1])),
    "cdist": lambda: (Call(lambda a, b: torch.cdist(a, b)), torch.randn(2, 3, 4), torch.randn(2, 5, 4)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    """All sizes, that of the batch included, are those of the example: files of most tutorials are like this."""
    torch.manual_seed(0)
    module, *inputs = MODULES[name]()
    module.eval()
    with torch.no_grad():
        expected = module(*inputs).numpy()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, tuple(inputs), file, opset_version=18, dynamo=False)
    arrays = [x.numpy() for x in inputs]
    (prepared,) = onnx.prepare(file.getvalue())(arrays)
    model = onnx.load(file.getvalue())
    loaded = ops.convert_to_numpy(model(arrays if len(arrays) > 1 else arrays[0]))
    for result in (prepared, loaded):
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
