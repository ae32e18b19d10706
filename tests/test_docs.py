"""Every Python block of the documentation and the README runs, and prints what the page says it prints.

The blocks of a page run one after the other in one namespace, in an empty folder. A ``text`` block right after a
Python block is its output. A line ``<!-- needs: torch -->`` (or ``training``, or several words) right before a block
says where it runs; ``<!-- page needs: … -->`` at the top of a page holds for the whole page.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import unidl
from unidl.backend import active

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
_BLOCK = re.compile(
    r"(?:^<!-- needs: (?P<needs>[\w ]+) -->\n+)?^```python\n(?P<code>.*?)^```\n(?:\n*^```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_PAGE_NEEDS = re.compile(r"\A<!-- page needs: ([\w ]+) -->")


class Block(NamedTuple):
    """One Python block: its first line in the file, what it needs, its text, and the output the page shows."""

    line: int
    needs: str
    code: str
    output: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    whole = _PAGE_NEEDS.match(text)
    return [
        Block(
            text[: m.start("code")].count("\n") + 1,
            m["needs"] or (whole.group(1) if whole else ""),
            m["code"],
            m["output"],
        )
        for m in _BLOCK.finditer(text)
    ]


def runs_here(needs: str) -> bool:
    have = {active.name, "training"} if active.trains else {active.name}
    return set(needs.split()) <= have


def test_all_python_blocks_are_found() -> None:
    for page in PAGES:
        assert page.read_text().count("```python") == len(blocks(page)), page


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.stem)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    unidl.utils.clear_session()  # automatic names as in a process of its own
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        if not runs_here(block.needs):
            continue
        printed = io.StringIO()
        where = f"{page}, line {block.line}"
        # Line numbers in tracebacks are those of the page.
        code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        if block.output is not None:
            lines = [line.rstrip() for line in printed.getvalue().strip().splitlines()]
            assert lines == [line.rstrip() for line in block.output.strip().splitlines()], where
