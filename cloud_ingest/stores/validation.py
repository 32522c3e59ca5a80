"""Separates the samples that no store can hold from the rest of a batch."""

import numpy as np

from cloud_ingest.stores.protocol import EARLIEST_MS, LATEST_MS, StoreRejected
from telemetry.batches import SampleBatch

INFINITE = "the value is infinite"
TIME_OUT_OF_RANGE = "the time lies before 1678 or after 2261"


def validate_batch(batch: SampleBatch) -> tuple[SampleBatch, StoreRejected | None]:
    """The samples of ``batch`` that can be stored, and a rejection of the others (or None)."""
    beyond = (batch.time_ms < EARLIEST_MS) | (batch.time_ms >= LATEST_MS)
    bad = beyond | np.isinf(batch.value)
    if not bad.any():
        return batch, None
    reasons = [TIME_OUT_OF_RANGE if b else INFINITE for b in beyond[bad]]
    return batch.select(~bad), StoreRejected(batch.select(bad), reasons)


def merge_rejections(*rejections: StoreRejected | None) -> StoreRejected | None:
    """Several rejections as one; None if there are none."""
    given = [r for r in rejections if r is not None]
    if not given:
        return None
    return StoreRejected(
        SampleBatch.concat([r.rejected for r in given]), [x for r in given for x in r.reasons]
    )
