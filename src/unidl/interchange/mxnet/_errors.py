"""What is raised for files of MXNet."""

from __future__ import annotations


class MxnetError(ValueError):
    """A file of MXNet cannot be read as a model: says what is wrong, where, and what would help."""


class MissingOperatorError(MxnetError, NotImplementedError):
    """Operators of a symbol are not known: says which, where, and how to supply them."""
