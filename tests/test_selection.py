"""Which backend `import unidl` uses, what it says when it cannot, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from unidl._select import PREFERENCE
from unidl.backend import active

if TYPE_CHECKING:
    from conftest import Isolated

SHOW = "import unidl; from unidl.backend import active, choice; print(active.name, '|', choice.reason)"


def configure(isolated: Isolated, text: str) -> None:
    isolated.home.mkdir()
    (isolated.home / "config.json").write_text(text)


def chosen(isolated: Isolated, backend: str | None = None) -> list[str]:
    done = isolated.run("-c", SHOW, backend=backend)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split(" | ")


def refused(isolated: Isolated, backend: str | None = None, code: str = SHOW) -> str:
    done = isolated.run("-c", code, backend=backend)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def two_backends(isolated: Isolated) -> None:
    for name in ("tensorflow", "numpy"):
        isolated.add_backend(name)
    isolated.add_engine("tensorflow")


@pytest.mark.once
class TestChoice:
    def test_environment_variable_goes_before_the_config_file(self, isolated: Isolated) -> None:
        two_backends(isolated)
        configure(isolated, '{"backend": "tensorflow"}')
        assert chosen(isolated, "numpy") == ["numpy", "UNIDL_BACKEND"]

    def test_config_file_goes_before_the_preference(self, isolated: Isolated) -> None:
        two_backends(isolated)
        configure(isolated, '{"backend": "numpy"}')
        assert chosen(isolated) == ["numpy", str(isolated.home / "config.json")]
        assert chosen(isolated, "") == chosen(isolated)

    def test_first_installed_engine_in_order(self, isolated: Isolated) -> None:
        for name in reversed(PREFERENCE):
            isolated.add_backend(name)
        assert chosen(isolated)[0] == "numpy"
        for name in ("mxnet", "tensorflow", "torch"):
            isolated.add_engine(name)
            assert chosen(isolated) == [name, "first installed of torch, tensorflow, mxnet, numpy"]

    def test_another_peoples_backend_is_found_and_comes_last(self, isolated: Isolated) -> None:
        isolated.add_backend("other")
        assert chosen(isolated)[0] == "other"
        isolated.add_backend("numpy")
        assert chosen(isolated)[0] == "numpy"
        assert chosen(isolated, "other")[0] == "other"

    def test_unknown_name_lists_what_is_installed(self, isolated: Isolated) -> None:
        two_backends(isolated)
        assert refused(isolated, "teano") == (
            "unidl.errors.BackendError: Unknown backend 'teano' (from UNIDL_BACKEND). Installed: numpy, tensorflow. "
            "To add it: pip install the distribution that brings it"
        )
        assert refused(isolated, "torch").endswith('To add it: pip install "unidl[torch]"')
        configure(isolated, '{"backend": "mxnet"}')
        message = refused(isolated)
        assert "'mxnet'" in message and "config.json" in message and 'pip install "unidl[mxnet]"' in message

    def test_nothing_installed(self, isolated: Isolated) -> None:
        assert refused(isolated).endswith('No backend is installed. To get one: pip install "unidl[torch]"')
        isolated.add_backend("mxnet")
        assert "(mxnet installed, but no engine)" in refused(isolated)

    def test_missing_engine_says_the_pip_line(self, isolated: Isolated) -> None:
        isolated.add_backend("torch")
        assert refused(isolated, "torch") == (
            "unidl.errors.BackendError: Backend 'torch' is installed, but its engine is not: "
            'pip install "unidl[torch]"'
        )

    def test_folder_named_like_an_engine_is_no_engine(self, isolated: Isolated) -> None:
        isolated.add_backend("torch")
        (isolated.python.parent / "torch").mkdir()  # the working directory of its processes
        assert "its engine is not" in refused(isolated, "torch")

    def test_broken_engine_shows_its_own_error(self, isolated: Isolated) -> None:
        isolated.add_backend("torch")
        isolated.add_backend("numpy")
        isolated.add_engine("torch", "raise OSError('libtorch_cpu.so: cannot open shared object file')")
        for backend in ("torch", None):
            assert refused(isolated, backend) == "OSError: libtorch_cpu.so: cannot open shared object file"

    def test_backend_that_is_imported_before_unidl(self, isolated: Isolated) -> None:
        isolated.add_backend("other", source="import unidl\nbackend = 3")
        message = refused(isolated, "other", code="import unidl_other")
        assert message.endswith("unidl_other was imported before unidl: write `import unidl` first, which loads it.")

    def test_entry_point_that_is_no_backend(self, isolated: Isolated) -> None:
        isolated.add_backend("other", source="backend = 3")
        assert "unidl_other:backend of backend 'other' is no unidl.backend.contract.Backend" in refused(isolated)

    @pytest.mark.parametrize("text", ["{", "[]", '{"backend": ["torch"]}', "\udcff"])
    def test_damaged_config_file(self, isolated: Isolated, text: str) -> None:
        isolated.add_backend("numpy")
        isolated.home.mkdir()
        (isolated.home / "config.json").write_bytes(text.encode(errors="surrogateescape"))
        assert "unidl.errors.BackendError: " + str(isolated.home / "config.json") in refused(isolated)
        assert chosen(isolated, "numpy")[0] == "numpy"

    def test_package_that_is_run_with_dash_m_binds_its_backend(self, isolated: Isolated) -> None:
        isolated.add_engine("script", "import unidl, sys; print('unidl.backend' in sys.modules)")
        isolated.add_engine("script2", "import unidl.errors, sys; print('unidl.backend' in sys.modules)")
        isolated.add_backend("numpy")
        for module in ("script", "script2"):
            assert isolated.run("-m", module).stdout.strip() == "True"


def test_only_this_engine_is_imported(fresh_python: Callable[[str], str]) -> None:
    loaded = fresh_python("import unidl, unidl.layers, unidl.ops, sys, json; print(json.dumps(list(sys.modules)))")
    modules = set(json.loads(loaded.splitlines()[-1]))
    engines = {name for name in PREFERENCE if name != "numpy"}
    assert modules & engines == {active.name} & engines


# mxnet needs help to be imported at all, which its backend has in a module of its own.
_ENGINE = """
import importlib.util, json, os, resource, sys, time
def engine(name):
    if name != "mxnet":
        return importlib.import_module(name)
    folder = importlib.util.find_spec("unidl_mxnet").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("engine", os.path.join(folder, "_engine.py"))
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6
"""


def test_import_costs_little_over_the_engine(fresh_python: Callable[[str], str]) -> None:
    measure = f"""{_ENGINE}
engine({active.name!r})
before = set(sys.modules)
memory, start = resident(), time.process_time()
import unidl
print(json.dumps([time.process_time() - start, resident() - memory]))
assert not {{"rich", "safetensors"}} & (set(sys.modules) - before)
"""
    best = [float("inf"), float("inf")]
    for _ in range(5):  # CPU time, and the least of a few runs: what other processes do can only add
        seconds, megabytes = json.loads(fresh_python(measure).splitlines()[-1])
        best = [min(best[0], seconds), min(best[1], megabytes)]
        if best[0] <= 0.2 and best[1] <= 30:
            return
    raise AssertionError(
        f"import unidl takes {best[0]:.2f} s (limit 0.2) and {best[1]:.0f} MB (limit 30) over the engine"
    )
