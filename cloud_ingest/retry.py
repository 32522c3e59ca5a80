"""Repeating an action while the store or the database does not answer."""

import threading
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
import structlog

from cloud_ingest.pipeline_dependencies import PipelineCounters
from cloud_ingest.stores.protocol import StoreUnavailable

_log = structlog.get_logger()
ResultT = TypeVar("ResultT")

SHORTEST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0


class Stopped(Exception):  # noqa: N818  # named by what happened
    """The service was stopped while the store or the database did not answer."""


class Retry:
    """Runs actions of the pipeline until they succeed. ``problem`` is the current failure, or ''.

    While an action is repeated, messages collect in the inbox, which is bounded.
    """

    def __init__(self, stopping: threading.Event, counters: PipelineCounters) -> None:
        self._stopping = stopping
        self._counters = counters
        self.problem = ""

    def until_done(self, action: Callable[[], ResultT], what: str) -> ResultT:
        """The result of ``action``, repeated with growing pauses while ``what`` is unavailable.

        Raises Stopped when the service stops in between: nothing is acknowledged then, and the
        gateways send the same reports again.
        """
        wait_s = SHORTEST_WAIT_S
        while True:
            try:
                result = action()
            except (StoreUnavailable, sa.exc.OperationalError, sa.exc.InterfaceError) as error:
                self._counters.store_failures += 1
                reason = str(error).splitlines()[0]
                if not self.problem:
                    _log.warning("store_unavailable", what=what, problem=reason)
                self.problem = f"{what}: {reason}"
                if self._stopping.wait(wait_s):
                    raise Stopped(what) from error
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
                continue
            if self.problem:
                _log.info("store_recovered", what=what)
                self.problem = ""
            return result
