"""Finds the rejected lines of a refused batch and stores the others.

Servers differ: 1.x stores the good lines and reports the bad ones, 2.x stores nothing if a line
cannot be parsed, 3.x may do either. Writing a line again changes nothing, so all are treated alike:
the batch is halved until one refused line is left, or until the server reports that it dropped all.
"""

import re
from collections.abc import Callable

import numpy as np

from cloud_ingest.stores.influxdb.client import TOO_LARGE, WriteRefused
from cloud_ingest.stores.protocol import StoreRejected
from telemetry.batches import SampleBatch

_DROPPED = re.compile(r"dropped=(\d+)")


def store_the_rest(
    batch: SampleBatch,
    text: list[str],
    send: Callable[[list[str]], None],
    refused: WriteRefused,
) -> StoreRejected | None:
    """Store the acceptable lines of ``text``, which are those of ``batch``; return the rejected.

    None if every line was stored in the end (the text was only too long).
    """
    bad: list[int] = []
    reasons: list[str] = []
    waiting = [(0, len(text), refused)]
    while waiting:
        start, end, why = waiting.pop()
        if end - start == 1 or (why.status != TOO_LARGE and _dropped(why) == end - start):
            bad.extend(range(start, end))
            reasons.extend([why.reason] * (end - start))
            continue
        middle = (start + end) // 2
        for left, right in ((middle, end), (start, middle)):
            try:
                send(text[left:right])
            except WriteRefused as again:
                waiting.append((left, right, again))
    if not bad:
        return None
    order = np.argsort(bad, kind="stable")
    positions = np.asarray(bad, np.int64)[order]
    return StoreRejected(batch.select(positions), [reasons[i] for i in order])


def _dropped(refused: WriteRefused) -> int:
    match = _DROPPED.search(refused.reason)
    return int(match.group(1)) if match else 0
