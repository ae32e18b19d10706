"""`RemoteMonitor`: sends the metrics of every epoch to a server."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np

from unidl.callbacks._base import Callback, Logs


class RemoteMonitor(Callback):
    """Posts the epoch's number and metrics to a server at the end of each epoch; needs the package requests.

    A server that does not answer is a warning: training goes on.

    Args:
        root: the server, e.g. ``"http://localhost:9000"``.
        path: to which to post, appended to `root`.
        field: the form's field that holds the JSON text.
        headers: of the request.
        send_as_json: post the JSON as the body, not as a form.

    Raises:
        ImportError: at the end of the first epoch, without requests.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        try:
            import requests  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise ImportError("RemoteMonitor needs the package requests: pip install requests") from None
        send = {"epoch": epoch, **{name: _plain(value) for name, value in (logs or {}).items()}}
        body: dict[str, Any] = {"json": send} if self.send_as_json else {"data": {self.field: json.dumps(send)}}
        try:
            requests.post(self.root + self.path, headers=self.headers, **body)
        except requests.exceptions.RequestException as error:
            warnings.warn(f"Could not reach RemoteMonitor root server {self.root}: {error}", stacklevel=2)


def _plain(value: Any) -> Any:
    """A metric as JSON can hold it: arrays of one element as a number."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.item() if value.size == 1 else value.tolist()
    return value
