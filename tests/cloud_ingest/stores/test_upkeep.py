"""The upkeep thread of a store goes on whatever one turn of it does."""

import threading

import pytest
from structlog.testing import capture_logs

from cloud_ingest.stores.protocol import StoreUnavailable
from cloud_ingest.stores.upkeep import Upkeep


@pytest.mark.parametrize("failure", [StoreUnavailable("disk full"), ValueError("a defect")])
def test_a_failing_turn_is_logged_once_and_the_next_ones_still_come(failure: Exception) -> None:
    turns = 0
    recovered = threading.Event()

    def maintain(_now_ms: int) -> None:
        nonlocal turns
        turns += 1
        if turns <= 3:
            raise failure
        if turns == 5:
            recovered.set()

    with capture_logs() as logs:
        upkeep = Upkeep(maintain, interval_s=0.001)
        assert recovered.wait(30)
        upkeep.stop()
    events = [entry["event"] for entry in logs]
    assert events == ["store_maintenance_failed", "store_maintenance_recovered"]
    assert logs[0]["problem"] == str(failure)
