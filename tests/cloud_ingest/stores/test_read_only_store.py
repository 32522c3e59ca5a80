"""A second process that reads an embedded store while the first one writes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cloud_ingest.stores.embedded.read_only_store import ReadOnlyStore
from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.protocol import StoreError, StoreUnavailable
from telemetry.batches import SampleBatch
from tests.cloud_ingest.stores.conftest import close_all_days
from tests.cloud_ingest.stores.test_embedded_crash import SERIES, WRITER, one_sample, times

HOUR, DAY = 3_600_000, 86_400_000


def test_it_sees_each_batch_as_soon_as_it_is_written(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.register(SERIES)
    reader = ReadOnlyStore(tmp_path)
    assert reader.series() == SERIES
    for step in (lambda: None, store.flush, lambda: close_all_days(store)):
        n = store.count(SERIES)
        store.write(one_sample(n * DAY))
        step()
        assert times(reader) == [i * DAY for i in range(n + 1)]
        assert reader.count(SERIES) == n + 1
        assert reader.latest(SERIES).time_ms.tolist() == [n * DAY]
        assert reader.read(SERIES[0], 0, 9 * DAY, HOUR, "count").value.tolist() == [1.0] * (n + 1)
    reader.close()
    store.close()


def test_it_never_sees_a_hole_while_the_other_flushes_and_compacts(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path / "s").close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "s"), "0"], stdout=subprocess.PIPE, text=True
    )
    reader = ReadOnlyStore(tmp_path / "s")
    assert writer.stdout
    seen = 0
    try:
        for line in writer.stdout:
            promised = int(line)
            if promised % 150 == 149:
                stored = times(reader, 7)
                assert len(stored) > promised
                assert (np.diff(stored) == 1_000_000).all()
                seen += 1
            if seen == 6:
                break
    finally:
        writer.kill()
        writer.wait()
    assert seen == 6
    reader.close()


def test_what_it_leaves_in_the_inbox_is_taken_in(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.register(SERIES)
    store.write(one_sample(5))
    reader = ReadOnlyStore(tmp_path)
    reader.register(SERIES[:2])
    reader.write(SampleBatch.of([0, 1], [5, 6], [50.0, 60.0], [1, 1]))
    reader.write(SampleBatch.of([0, 1], [5, 7], [55.0, float("inf")], [1, 1]))
    store.maintain(0)
    assert store.read(SERIES[0], 0, 9).value.tolist() == [55.0]
    assert times(store, 1) == [6]
    assert not list((tmp_path / "inbox").iterdir())
    reader.close()
    store.close()


def test_it_refuses_what_only_the_writer_can_do(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no store"):
        ReadOnlyStore(tmp_path)
    EmbeddedStore(tmp_path).close()
    reader = ReadOnlyStore(tmp_path)
    with pytest.raises(StoreError, match="not known"):
        reader.register(SERIES[:1])
    with pytest.raises(StoreError, match="opened for reading"):
        reader.delete_before(5)
    reader.close()
