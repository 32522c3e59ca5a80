"""The short run of the chaos test; ``python -m tests.chaos`` is the long one."""

from pathlib import Path

import pytest

from tests.chaos.run import run


@pytest.mark.slow
@pytest.mark.mosquitto
def test_nothing_is_lost_and_nothing_stored_twice_whatever_dies(tmp_path: Path) -> None:
    verdict = run(tmp_path, faults=11, seed=1, agents=1, long=False, until_s=25)
    print(verdict)
    assert verdict.ok, str(verdict)
