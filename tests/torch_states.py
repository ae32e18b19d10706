"""Modules of PyTorch whose weights test_torch_state.py loads: ``python torch_states.py FOLDER`` writes their files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


class Sequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.lstm = nn.LSTM(4, 3, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(6, 4, batch_first=True)
        self.rnn = nn.RNN(4, 4, batch_first=True)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        x = self.rnn(self.gru(self.lstm(self.words(x))[0])[0])[0]
        return self.head(self.norm(self.attention(x, x, x)[0]))


def images() -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding="same"), nn.BatchNorm2d(4, eps=1e-3), nn.PReLU(4),
        nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.Conv2d(8, 6, 1), nn.GroupNorm(3, 6, eps=1e-3),
        nn.ConvTranspose2d(6, 5, 2, stride=2), nn.ReLU(), nn.Conv2d(5, 4, 1, groups=1, bias=False),
    )  # fmt: skip


def inputs(name: str) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.random((2, 3, 6, 6), "float32") if name == "images" else rng.integers(0, 7, (2, 5))


def main(folder: Path) -> None:
    torch.manual_seed(1)
    for name, model in (("images", images()), ("sequence", Sequence())):
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.5)
        if name == "images":
            model(torch.rand(8, 3, 6, 6))  # moments other than 0 and 1
        model.eval()
        torch.save(model.state_dict(), folder / f"{name}.pt")
        torch.save({"model_state_dict": model.state_dict(), "epoch": 3}, folder / f"{name}_checkpoint.pth")
        np.save(folder / f"{name}.npy", model(torch.from_numpy(inputs(name))).detach().numpy())
    torch.save(torch.nn.Linear(2, 2).bfloat16().state_dict(), folder / "bfloat16.pt")
    torch.save({"w": torch.arange(12.0).reshape(3, 4).T, "step": 5}, folder / "views.pt")
    torch.save(model, folder / "module.pt")
    torch.save(model.state_dict(), folder / "old.pt", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
