"""The five distributions: built as wheels without network, and what they say about themselves."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from unidl import __version__

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("torch", "tensorflow", "mxnet", "numpy")
PROJECTS = {"unidl": (ROOT, "src/unidl"), **{f"unidl_{b}": (ROOT / "backends" / b, f"unidl_{b}") for b in BACKENDS}}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    """The wheels by the name of their package."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
    built = subprocess.run(
        [*command, "-w", str(folder), *(str(path) for path, _ in PROJECTS.values())], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return {file.name.split("-")[0]: zipfile.ZipFile(file) for file in folder.glob("*.whl")}


def information(wheel: zipfile.ZipFile, file: str) -> str:
    (name,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{file}"))
    return wheel.read(name).decode()


def about(wheel: zipfile.ZipFile) -> Message:
    return message_from_string(information(wheel, "METADATA"))


def test_all_five_are_built(wheels: dict[str, zipfile.ZipFile]) -> None:
    assert set(wheels) == set(PROJECTS)


@pytest.mark.parametrize("package", PROJECTS)
def test_a_wheel_holds_its_package_and_nothing_else(wheels: dict[str, zipfile.ZipFile], package: str) -> None:
    project, folder = PROJECTS[package]
    source = project / folder
    files = {f"{package}/{p.relative_to(source).as_posix()}" for p in source.rglob("*") if p.is_file()}
    wanted = {f for f in files if "__pycache__" not in f}
    held = set(wheels[package].namelist())
    assert {f for f in held if ".dist-info/" not in f} == wanted
    assert f"{package}/py.typed" in held
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


@pytest.mark.parametrize("package", PROJECTS)
def test_metadata(wheels: dict[str, zipfile.ZipFile], package: str) -> None:
    metadata = about(wheels[package])
    assert metadata["Name"] == package.replace("_", "-")
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_payload().strip().startswith("# ")
    assert (PROJECTS[package][0] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_is_published_and_required_by_the_extra(wheels: dict[str, zipfile.ZipFile], backend: str) -> None:
    entries = ConfigParser()
    entries.read_string(information(wheels[f"unidl_{backend}"], "entry_points.txt"))
    assert dict(entries["unidl.backends"]) == {backend: f"unidl_{backend}:backend"}
    assert "unidl<0.2,>=0.1" in about(wheels[f"unidl_{backend}"]).get_all("Requires-Dist", [])
    assert backend in about(wheels["unidl"]).get_all("Provides-Extra", [])
    extra = [r for r in about(wheels["unidl"]).get_all("Requires-Dist", []) if f"extra == '{backend}'" in r]
    assert len(extra) == 1 and extra[0].startswith(f"unidl-{backend}")


@pytest.mark.parametrize(
    ("backend", "requirement"),
    [
        ("torch", "torch>=2.4"),
        ("tensorflow", "tensorflow>=2.16; extra == 'tensorflow'"),
        ("tensorflow", "tensorflow-cpu>=2.16; extra == 'tensorflow-cpu'"),
        ("mxnet", "mxnet<2,>=1.9.1"),
        ("numpy", "numpy>=1.24"),
    ],
)
def test_backend_requires_its_engine(wheels: dict[str, zipfile.ZipFile], backend: str, requirement: str) -> None:
    assert requirement in about(wheels[f"unidl_{backend}"]).get_all("Requires-Dist", [])


def test_core_requires_no_engine(wheels: dict[str, zipfile.ZipFile]) -> None:
    required = about(wheels["unidl"]).get_all("Requires-Dist", [])
    assert {r for r in required if "extra ==" not in r} == {
        "numpy>=1.24",
        "platformdirs>=3",
        "rich>=13",
    }
    scripts = ConfigParser()
    scripts.read_string(information(wheels["unidl"], "entry_points.txt"))
    assert dict(scripts["console_scripts"]) == {"unidl": "unidl.cli:main"}


def test_development_pins_are_exact_and_name_no_place() -> None:
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["torch"] == "2.13.0" and pins["mxnet"] == "1.9.1" and pins["numpy"] == "1.26.4"
    assert pins["tensorflow_cpu"] == "2.21.0"
    assert not [name for name, version in pins.items() if not version[0].isdigit() or {*"+/@ "} & {*version}]
