"""The inbox: samples that another process hands to the one that writes the store."""

import time
import uuid
from pathlib import Path

import structlog

from cloud_ingest.stores.embedded.files import journal
from cloud_ingest.stores.embedded.files.replacing import keep_damaged, replace_file
from cloud_ingest.stores.protocol import StoreUnavailable
from telemetry.batches import SampleBatch

_log = structlog.get_logger()


def put(folder: Path, batch: SampleBatch) -> Path:
    """Put ``batch`` into the inbox of the store in ``folder``, durably and as a whole."""
    try:
        (folder / "inbox").mkdir(exist_ok=True)
        # Names sort by time: of two samples with the same time, the later one wins.
        path = folder / "inbox" / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.samples"
        replace_file(path, journal.encode_block(batch))
    except OSError as error:
        raise StoreUnavailable(f"{folder}/inbox: {error.strerror or error}") from error
    return path


def pending(folder: Path) -> list[Path]:
    """The files in the inbox, oldest first."""
    return sorted((folder / "inbox").glob("*.samples"))


def read(path: Path) -> list[SampleBatch]:
    """The sound batches of an inbox file. A damaged file is kept under a second name."""
    content = journal.read_journal(path)
    lost = content.damaged_bytes + content.cut_off_bytes
    if lost or not content.blocks:
        kept = keep_damaged(path)
        _log.warning("inbox_file_damaged", file=str(path), kept_as=kept.name, bytes=lost)
    return content.batches
