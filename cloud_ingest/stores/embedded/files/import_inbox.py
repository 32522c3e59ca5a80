"""The inbox: samples that another process leaves for the one that writes the store."""

import time
import uuid
from pathlib import Path

from cloud_ingest.stores.embedded.files import journal
from cloud_ingest.stores.embedded.files.manifest import replace_file
from cloud_ingest.stores.protocol import StoreUnavailable
from telemetry.batches import SampleBatch


def leave(folder: Path, batch: SampleBatch) -> Path:
    """Put ``batch`` into the inbox of the store in ``folder``, durably and as a whole."""
    try:
        (folder / "inbox").mkdir(exist_ok=True)
        # names in the order of time, so that of two samples the later one stands
        path = folder / "inbox" / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.samples"
        replace_file(path, journal.encode_block(batch))
    except OSError as error:
        raise StoreUnavailable(f"{folder}/inbox: {error.strerror or error}") from error
    return path


def waiting(folder: Path) -> list[Path]:
    """What lies in the inbox, oldest first."""
    return sorted((folder / "inbox").glob("*.samples"))
