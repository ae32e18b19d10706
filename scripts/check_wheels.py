"""Build the five wheels, and that of the example backend, and prove that they work where this repository is not.

    python scripts/check_wheels.py [--keep FOLDER] [CASE ...]

A case is written PYTHON-BACKEND, like 3.12-mxnet; without any all are tried. Each installs `unidl[BACKEND]` from the
wheels into a fresh virtual environment, with the other requirements from the package index, builds a model, compares
its prediction with NumPy's, and runs the command `unidl`; the example backend also trains, and passes a part of the
conformance kit. Interpreters are looked for as python3.X on PATH and in ~/.pyenv/versions. The exit status is 1 if a
case fails or its interpreter is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("backends/*/pyproject.toml"))]
# The newest engines are tried by installing unidl; here the versions that the tests know are, and no CUDA packages.
ENGINES = ("torch", "tensorflow_cpu", "mxnet", "autograd")
#: A backend outside of unidl.
EXAMPLE = ROOT / "examples" / "custom_backend"

CHECK = """
import pathlib, platform, sys
import numpy as np
import unidl
from unidl.backend import active

assert active.name == sys.argv[1], active.name
for module in (unidl, sys.modules[type(active).__module__]):
    assert pathlib.Path(sys.prefix) in pathlib.Path(module.__file__).parents, module.__file__
model = unidl.Sequential([unidl.Input((4,)), unidl.layers.Dense(3)])
assert model.predict(np.zeros((2, 4), "float32"), verbose=0).tolist() == [[0.0] * 3] * 2
x = np.arange(8, dtype="float32").reshape(2, 4)
kernel, bias = model.get_weights()
got = model.predict(x, verbose=0)
assert isinstance(got, np.ndarray) and got.shape == (2, 3) and np.abs(got).max() > 0.1
np.testing.assert_allclose(got, x @ kernel + bias, rtol=1e-5, atol=1e-5)
print("predicts with Python", platform.python_version(), "NumPy", np.__version__, active.engine, active.engine_version)
"""

# What the example backend is asked for besides: to train, and to pass the tests of its contract and of some ops.
TRAIN = """
import numpy as np
import unidl

x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(8, activation="tanh"), unidl.layers.Dense(1)])
model.compile(unidl.optimizers.Adam(0.03), "mse")
losses = model.fit(x, x.prod(1, keepdims=True), epochs=20, verbose=0).history["loss"]
assert losses[-1] < 0.8 * losses[0], losses
"""
KIT_PART = (
    "test_gradient and (conv or matmul or lstm or exp) or test_variable or test_table or test_seed or test_assign"
)


class Case(NamedTuple):
    """One environment.

    Attributes:
        extra: what unidl is installed with.
        label: what is special about this one.
        exact: versions to install with it.
        over: what is installed afterwards, over unidl's and the engine's metadata.
    """

    python: str
    backend: str
    extra: str
    label: str = ""
    exact: tuple[str, ...] = ()
    over: str = ""

    @property
    def name(self) -> str:
        return f"{self.python}-{self.backend}{self.label}"


# The lower bounds in pyproject.toml.
OLDEST = ("numpy==1.24.0", "platformdirs==3.0.0", "rich==13.0.0")


CASES = [
    *(Case(python, "numpy", "numpy") for python in ("3.10", "3.11", "3.12", "3.13")),
    Case("3.10", "numpy", "numpy", "-oldest", exact=OLDEST),
    Case("3.11", "mxnet", "mxnet"),
    Case("3.12", "mxnet", "mxnet"),
    Case("3.11", "mxnet", "mxnet", "-numpy2", over="numpy>=2"),
    Case("3.12", "mxnet", "mxnet", "-numpy2", over="numpy>=2"),
    Case("3.11", "torch", "torch"),
    Case("3.11", "tensorflow", "tensorflow-cpu"),
    Case("3.11", "autograd", "testing", "-example"),
]


class FailedError(Exception):
    """A case does not work; the message says why."""


def interpreter(version: str) -> str:
    """The path of a Python of this version that runs (a shim of pyenv may be found and not run)."""
    found = [shutil.which(f"python{version}"), *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for path in filter(None, found):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([str(path), "-c", code], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return str(path)
    raise FailedError(f"no Python {version}: neither python{version} on PATH nor in ~/.pyenv/versions")


def call(*command: str | Path, cwd: Path, backend: str = "") -> str:
    """Run a command outside of the repository; returns what it prints."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "UNIDL_BACKEND", "VIRTUAL_ENV")}
    environment |= {"UNIDL_HOME": str(cwd / "home"), **({"UNIDL_BACKEND": backend} if backend else {})}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-12:]
        raise FailedError("\n    ".join([f"{Path(command[0]).name} ended with status {done.returncode}", *last]))
    return done.stdout.strip()


def build(folder: Path) -> Path:
    """Build all wheels into `folder`, without network; returns the core's."""
    for old in folder.glob("unidl*.whl"):
        old.unlink()
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(folder), *map(str, [*PROJECTS, EXAMPLE])], check=True)
    wheels = sorted(folder.glob("unidl*.whl"))
    for wheel in wheels:
        print(f"built {wheel.name} ({wheel.stat().st_size / 1024:.0f} KiB)")
    (core,) = (wheel for wheel in wheels if wheel.name.startswith("unidl-"))
    return core


def prove(case: Case, core: Path, constraints: Path, folder: Path) -> str:
    """Install and run one case in `folder`; returns what it found."""
    call(interpreter(case.python), "-m", "venv", "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    wheels = core.parent.as_uri()
    call(
        *pip,
        "--find-links",
        wheels,
        "-c",
        constraints,
        f"unidl[{case.extra}] @ {core.as_uri()}",
        *case.exact,
        cwd=folder,
    )
    if case.label == "-example":
        (example,) = core.parent.glob("unidl_autograd-*.whl")
        call(*pip, "--find-links", wheels, "-c", constraints, str(example), cwd=folder)
    if case.over:
        call(*pip, "--upgrade", case.over, cwd=folder)
    seen = call(python, "-c", CHECK, case.backend, cwd=folder, backend=case.backend)
    # A backend that unidl does not know is used if it is asked for.
    table = call(python.parent / "unidl", cwd=folder, backend=case.backend if case.label == "-example" else "")
    if f"import unidl would use {case.backend}" not in table:
        raise FailedError(f"the command unidl says: {table}")
    if case.label == "-example":
        call(python, "-c", TRAIN, cwd=folder, backend=case.backend)
        shutil.copy(EXAMPLE / "tests" / "test_conformance.py", folder)
        kit = (python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_conformance.py", "-k", KIT_PART)
        return f"trains; kit: {call(*kit, cwd=folder, backend=case.backend).splitlines()[-1]}"
    return seen.splitlines()[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(case.name for case in CASES))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to put the wheels; else they are deleted")
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - {case.name for case in CASES}
    if unknown:
        parser.error(f"unknown cases: {', '.join(sorted(unknown))}")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="unidl-wheels-") as scratch:
        folder = (arguments.keep or Path(scratch, "wheels")).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        core = build(folder)
        constraints = Path(scratch, "constraints.txt")
        pins = (ROOT / "requirements-dev.txt").read_text().splitlines()
        constraints.write_text("\n".join(pin for pin in pins if pin.startswith(tuple(f"{e}==" for e in ENGINES))))
        for case in CASES:
            if arguments.cases and case.name not in arguments.cases:
                continue
            with tempfile.TemporaryDirectory(prefix=f"unidl-{case.name}-") as place:
                try:
                    outcome = f"ok: {prove(case, core, constraints, Path(place))}"
                except FailedError as error:
                    failed += 1
                    outcome = f"FAILED: {error}"
            print(f"{case.name:20} {outcome}", flush=True)
    print("all wheels work" if not failed else f"{failed} cases failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
