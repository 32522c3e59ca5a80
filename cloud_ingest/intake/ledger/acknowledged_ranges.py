"""Ranges of consecutive report numbers of one gateway, found in the receipts of many reports."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from cloud_ingest.intake.ledger.daily_counts import LATE_MS, day_numbers
from cloud_ingest.intake.work import Receipts

ReportRange: TypeAlias = tuple[str, int, int, int, int, int, int, int]
"""Gateway, first and last report, number of samples, number of late samples, day number, and begin
and end of the receipts in the order of ``split_ranges``. All samples are of one day. A plain tuple,
because a large fleet has one for each gateway in each batch."""


def split_ranges(receipts: Receipts) -> tuple[Receipts, Iterable[ReportRange]]:
    """The receipts sorted by gateway and number, and the ranges in them.

    Sorting is necessary: the devices of a gateway send their reports independently, so the numbers
    of a gateway arrive in any order.
    """
    ordered = receipts.select(np.lexsort((receipts.batch, receipts.gateway)))
    gateway, batch, samples = ordered.gateway, ordered.batch, ordered.samples
    time_ms = np.where(ordered.time_ms < 0, ordered.arrived_ms, ordered.time_ms)
    late = np.where(ordered.arrived_ms - time_ms > LATE_MS, samples, 0)
    day = day_numbers(time_ms)
    begins = np.ones(len(batch), np.bool_)
    begins[1:] = (
        (gateway[1:] != gateway[:-1]) | (batch[1:] != batch[:-1] + 1) | (day[1:] != day[:-1])
    )
    begin = np.flatnonzero(begins)
    end = np.append(begin[1:], len(batch))
    names = receipts.gateways
    columns = (
        [names[g] for g in gateway[begin].tolist()], batch[begin].tolist(),
        batch[end - 1].tolist(), np.add.reduceat(samples, begin).tolist(),
        np.add.reduceat(late, begin).tolist(), day[begin].tolist(), begin.tolist(), end.tolist(),
    )  # fmt: skip
    return ordered, zip(*columns, strict=True)
