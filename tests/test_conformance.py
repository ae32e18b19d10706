"""The conformance kit on the active backend."""

from unidl.testing.suite import *  # noqa: F403
