"""Receipts that follow each other, taken together: of a gateway, with numbers one after the other."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from cloud_ingest.intake.ledger.daily_counts import LATE_MS, day_numbers
from cloud_ingest.intake.work import Receipts

Run: TypeAlias = tuple[str, int, int, int, int, int, int, int]
"""A gateway, its reports from the first to the last, their samples, all of one day, how many of
these came late, the number of the day, and where the receipts begin and end in the order of
``split_ranges``. A plain tuple: a large fleet has one for each gateway."""


def split_ranges(receipts: Receipts) -> tuple[Receipts, Iterable[Run]]:
    """The receipts by gateway and number, and the runs in them.

    The devices of a gateway send one after the other what they measured in turn, so its numbers
    come in no order.
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
