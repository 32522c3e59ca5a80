"""What no store can hold: told from the rest of a batch before it is written."""

import numpy as np

from cloud_ingest.stores.protocol import EARLIEST_MS, LATEST_MS, StoreRejected
from telemetry.batches import SampleBatch

INFINITE = "the value is infinite"
BEYOND_TIME = "the time lies before 1678 or after 2261"


def validate_batch(batch: SampleBatch) -> tuple[SampleBatch, StoreRejected | None]:
    """The samples of ``batch`` that can be stored, and the rejection of those that cannot."""
    beyond = (batch.time_ms < EARLIEST_MS) | (batch.time_ms >= LATEST_MS)
    bad = beyond | np.isinf(batch.value)
    if not bad.any():
        return batch, None
    reasons = [BEYOND_TIME if b else INFINITE for b in beyond[bad]]
    return batch.select(~bad), StoreRejected(batch.select(bad), reasons)


def merge_rejections(*rejections: StoreRejected | None) -> StoreRejected | None:
    """One rejection out of several, None where there is none."""
    given = [r for r in rejections if r is not None]
    if not given:
        return None
    return StoreRejected(
        SampleBatch.concat([r.rejected for r in given]), [x for r in given for x in r.reasons]
    )
