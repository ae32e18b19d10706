"""Operators of language models and support vector machines, each compared with onnxruntime."""

from __future__ import annotations

import pytest
from onnx_decoders import DECODERS, MACHINES
from onnx_one import One, compare, ids


@pytest.mark.parametrize("case", DECODERS, ids=ids(DECODERS))
def test_operators_of_language_models(case: One) -> None:
    compare(case)


@pytest.mark.parametrize("case", MACHINES, ids=ids(MACHINES))
def test_support_vector_machines(case: One) -> None:
    compare(case)
