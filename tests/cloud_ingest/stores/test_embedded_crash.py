"""The embedded store after kill -9, on a full disk, and opened by two processes."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cloud_ingest.stores.embedded.files import journal
from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.protocol import StoreError, StoreUnavailable
from telemetry.batches import SampleBatch
from telemetry.series import Series, SeriesKey

SERIES = [Series(i, SeriesKey("g", "d", f"m{i}"), "", "s", "pm10", "ug/m3") for i in range(20)]

WRITER = """
import sys
from pathlib import Path
import numpy as np
from cloud_ingest.stores.embedded.store import EmbeddedStore
from telemetry.batches import SampleBatch

store = EmbeddedStore(Path(sys.argv[1]), flush_rows=2000)
first = int(sys.argv[2])
for n in range(first, first + 100_000):
    store.write(SampleBatch.of(np.arange(20), np.full(20, n * 1_000_000), np.full(20, float(n)), np.ones(20)))
    print(n, flush=True)
    if n % 10 == 0:
        store.maintain(n * 1_000_000)
"""


def one_sample(n: int) -> SampleBatch:
    return SampleBatch.of([0], [n], [float(n)], [1])


def times(store: EmbeddedStore, series: int = 0) -> list[int]:
    return store.read(SERIES[series], -(1 << 60), 1 << 60).time_ms.tolist()


def test_what_was_written_survives_kill_9_again_and_again(tmp_path: Path) -> None:
    promised = -1
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "s"), str(promised + 1)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert writer.stdout
        end = None
        for line in writer.stdout:
            promised = int(line)
            end = end or time.monotonic() + 0.5
            if time.monotonic() > end:
                break
        writer.send_signal(signal.SIGKILL)
        promised = max([promised, *(int(x) for x in writer.stdout.read().split() if x.isdigit())])
        writer.wait()
        store = EmbeddedStore(tmp_path / "s")
        for series in (0, 19):
            stored = times(store, series)
            assert len(stored) in (promised + 1, promised + 2)
            assert stored == [n * 1_000_000 for n in range(len(stored))]
        assert store.latest(SERIES).time_ms.min() >= promised * 1_000_000
        store.close()


@pytest.mark.parametrize("cut", [1, 7, 12, 100])
def test_a_torn_last_block_is_cut_off(tmp_path: Path, cut: int) -> None:
    store = EmbeddedStore(tmp_path)
    for n in range(5):
        store.write(one_sample(n))
    store.close()
    file = tmp_path / "journal" / "0000000001"
    whole = file.read_bytes()
    block = len(journal.encode_block(one_sample(0)))
    file.write_bytes(whole[: len(whole) - min(cut, block - 1)])
    store = EmbeddedStore(tmp_path)
    assert times(store) == [0, 1, 2, 3]
    store.write(one_sample(9))
    store.close()
    store = EmbeddedStore(tmp_path)
    assert times(store) == [0, 1, 2, 3, 9]
    store.close()


def test_a_second_process_is_told_that_the_store_is_taken(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    with pytest.raises(StoreUnavailable, match="another process"):
        EmbeddedStore(tmp_path)
    store.close()
    EmbeddedStore(tmp_path).close()


def test_a_full_disk_is_said_and_leaves_no_half_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(one_sample(1))
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        real(descriptor, bytes(data)[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.write(one_sample(2))
    monkeypatch.setattr(os, "write", real)
    store.write(one_sample(3))
    assert times(store) == [1, 3]
    store.close()
    store = EmbeddedStore(tmp_path)
    assert times(store) == [1, 3]
    store.close()


def test_the_newest_samples_are_known_again_after_a_restart(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(SampleBatch.of([0, 1, 2], [10, 20, 30], [1.0, 2.0, 3.0], [1, 1, 1]))
    store.flush()
    store.write(SampleBatch.of([1, 2], [15, 35], [9.0, 9.0], [1, 4]))
    before = store.latest(SERIES)
    store.close()
    store = EmbeddedStore(tmp_path)
    after = store.latest(SERIES)
    for name in ("series", "time_ms", "value", "quality"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert after.time_ms.tolist() == [10, 20, 35]
    store.close()


def test_files_that_no_manifest_names_are_cleared_away(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(one_sample(1))
    store.flush()
    store.close()
    [part] = tmp_path.glob("raw/*/*.parquet")
    orphan = part.with_name("0000009999.parquet")
    orphan.write_bytes(part.read_bytes())
    store = EmbeddedStore(tmp_path)
    assert not orphan.exists()
    assert times(store) == [1]
    store.close()


def test_samples_of_another_database_are_never_taken_for_ours(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.register(SERIES)
    store.register([replace(SERIES[3], station="moved")])
    assert store.series()[3].station == "moved"
    with pytest.raises(StoreError, match="do not belong together"):
        store.register([replace(SERIES[3], key=SeriesKey("g", "d", "another"))])
    store.close()
