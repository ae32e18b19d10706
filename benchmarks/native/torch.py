"""PyTorch by hand: modules, default Adam; at best fused Adam and, for pictures, channels-last memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from workloads import BLOCKS, DROPOUT, HEADS, HIDDEN, INNER, RESNET, WIDTH, WORKLOADS, data

PICTURES = ("cnn", "resnet")


class Recurrent(nn.Module):
    def __init__(self, tokens: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, 64)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(self.embedding(x))
        return self.head(out[:, -1])


class Block(nn.Module):
    """A transformer block, normalizing first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.inner, self.outer = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, _ = x.shape
        heads = self.project(self.norm_1(x)).view(batch, time, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*heads.unbind(0)).transpose(1, 2).reshape(batch, time, WIDTH)
        x = x + self.dropout(self.out(seen))
        return x + self.dropout(self.outer(F.relu(self.inner(self.norm_2(x)))))


class Transformer(nn.Module):
    def __init__(self, tokens: int, time: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, WIDTH)
        self.positions = nn.Parameter(torch.rand(time, WIDTH) / 20)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.embedding(x) + self.positions)).mean(1))


class Residual(nn.Module):
    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.conv_2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm_1, self.norm_2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.short = nn.Sequential()
        if before != channels:
            self.short = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm_2(self.conv_2(F.relu(self.norm_1(self.conv_1(x)))))
        return F.relu(y + self.short(x))


def network(name: str) -> nn.Module:
    work = WORKLOADS[name]
    if name == "cnn":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, work.classes),
        )  # fmt: skip
    if name == "lstm":
        return Recurrent(work.tokens, work.classes)
    if name == "transformer":
        return Transformer(work.tokens, work.shape[0], work.classes)
    if name == "resnet":
        parts: list[nn.Module] = [nn.Conv2d(3, RESNET[0][0], 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        before = RESNET[0][0]
        for channels, stride in RESNET:
            for first in (stride, 1, 1):
                parts.append(Residual(before, channels, first))
                before = channels
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, work.classes))
    sizes = (work.shape[0], *HIDDEN[name])
    parts = [m for a, b in zip(sizes, sizes[1:]) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*parts, nn.Linear(sizes[-1], work.classes))


def epoch(name: str, best: bool) -> Callable[[], float]:
    torch.manual_seed(0)
    work = WORKLOADS[name]
    x, y = (torch.from_numpy(a) for a in data(name))
    net = network(name)
    if name in PICTURES:
        x = x.permute(0, 3, 1, 2)
        x = x.contiguous(memory_format=torch.channels_last if best else torch.contiguous_format)
        if best:
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if work.classes > 1:
        y = y.long()
    criterion: nn.Module = nn.BCEWithLogitsLoss() if work.classes == 1 else nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), fused=True if best else None)
    net.train()

    def run() -> float:
        order = torch.randperm(len(x))
        total, right = torch.zeros(()), torch.zeros(())
        for start in range(0, len(x), work.batch):
            picked = order[start : start + work.batch]
            inputs, labels = x[picked], y[picked]
            optimizer.zero_grad()
            logits = net(inputs)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(picked)
            guess = (logits > 0).float() if work.classes == 1 else logits.argmax(1)
            right += (guess == labels).sum()
        return float(total) / len(x)

    return run


def call() -> Callable[[], Any]:
    net, row = network("tiny").eval(), torch.rand(1, *WORKLOADS["tiny"].shape)

    def run() -> Tensor:
        with torch.no_grad():
            return net(row)

    return run


def predict() -> Callable[[], Any]:
    """From a NumPy row to a NumPy row."""
    net, row = network("tiny").eval(), torch.rand(1, *WORKLOADS["tiny"].shape).numpy()

    def run() -> Any:
        with torch.no_grad():
            return net(torch.from_numpy(row)).numpy()

    return run
