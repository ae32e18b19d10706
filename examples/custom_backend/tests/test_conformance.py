"""Every op and the contract, checked against the NumPy backend."""

from __future__ import annotations

from unidl.testing.suite import *  # noqa: F403
