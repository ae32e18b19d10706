"""Each example runs in a process of its own, at small size, and reaches what it promises (less, for the size)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unidl.backend import active

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
trains = pytest.mark.skipif(not active.trains, reason=f"the {active.name} backend does not train")


def run(name: str, folder: Path, code: int = 0) -> str:
    """What the example prints; `code` is the exit status that is expected."""
    environment = {**os.environ, "UNIDL_BACKEND": active.name, "UNIDL_EXAMPLE_FAST": "1", "MPLCONFIGDIR": str(folder)}
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == code, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found.group(1))


@trains
def test_digits(tmp_path: Path) -> None:
    printed = run("digits.py", tmp_path)
    assert number(r"test accuracy ([\d.]+)", printed) >= 0.85
    picture = tmp_path / "build" / f"digits-{active.name}.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert str(picture.resolve()) in printed
    assert "Total params: 28,906" in printed


@trains
def test_custom_loop(tmp_path: Path) -> None:
    printed = run("custom_loop.py", tmp_path)
    before = number(r"took (\d+) steps at first", printed)
    after = number(r"and (\d+) at the end", printed)
    assert after >= 1.5 * before


@trains
def test_sequence(tmp_path: Path) -> None:
    printed = run("sequence.py", tmp_path)
    accuracy = number(r"test accuracy ([\d.]+)", printed)
    assert accuracy >= number(r"commonest library: ([\d.]+)", printed) + 0.1
    assert number(r"by more padding: ([\d.e+-]+)", printed) < 1e-4


@trains
def test_reviews(tmp_path: Path) -> None:
    printed = run("reviews.py", tmp_path)
    accuracy = number(r"test accuracy ([\d.]+)", printed)
    assert accuracy >= 0.9
    assert accuracy >= number(r"counting words: ([\d.]+)", printed) + 0.15


@trains
def test_tiny_gpt(tmp_path: Path) -> None:
    printed = run("tiny_gpt.py", tmp_path)
    assert number(r"perplexity ([\d.]+)", printed) <= 0.75 * number(r"by frequency alone: ([\d.]+)", printed)
    assert number(r"words that come later: ([\d.e+-]+)", printed) < 1e-4
    assert printed.count("return the ") == 8


@trains
def test_timeseries(tmp_path: Path) -> None:
    printed = run("timeseries.py", tmp_path)
    assert number(r"test accuracy ([\d.]+)", printed) >= 0.9


@trains
def test_augmentation(tmp_path: Path) -> None:
    assert number(r"were not seen: ([\d.]+)", run("augmentation.py", tmp_path)) >= 0.8


def test_inside_torch(tmp_path: Path) -> None:
    if active.name != "torch":
        assert "UNIDL_BACKEND=torch" in run("inside_torch.py", tmp_path, code=1)
        return
    printed = run("inside_torch.py", tmp_path)
    assert number(r"test accuracy ([\d.]+)", printed) >= 0.9
    assert "computes the same: True" in printed
    assert "norm.moving_mean" in printed and "gate.kernel" in printed


@trains
def test_custom_layer(tmp_path: Path) -> None:
    """The same numbers on every engine; recorded and eager runs are compared by the example itself."""
    printed = run("custom_layer.py", tmp_path)
    assert "steps counted: 40; recorded and eager runs agree" in printed
    fingerprint = [float(v) for v in printed.partition("fingerprint:")[2].split()]
    expected = [1.33, 20.69, 20.69, 20.69, 0.5627, 40, 0.1519, 0.002471, 0.002149, 0.02886, 0.02164]
    assert fingerprint == pytest.approx(expected, rel=2e-3)


@trains
def test_distillation(tmp_path: Path) -> None:
    printed = run("distillation.py", tmp_path)
    student = number(r"student accuracy ([\d.]+)", printed)
    assert student >= number(r"labels: accuracy ([\d.]+)", printed) + 0.1
    assert number(r"([\d.]+) at first", printed) > 2 * number(r"([\d.]+) at last", printed)


@trains
def test_picture_folders(tmp_path: Path) -> None:
    printed = run("picture_folders.py", tmp_path)
    assert "classes: circle, cross, square" in printed
    assert "event files: train, validation" in printed
    assert number(r"validation accuracy ([\d.]+)", printed) >= 0.8


@trains
def test_denoising(tmp_path: Path) -> None:
    printed = run("denoising.py", tmp_path)
    assert number(r"([\d.]+) without", printed) < 0.75 * number(r"pixel ([\d.]+) with noise", printed)


@trains
def test_vae(tmp_path: Path) -> None:
    printed = run("vae.py", tmp_path)
    assert number(r"([\d.]+) in the last", printed) < 0.8 * number(r"loss ([\d.]+) in the first", printed)


@trains
def test_segmentation(tmp_path: Path) -> None:
    printed = run("segmentation.py", tmp_path)
    assert number(r"([\d.]+) of the pixels right", printed) > number(r"all background: ([\d.]+)", printed) + 0.03


@trains
def test_translation(tmp_path: Path) -> None:
    assert number(r"([\d.]+) of the dates are right", run("translation.py", tmp_path)) >= 0.6


@trains
def test_lora(tmp_path: Path) -> None:
    printed = run("lora.py", tmp_path)
    assert number(r"turned: ([\d.]+)\ntrained", printed) <= 0.4
    assert number(r"after merging ([\d.]+)", printed) >= 0.8
    assert "the frozen weights are as they were: True" in printed
    assert number(r"outputs change by ([\d.e+-]+)", printed) < 1e-3


@trains
def test_siamese(tmp_path: Path) -> None:
    printed = run("siamese.py", tmp_path)
    assert number(r"new pictures: .* right ([\d.]+)", printed) >= 0.9
    assert number(r"never seen: .* right ([\d.]+)", printed) >= 0.55


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text()
    assert [p.name for p in sorted(EXAMPLES.glob("*.py")) if f'"{p.name}"' not in text] == []


@trains
def test_structured(tmp_path: Path) -> None:
    printed = run("structured.py", tmp_path)
    assert number(r"test accuracy ([\d.]+)", printed) >= number(r"commonest answer: ([\d.]+)", printed) + 0.12
    assert "a row becomes 62 numbers" in printed
    assert 0 <= number(r"probability ([\d.]+)", printed) <= 1
