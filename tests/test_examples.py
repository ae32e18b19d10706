"""Each example runs in a process of its own, at small size, and reaches what it promises (less, for the size)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unidl.backend import active

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
Run = Callable[..., str]
trains = pytest.mark.skipif(not active.trains, reason=f"the {active.name} backend does not train")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the processes that run examples."""
    cache = str(tmp_path_factory.mktemp("matplotlib"))
    return {**os.environ, "UNIDL_BACKEND": active.name, "UNIDL_EXAMPLE_FAST": "1", "MPLCONFIGDIR": cache}


@pytest.fixture(scope="module")
def worker(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Has imported the engine, and forks a process for each example: see `example_worker.py`."""
    command = [sys.executable, str(Path(__file__).with_name("example_worker.py"))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        yield process


@pytest.fixture
def run(worker: subprocess.Popen[str], tmp_path: Path) -> Run:
    """Runs an example of that name in `tmp_path`; what it prints."""

    def run(name: str) -> str:
        line = json.dumps({"script": str(EXAMPLES / name), "folder": str(tmp_path), "seconds": 280})
        assert worker.stdin is not None and worker.stdout is not None
        print(line, file=worker.stdin, flush=True)
        status = worker.stdout.readline().strip()
        printed, errors = ((tmp_path / stream).read_text() for stream in ("stdout", "stderr"))
        assert status == "0", f"status {status}\n{printed[-2000:]}\n{errors[-4000:]}"
        return printed + errors

    return run


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Run:
    """As `run`, in a new Python: for examples that choose something before they import unidl, or end with `code`."""

    def start(name: str, code: int = 0) -> str:
        command = [sys.executable, str(EXAMPLES / name)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == code, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout + done.stderr

    return start


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found.group(1))


@trains
def test_digits(run: Run, tmp_path: Path) -> None:
    printed = run("digits.py")
    assert number(r"test accuracy ([\d.]+)", printed) >= 0.85
    picture = tmp_path / "build" / f"digits-{active.name}.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert str(picture.resolve()) in printed
    assert "Total params: 28,906" in printed


@trains
def test_custom_loop(run: Run) -> None:
    printed = run("custom_loop.py")
    before = number(r"took (\d+) steps at first", printed)
    after = number(r"and (\d+) at the end", printed)
    assert after >= 1.5 * before


@trains
def test_sequence(run: Run) -> None:
    printed = run("sequence.py")
    accuracy = number(r"test accuracy ([\d.]+)", printed)
    assert accuracy >= number(r"commonest library: ([\d.]+)", printed) + 0.1
    assert number(r"by more padding: ([\d.e+-]+)", printed) < 1e-4


@trains
def test_reviews(run: Run) -> None:
    printed = run("reviews.py")
    accuracy = number(r"test accuracy ([\d.]+)", printed)
    assert accuracy >= 0.9
    assert accuracy >= number(r"counting words: ([\d.]+)", printed) + 0.15


@trains
def test_tiny_gpt(run: Run) -> None:
    printed = run("tiny_gpt.py")
    assert number(r"perplexity ([\d.]+)", printed) <= 0.75 * number(r"by frequency alone: ([\d.]+)", printed)
    assert number(r"words that come later: ([\d.e+-]+)", printed) < 1e-4
    assert printed.count("return the ") == 8


@trains
def test_timeseries(run: Run) -> None:
    printed = run("timeseries.py")
    assert number(r"test accuracy ([\d.]+)", printed) >= 0.9


@trains
def test_augmentation(run: Run) -> None:
    assert number(r"were not seen: ([\d.]+)", run("augmentation.py")) >= 0.8


def test_inside_torch(start: Run) -> None:
    if active.name != "torch":
        assert "UNIDL_BACKEND=torch" in start("inside_torch.py", code=1)
        return
    printed = start("inside_torch.py")
    assert number(r"test accuracy ([\d.]+)", printed) >= 0.9
    assert "computes the same: True" in printed
    assert "norm.moving_mean" in printed and "gate.kernel" in printed


@trains
def test_custom_layer(start: Run) -> None:
    """The same numbers on every engine; recorded and eager runs are compared by the example itself."""
    printed = start("custom_layer.py")
    assert "steps counted: 40; recorded and eager runs agree" in printed
    fingerprint = [float(v) for v in printed.partition("fingerprint:")[2].split()]
    expected = [1.33, 20.69, 20.69, 20.69, 0.5627, 40, 0.1519, 0.002471, 0.002149, 0.02886, 0.02164]
    assert fingerprint == pytest.approx(expected, rel=2e-3)


@trains
def test_distillation(run: Run) -> None:
    printed = run("distillation.py")
    student = number(r"student accuracy ([\d.]+)", printed)
    assert student >= number(r"labels: accuracy ([\d.]+)", printed) + 0.1
    assert number(r"([\d.]+) at first", printed) > 2 * number(r"([\d.]+) at last", printed)


@trains
def test_picture_folders(run: Run) -> None:
    printed = run("picture_folders.py")
    assert "classes: circle, cross, square" in printed
    assert "event files: train, validation" in printed
    assert number(r"validation accuracy ([\d.]+)", printed) >= 0.8


@trains
def test_denoising(run: Run) -> None:
    printed = run("denoising.py")
    assert number(r"([\d.]+) without", printed) < 0.75 * number(r"pixel ([\d.]+) with noise", printed)


@trains
def test_vae(run: Run) -> None:
    printed = run("vae.py")
    assert number(r"([\d.]+) in the last", printed) < 0.8 * number(r"loss ([\d.]+) in the first", printed)


@trains
def test_segmentation(run: Run) -> None:
    printed = run("segmentation.py")
    assert number(r"([\d.]+) of the pixels right", printed) > number(r"all background: ([\d.]+)", printed) + 0.03


@trains
def test_translation(run: Run) -> None:
    assert number(r"([\d.]+) of the dates are right", run("translation.py")) >= 0.6


@trains
def test_lora(run: Run) -> None:
    printed = run("lora.py")
    assert number(r"turned: ([\d.]+)\ntrained", printed) <= 0.4
    assert number(r"after merging ([\d.]+)", printed) >= 0.8
    assert "the frozen weights are as they were: True" in printed
    assert number(r"outputs change by ([\d.e+-]+)", printed) < 1e-3


@trains
def test_siamese(run: Run) -> None:
    printed = run("siamese.py")
    assert number(r"new pictures: .* right ([\d.]+)", printed) >= 0.9
    assert number(r"never seen: .* right ([\d.]+)", printed) >= 0.55


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text()
    assert [p.name for p in sorted(EXAMPLES.glob("*.py")) if f'"{p.name}"' not in text] == []


@trains
def test_structured(run: Run) -> None:
    printed = run("structured.py")
    assert number(r"test accuracy ([\d.]+)", printed) >= number(r"commonest answer: ([\d.]+)", printed) + 0.12
    assert "a row becomes 62 numbers" in printed
    assert 0 <= number(r"probability ([\d.]+)", printed) <= 1
