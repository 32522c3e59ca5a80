"""The example of the README of stores works as written."""

import re
from pathlib import Path

import cloud_ingest.stores
from cloud_ingest.stores import summaries
from cloud_ingest.stores.protocol import SampleColumns
from cloud_ingest.stores.validation import validate_batch
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

README = Path(cloud_ingest.stores.__file__).parent / "README.md"


def test_the_example_store_keeps_what_it_is_given() -> None:
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = {
        "SampleBatch": SampleBatch,
        "SampleColumns": SampleColumns,
        "validate_batch": validate_batch,
        "summaries": summaries,
    }
    exec(code, names)
    store = names["MemoryStore"]()
    series = Series(3, SeriesKey("g", "d", "m"), "", "s", "pm10", "ug/m3")
    assert len(store.read(series, 0, 99).time_ms) == 0
    store.write(SampleBatch.of([3, 3, 3], [5, 1, 5], [1.0, 2.0, 3.0], [1, 1, 2]))
    assert store.read(series, 0, 99).value.tolist() == [2.0, 3.0]
    assert store.read(series, 0, 99, 10, "count").value.tolist() == [2.0]
