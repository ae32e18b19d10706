"""Model files that were changed at random: thousands of them, in a process of their own, on every backend.

``UNIDL_FUZZ=10000 pytest tests/test_fuzzed_files.py -s`` reads so many; the seeds are printed.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unidl
from unidl import layers
from unidl.backend import active

COUNT = int(os.environ.get("UNIDL_FUZZ", 0)) or (3000 if active.name == "numpy" else 200)


def test_changed_files_do_no_harm() -> None:
    script = Path(__file__).with_name("fuzz_files.py")
    environment = {**os.environ, "UNIDL_BACKEND": active.name, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, script, "0", str(COUNT)], env=environment, capture_output=True, text=True, timeout=280 + COUNT
    )
    assert done.returncode == 0, f"the process ended with status {done.returncode}: {done.stderr[-3000:]}"
    report = json.loads(done.stdout)
    print(f"\n{report['files']} changed files on {active.name}, seeds {report['seeds']}: {report['outcomes']}")
    print(f"the slowest took {report['slowest']} s; the process had {report['peak_MiB']} MiB at most")
    assert report["problems"] == []
    assert report["files"] == sum(report["outcomes"].values()) == COUNT
    assert {kind.split()[-1] for kind in report["outcomes"]} == {"read", "refused"}


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["config.json", "metadata.json", "model.weights.h5", "assets/layers/x", "../x", "/x", "x.py"])
        | st.text(max_size=12),
        st.sampled_from(["config", "metadata", "weights", "nothing"]) | st.binary(max_size=40),
        st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
        st.sampled_from([0, 0o100644, 0o120777, 0o040755]),
    ),
    max_size=6,
)  # fmt: skip


@pytest.mark.once
@settings(max_examples=150)
@given(entries=ENTRIES)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_any_archive_is_read_or_refused(entries: list[Any], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("archive")
    good = folder / "good.keras"
    unidl.Sequential([layers.Input((2,)), layers.Dense(1)]).save(good)
    with zipfile.ZipFile(good) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    known = {
        "config": parts["config.json"],
        "metadata": parts["metadata.json"],
        "weights": parts["model.weights.h5"],
        "nothing": b"",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content, packed, mode in entries:
            info = zipfile.ZipInfo(name.replace("\0", "") or "x")
            info.compress_type, info.external_attr = packed, mode << 16
            archive.writestr(info, known[content] if isinstance(content, str) else content)
    (folder / "made.keras").write_bytes(out.getvalue())
    try:
        assert unidl.saving.load_model(folder / "made.keras").output_shape == (None, 1)
    except (ValueError, TypeError) as error:
        assert str(error)
    assert sorted(os.listdir(folder)) == ["good.keras", "made.keras"]
