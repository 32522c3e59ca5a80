"""Exports as byte streams, for files and for the HTTP API."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cloud_ingest.stores.protocol import SampleStore
from cloud_ingest.transfer.selection import Selection, pieces
from cloud_ingest.transfer.table_files import write_excel, write_parquet
from cloud_ingest.transfer.text_files import csv_of, lines_of

Form = Literal["csv", "parquet", "xlsx", "lines"]
MEDIA_TYPES: dict[Form, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "lines": "text/plain; charset=utf-8",
}
_BLOCK = 1 << 18


def export(
    store: SampleStore, selection: Selection, form: Form, mark: bool = False
) -> Iterator[bytes]:
    """The samples of ``selection`` as a byte stream, in bounded memory.

    ``mark`` starts CSV with a byte order mark, which Excel needs. Parquet and Excel files cannot be
    written sequentially: they are made in a temporary file, then streamed.
    """
    found = pieces(store, selection)
    if form == "csv":
        yield from csv_of(found, mark)
    elif form == "lines":
        yield from lines_of(found)
    else:
        write = write_parquet if form == "parquet" else write_excel
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"export.{form}"
            write(found, path)
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block
