"""Receipts that follow each other, taken together: of a gateway, with numbers one after the other."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from cloud_ingest.intake.days import LATE_MS, day_numbers
from cloud_ingest.intake.work import Receipts


class Run(NamedTuple):
    """The reports ``first`` to ``last`` of a gateway: samples of one day, ``late`` of them late.

    Its receipts stand from ``begin`` to ``end`` in the order of ``split_runs``.
    """

    gateway: str
    first: int
    last: int
    samples: int
    late: int
    day: int
    begin: int
    end: int


def split_runs(receipts: Receipts) -> tuple[Receipts, Iterable[Run]]:
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
    return ordered, map(Run._make, zip(*columns, strict=True))
