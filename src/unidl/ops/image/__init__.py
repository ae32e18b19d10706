"""Ops on images."""

from __future__ import annotations

from unidl.ops.image.resizing import *
