"""Damaged files of the embedded store: flipped bits, missing ends, garbage."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cloud_ingest.stores.embedded.files import journal
from cloud_ingest.stores.embedded.read_only_store import ReadOnlyStore
from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.protocol import StoreError
from telemetry.batches import SampleBatch
from tests.cloud_ingest.stores.conftest import close_all_days
from tests.cloud_ingest.stores.test_embedded_crash import SERIES, one_sample, times

DAY = 86_400_000


def flip(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def write(path: Path, *batches: SampleBatch) -> None:
    store = EmbeddedStore(path)
    for batch in batches:
        store.write(batch)
    store.close()


# --- journal

sizes = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def blocks_of(numbers: list[int]) -> list[bytes]:
    return [
        journal.encode_block(
            SampleBatch.of(np.arange(n), np.full(n, i), np.full(n, i / 7), np.ones(n))
        )
        for i, n in enumerate(numbers)
    ]


@given(sizes, st.data())
def test_a_flipped_bit_costs_one_block_of_a_journal(
    numbers: list[int], data: st.DataObject
) -> None:
    blocks = blocks_of(numbers)
    whole = b"".join(blocks)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    ends = np.cumsum([len(b) for b in blocks])
    hit = int(np.searchsorted(ends, bit // 8, side="right"))
    found = [block.batch for block in journal.decode_blocks(flip(whole, bit))]
    assert [int(b.time_ms[0]) for b in found] == [i for i in range(len(blocks)) if i != hit]
    assert [len(b) for b in found] == [n for i, n in enumerate(numbers) if i != hit]


@given(sizes, st.data())
def test_a_journal_that_is_cut_off_keeps_its_whole_blocks(
    numbers: list[int], data: st.DataObject
) -> None:
    blocks = blocks_of(numbers)
    whole = b"".join(blocks)
    length = data.draw(st.integers(0, len(whole)))
    ends = np.cumsum([len(b) for b in blocks])
    found = list(journal.decode_blocks(whole[:length]))
    assert len(found) == int((ends <= length).sum())


@given(sizes, st.binary(max_size=60), st.data())
def test_garbage_between_blocks_is_skipped(
    numbers: list[int], garbage: bytes, data: st.DataObject
) -> None:
    blocks = blocks_of(numbers)
    position = data.draw(st.integers(0, len(blocks)))
    damaged = b"".join(blocks[:position]) + garbage + b"".join(blocks[position:])
    assert len(list(journal.decode_blocks(damaged))) == len(blocks)


@pytest.mark.parametrize("block", range(10))
def test_a_damaged_journal_is_kept_aside_and_its_sound_blocks_are_used(
    tmp_path: Path, block: int
) -> None:
    write(tmp_path, *(one_sample(n) for n in range(10)))
    file = tmp_path / "journal" / "0000000001"
    length = file.stat().st_size // 10
    damaged = flip(file.read_bytes(), (block * length + 14) * 8)
    file.write_bytes(damaged)
    remaining = [n for n in range(10) if n != block]

    with capture_logs() as logs:
        store = EmbeddedStore(tmp_path)
    [event] = logs
    assert event == {
        "event": "journal_damaged", "log_level": "warning", "file": str(file),
        "kept_as": "0000000001.damaged", "bytes": length, "samples": 1,
    }  # fmt: skip
    assert (file.parent / event["kept_as"]).read_bytes() == damaged
    assert times(store) == remaining
    store.write(one_sample(99))
    store.close()

    with capture_logs() as logs:
        store = EmbeddedStore(tmp_path)
    assert logs == []
    assert times(store) == [*remaining, 99]
    store.flush()
    store.close()
    assert (file.parent / event["kept_as"]).read_bytes() == damaged


def test_a_second_damage_of_a_journal_is_kept_too(tmp_path: Path) -> None:
    write(tmp_path, *(one_sample(n) for n in range(3)))
    file = tmp_path / "journal" / "0000000001"
    for _ in range(2):
        file.write_bytes(flip(file.read_bytes(), 20 * 8))
        EmbeddedStore(tmp_path).close()
    assert {p.name for p in file.parent.iterdir()} == {
        "0000000001", "0000000001.damaged", "0000000001-2.damaged",
    }  # fmt: skip
    store = EmbeddedStore(tmp_path)
    assert times(store) == [2]
    store.close()


@pytest.mark.parametrize("bit", range(1, 24))
def test_a_damaged_number_of_the_last_block_is_no_incomplete_block(
    tmp_path: Path, bit: int
) -> None:
    write(tmp_path, one_sample(1), one_sample(2))
    file = tmp_path / "journal" / "0000000001"
    damaged = flip(file.read_bytes(), (file.stat().st_size // 2 + 4) * 8 + bit)
    file.write_bytes(damaged)
    with capture_logs() as logs:
        store = EmbeddedStore(tmp_path)
    assert [entry["event"] for entry in logs] == ["journal_damaged"]
    assert times(store) == [1]
    assert (file.parent / "0000000001.damaged").read_bytes() == damaged
    store.close()


@pytest.mark.parametrize("hard_links", [True, False])
def test_damage_that_cannot_be_mended_yet_is_kept_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    write(tmp_path, *(one_sample(n) for n in range(3)))
    file = tmp_path / "journal" / "0000000001"
    damaged = flip(file.read_bytes(), 14 * 8)
    file.write_bytes(damaged)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    if not hard_links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    with monkeypatch.context() as full_disk:
        full_disk.setattr(journal, "replace_file", refuse)
        for _ in range(3):
            with pytest.raises(OSError, match="no space"):
                journal.recover_journal(file)
    store = EmbeddedStore(tmp_path)
    assert times(store) == [1, 2]
    store.close()
    [kept] = file.parent.glob("*.damaged")
    assert kept.read_bytes() == damaged


def test_an_incomplete_last_block_is_normal_after_a_crash(tmp_path: Path) -> None:
    write(tmp_path, one_sample(1), one_sample(2))
    file = tmp_path / "journal" / "0000000001"
    file.write_bytes(file.read_bytes()[:-5])
    with capture_logs() as logs:
        store = EmbeddedStore(tmp_path)
    assert [entry["event"] for entry in logs] == ["journal_tail_cut_off"]
    assert times(store) == [1]
    assert not list(tmp_path.rglob("*.damaged"))
    store.close()


def test_a_reading_process_skips_damage_and_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, *(one_sample(n) for n in range(3)))
    file = tmp_path / "journal" / "0000000001"
    damaged = flip(file.read_bytes(), 14 * 8)
    file.write_bytes(damaged)
    reader = ReadOnlyStore(tmp_path)
    assert times(reader) == [1, 2]
    reader.close()
    assert file.read_bytes() == damaged


# --- inbox


@pytest.mark.parametrize(
    "damage", [lambda data: flip(data, 14 * 8), lambda data: data[:-1], lambda _: b""]
)
def test_a_damaged_inbox_file_is_kept_aside(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    store = EmbeddedStore(tmp_path)
    store.register(SERIES)
    reader = ReadOnlyStore(tmp_path)
    for n in (1, 2):
        reader.write(one_sample(n))
    first, _ = sorted((tmp_path / "inbox").iterdir())
    content = damage(first.read_bytes())
    first.write_bytes(content)
    with capture_logs() as logs:
        store.maintain(0)
        store.maintain(0)
    [event] = logs
    assert (event["event"], event["bytes"]) == ("inbox_file_damaged", len(content))
    assert times(store) == [2]
    [kept] = (tmp_path / "inbox").iterdir()
    assert (kept.name, kept.read_bytes()) == (event["kept_as"], content)
    reader.close()
    store.close()


# --- other files: the store opens or refuses with the file's name, and sound samples are there


@pytest.mark.parametrize("content", ["", "garbage", "[]", "5", '{"format": 1}', '{"format": 9}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str) -> None:
    write(tmp_path, one_sample(1))
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        EmbeddedStore(tmp_path)


@pytest.mark.parametrize("line", ["garbage", "[]", "{}", "\x00"])
def test_a_damaged_line_of_the_series_catalogue_is_named(tmp_path: Path, line: str) -> None:
    store = EmbeddedStore(tmp_path)
    store.register(SERIES[:3])
    store.close()
    file = tmp_path / "series.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], line, lines[2], ""]))
    with pytest.raises(StoreError, match=r"series\.jsonl:2"):
        EmbeddedStore(tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"garbage"])
def test_a_damaged_part_is_named_and_other_days_are_read(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(one_sample(1))
    store.write(one_sample(DAY + 1))
    store.flush()
    store.close()
    part, _ = sorted(tmp_path.glob("raw/*/*.parquet"))
    part.write_bytes(damage(part.read_bytes()))
    store = EmbeddedStore(tmp_path)
    with pytest.raises(StoreError, match=part.name):
        store.read(SERIES[0], 0, DAY)
    assert store.read(SERIES[0], DAY, 2 * DAY).time_ms.tolist() == [DAY + 1]
    store.write(one_sample(DAY + 2))
    store.close()


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(one_sample(1))
    store.flush()
    [part] = tmp_path.glob("raw/*/*.parquet")
    part.unlink()
    with pytest.raises(StoreError, match=part.name):
        store.read(SERIES[0], 0, DAY)
    store.close()


def test_damaged_summaries_are_named(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(one_sample(1))
    close_all_days(store)
    store.close()
    file = tmp_path / "summaries.db"
    file.write_bytes(b"garbage" + file.read_bytes()[7:])
    with pytest.raises(StoreError, match=r"summaries\.db"):
        EmbeddedStore(tmp_path)


def test_samples_are_there_when_the_file_of_latest_samples_is_damaged(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.write(one_sample(1))
    store.flush()
    store.close()
    [file] = tmp_path.glob("newest-*")
    file.write_bytes(b"garbage")
    store = EmbeddedStore(tmp_path)
    assert times(store) == [1]
    store.write(one_sample(2))
    assert store.latest(SERIES).time_ms.tolist() == [2]
    store.close()
