"""How each op is tested: one case for every op in the table, as data beside a builder of arguments."""

from unidl.testing.cases import creation, elementwise, linalg, nn, random, reduce, rnn, scatter, shape, windows
from unidl.testing.draw import CASES

__all__ = ["CASES", "creation", "elementwise", "linalg", "nn", "random", "reduce", "rnn", "scatter", "shape", "windows"]
