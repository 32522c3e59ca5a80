"""Receipts that follow each other, taken together: of a gateway, with numbers one after the other."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cloud_ingest.intake.days import LATE_MS, day_numbers
from cloud_ingest.intake.work import Receipt, Receipts
from telemetry.batches import Int64


class Run(NamedTuple):
    """The reports ``first`` to ``last`` of a gateway: samples of one day, ``late`` of them late.

    They are the ``rows`` of the receipts ``among`` which they were found.
    """

    gateway: str
    first: int
    last: int
    samples: int
    late: int
    day: int
    among: Receipts
    rows: Int64

    def receipts(self) -> Iterator[Receipt]:
        """Its receipts one by one."""
        r, rows = self.among, self.rows
        part = Receipts(
            r.gateways, r.gateway[rows], r.batch[rows], r.samples[rows], r.time_ms[rows],
            r.arrived_ms[rows],
        )  # fmt: skip
        return part.one_by_one()


def split_runs(receipts: Receipts) -> Iterator[Run]:
    """The runs in ``receipts``, by gateway and number.

    The devices of a gateway send one after the other what they measured in turn, so its numbers
    come in no order.
    """
    order = np.lexsort((receipts.batch, receipts.gateway))
    gateway, batch = receipts.gateway[order], receipts.batch[order]
    samples, arrived_ms = receipts.samples[order], receipts.arrived_ms[order]
    time_ms = receipts.time_ms[order]
    time_ms = np.where(time_ms < 0, arrived_ms, time_ms)
    day = day_numbers(time_ms)
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (
        (gateway[1:] != gateway[:-1]) | (batch[1:] != batch[:-1] + 1) | (day[1:] != day[:-1])
    )
    first = np.flatnonzero(begins)
    end = np.append(first[1:], len(order))
    late = np.add.reduceat(np.where(arrived_ms - time_ms > LATE_MS, samples, 0), first)
    for g, a, b, n, n_late, d, i, j in zip(
        gateway[first].tolist(), batch[first].tolist(), batch[end - 1].tolist(),
        np.add.reduceat(samples, first).tolist(), late.tolist(), day[first].tolist(),
        first.tolist(), end.tolist(), strict=True,
    ):  # fmt: skip
        yield Run(receipts.gateways[g], a, b, n, n_late, d, receipts, order[i:j])
