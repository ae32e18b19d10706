"""`CSVLogger`."""

from __future__ import annotations

import csv
import os
from typing import Any

from unidl.callbacks._base import Callback, Logs


class CSVLogger(Callback):
    """Writes the metrics of every epoch to a file, one row each.

    Args:
        filename: the file; its folder must exist.
        separator: one character between the fields.
        append: go on in a file that exists instead of replacing it.

    Columns are ``epoch`` and the metrics. A metric that appears later (validation need not run in every
    epoch) gets a column, and ``NA`` in the rows above, as has any metric that an epoch lacks. The file is
    closed after every epoch.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self.keys: list[str] = []
        self._rows: list[list[str]] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.keys = []
        if self.append and os.path.exists(self.filename):
            rows = self._read()
            self.keys = rows[0][1:] if rows else []
        else:
            self._write([], "w")

    def state_dict(self) -> dict[str, Any]:
        if self._rows is None:
            self._rows = self._read()
        return {"keys": self.keys, "rows": self._rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back the rows that the file had then: it may have been begun anew, or have later ones."""
        self.keys = state["keys"]
        self._write(state["rows"], "w")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        new = [name for name in logs if name not in self.keys]
        if new:
            rows = self._read()[1:]
            self.keys += new
            width = len(self.keys) + 1
            self._write([["epoch", *self.keys], *(row + ["NA"] * (width - len(row)) for row in rows)], "w")
        self._write([[str(epoch), *(str(logs.get(key, "NA")) for key in self.keys)]], "a")

    def _read(self) -> list[list[str]]:
        with open(self.filename, newline="", encoding="utf-8") as file:
            return list(csv.reader(file, delimiter=self.separator))

    def _write(self, rows: list[list[str]], mode: str) -> None:
        self._rows = None
        with open(self.filename, mode, newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=self.separator, lineterminator="\n").writerows(rows)
