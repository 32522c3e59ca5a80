"""The thread that maintains a store while others write and read."""

import threading
from collections.abc import Callable

import structlog

from cloud_ingest.stores.protocol import StoreError
from telemetry.time.clock import utc_now_ms

_log = structlog.get_logger()


class Upkeep:
    """Calls ``maintain(now_ms)`` every ``interval_s`` seconds, or sooner, until it is stopped."""

    def __init__(self, maintain: Callable[[int], None], interval_s: float) -> None:
        self._maintain = maintain
        self._interval_s = interval_s
        self._stopping = False
        self._wake = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="store-upkeep", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._interval_s)
            if self._stopping:
                return
            self._wake.clear()
            try:
                self._maintain(utc_now_ms())
            except Exception as error:  # noqa: BLE001  # a defect must not end the upkeep for good
                if not self._failing:
                    _log.warning(
                        "store_maintenance_failed",
                        problem=str(error) or type(error).__name__,
                        exc_info=not isinstance(error, StoreError),
                    )
                self._failing = True
            else:
                if self._failing:
                    _log.info("store_maintenance_recovered")
                self._failing = False

    def wake(self) -> None:
        """Call ``maintain`` now instead of at the end of the interval."""
        if not self._failing:
            self._wake.set()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
