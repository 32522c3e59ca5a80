"""Every benchmark can be started: its imports are there, and it has the function that runs it."""

import importlib

import pytest

from benchmarks.__main__ import modules


@pytest.mark.parametrize("module", modules().values())
def test_a_benchmark_loads(module: str) -> None:
    assert callable(importlib.import_module(module).run)
