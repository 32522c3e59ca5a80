"""Receipts that follow each other, taken together: of a gateway, with numbers one after the other."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cloud_ingest.intake.days import LATE_MS, day_numbers
from cloud_ingest.intake.work import Receipt, Receipts


class Run(NamedTuple):
    """The reports ``first`` to ``last`` of a gateway: samples of one day, ``late`` of them late.

    They are the ``rows`` (from, to) of the receipts ``among`` which they were found, in order.
    """

    gateway: str
    first: int
    last: int
    samples: int
    late: int
    day: int
    among: Receipts
    rows: tuple[int, int]

    def receipts(self) -> Iterator[Receipt]:
        """Its receipts one by one."""
        return self.among.select(slice(*self.rows)).one_by_one()


def split_runs(receipts: Receipts) -> Iterator[Run]:
    """The runs in ``receipts``, by gateway and number.

    The devices of a gateway send one after the other what they measured in turn, so its numbers
    come in no order.
    """
    receipts = receipts.select(np.lexsort((receipts.batch, receipts.gateway)))
    gateway, batch, samples = receipts.gateway, receipts.batch, receipts.samples
    arrived_ms = receipts.arrived_ms
    time_ms = np.where(receipts.time_ms < 0, arrived_ms, receipts.time_ms)
    day = day_numbers(time_ms)
    begins = np.ones(len(batch), np.bool_)
    begins[1:] = (
        (gateway[1:] != gateway[:-1]) | (batch[1:] != batch[:-1] + 1) | (day[1:] != day[:-1])
    )
    first = np.flatnonzero(begins)
    end = np.append(first[1:], len(batch))
    late = np.add.reduceat(np.where(arrived_ms - time_ms > LATE_MS, samples, 0), first)
    names = receipts.gateways
    for g, a, b, n, n_late, d, i, j in zip(
        gateway[first].tolist(), batch[first].tolist(), batch[end - 1].tolist(),
        np.add.reduceat(samples, first).tolist(), late.tolist(), day[first].tolist(),
        first.tolist(), end.tolist(), strict=True,
    ):  # fmt: skip
        yield Run(names[g], a, b, n, n_late, d, receipts, (i, j))
