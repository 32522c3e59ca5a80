"""Rows that a disk has changed: noticed, kept aside, counted, and never delivered."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.outbox import Outbox, OutboxError, Report, read_status
from edge_agent.outbox.sqlite.aliases import MAX_SHAPES
from edge_agent.outbox.sqlite.checksums import is_sound, report_row
from edge_agent.outbox.sqlite.row_format import unpack
from telemetry.samples import Sample
from tests.servers import wait_until

T0 = 1_790_000_000_000
REPORTS, METRICS = 300, 4


def report(number: int) -> Report:
    return Report("d", tuple(Sample(f"m{i}", T0 + number, number + i / 8) for i in range(METRICS)))


def true_values(number: int) -> list[tuple[int, float]]:
    return [(T0 + number, number + i / 8) for i in range(METRICS)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outbox file with reports in it, nothing of it in the log."""
    path = tmp_path_factory.mktemp("whole") / "outbox.db"
    outbox = Outbox(path)
    outbox.put([report(i) for i in range(REPORTS)])
    outbox.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "outbox.db"))


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def delivered(outbox: Outbox) -> list[list[tuple[int, float | None]]]:
    found, after = [], 0
    while part := outbox.read(after, 100):
        found += [[(t, v) for _, t, v, _ in unpack(r)] for r in part]
        after = part[-1].batch
    return found


@pytest.mark.parametrize(
    "what",
    [
        "data = zeroblob(32)",
        "time_ms = time_ms + 1",
        "shape = shape + 1",
        "count = 3",
        "count = 'many'",
        "data = NULL",
        "time_ms = 'yesterday'",
    ],
)
def test_a_changed_row_is_kept_aside_and_counted(path: Path, what: str) -> None:
    lowest = read_status(path).ack_through + 1
    change(path, f"UPDATE report SET {what} WHERE batch = {lowest + 7}")
    outbox = Outbox(path)
    found = delivered(outbox)
    assert found[:7] == [true_values(i) for i in range(7)]
    assert found[7] == [], "its number stays, without samples: the cloud waits for each"
    assert found[8:] == [true_values(i) for i in range(8, REPORTS)]
    status = outbox.status()
    assert (status.damaged_rows, status.set_aside) == (1, 0)
    assert (status.evicted_total, status.depth_samples) == (METRICS, (REPORTS - 1) * METRICS)
    assert status.measured_total == REPORTS * METRICS
    assert delivered(outbox)[7] == []
    assert outbox.status().evicted_total == METRICS, "counted once"
    outbox.confirm(status.next_batch - 1, T0)
    wait_until(lambda: outbox.status().depth_samples == 0, what="nothing is left")
    outbox.close()
    assert read_status(path).damaged_rows == 1
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT batch FROM damaged").fetchall() == [(lowest + 7,)]
    connection.close()


def test_neighbouring_rows_may_be_damaged(path: Path) -> None:
    lowest = read_status(path).ack_through + 1
    change(path, f"UPDATE report SET data = zeroblob(32) WHERE batch < {lowest + 5}")
    outbox = Outbox(path)
    assert delivered(outbox) == [[]] * 5 + [true_values(i) for i in range(5, REPORTS)]
    assert outbox.status().evicted_total == 5 * METRICS
    outbox.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE state SET ack_through = ack_through + 100",
        "UPDATE alias SET name = 'm9' WHERE name = 'm2'",
        "UPDATE shape SET device = 'e'",
        "UPDATE report SET measured = 7 WHERE batch = (SELECT max(batch) FROM report)",
    ],
)
def test_where_numbers_or_names_were_changed_what_is_sure_goes_into_a_new_file(
    path: Path, statement: str
) -> None:
    change(path, statement)
    outbox = Outbox(path)
    assert outbox.status().set_aside == 1
    everything = [true_values(i) for i in range(REPORTS)]
    found = [r for r in delivered(outbox) if r]
    assert all(r in everything for r in found)
    status = outbox.status()
    assert status.depth_samples == len(found) * METRICS
    assert status.measured_total == status.depth_samples + status.evicted_total
    outbox.put([report(REPORTS)])
    assert delivered(outbox)[-1] == true_values(REPORTS)
    outbox.close()


@pytest.mark.parametrize("most_shapes_after", [0, MAX_SHAPES])
def test_recovered_samples_keep_their_names_where_each_carries_its_alias(
    most_shapes_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.outbox.sqlite.aliases.MAX_SHAPES", 0)
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    outbox.put([Report("d", (Sample("lost", T0, 7.0),))])
    outbox.put([report(i) for i in range(REPORTS)])
    outbox.close()
    change(path, "UPDATE alias SET name = 'other' WHERE name = 'lost'")
    monkeypatch.setattr("edge_agent.outbox.sqlite.aliases.MAX_SHAPES", most_shapes_after)
    again = Outbox(path)
    assert again.status().set_aside == 1
    assert delivered(again) == [true_values(i) for i in range(REPORTS)]
    metric = {alias: name for name, alias in again.aliases("d", ["m0", "m1", "m2", "m3"]).items()}
    rows = again.read(0, 100)
    names = [[metric.get(a) for a, *_ in unpack(r)] for r in rows]
    assert names == [["m0", "m1", "m2", "m3"]] * len(rows)
    assert again.status().evicted_total == 1, "the report whose metric is not known any more"
    again.close()


@pytest.mark.parametrize("word", [b"given_up_total", b"CREATE TABLE report"])
def test_a_file_whose_schema_a_disk_has_changed_is_replaced(path: Path, word: bytes) -> None:
    content = path.read_bytes()
    assert content.count(word) >= 1
    path.write_bytes(content.replace(word, word[:-1] + bytes((word[-1] ^ 1,)), 1))
    outbox = Outbox(path)
    wait_until(lambda: outbox.status().set_aside == 1, what="the file is replaced")
    outbox.put([report(REPORTS)])
    wait_until(lambda: true_values(REPORTS) in delivered(outbox), what="it goes on")
    assert all(r in [true_values(i) for i in range(REPORTS + 1)] for r in delivered(outbox) if r)
    outbox.close()


def test_whatever_bytes_a_disk_changes_no_wrong_sample_is_delivered(whole: Path) -> None:
    content = whole.read_bytes()
    everything = [true_values(i) for i in range(REPORTS)]
    source = random.Random(7)
    for turn in range(40):
        damaged = bytearray(content)
        for _ in range(source.choice((1, 5, 50))):
            damaged[source.randrange(100, len(damaged))] ^= 1 << source.randrange(8)
        path = whole.with_name(f"turn-{turn}") / "outbox.db"
        path.parent.mkdir()
        path.write_bytes(damaged)
        outbox = Outbox(path)
        found = delivered(outbox) and delivered(outbox)
        assert all(r in everything for r in found if r), turn
        outbox.put([report(REPORTS)])
        wait_until(lambda o=outbox: true_values(REPORTS) in delivered(o), what="it goes on")  # type: ignore[misc]
        outbox.close()


def test_a_file_of_the_first_version_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((Path(__file__).parent / "outbox_version_1.sql").read_text())
    connection.close()
    with pytest.raises(OutboxError, match="earlier version; the agent renews it"):
        read_status(path)
    outbox = Outbox(path)
    assert delivered(outbox) == [true_values(i) for i in range(3)]
    status = outbox.status()
    assert (status.depth_samples, status.damaged_rows, status.set_aside) == (3 * METRICS, 0, 0)
    outbox.put([report(3)])
    outbox.close()
    again = Outbox(path)
    assert delivered(again) == [true_values(i) for i in range(4)]
    again.close()


def test_rows_that_have_vanished_are_counted_once_everything_is_confirmed(path: Path) -> None:
    lowest = read_status(path).ack_through + 1
    change(path, f"DELETE FROM report WHERE batch BETWEEN {lowest + 10} AND {lowest + 19}")
    outbox = Outbox(path)
    assert len(delivered(outbox)) == REPORTS - 10
    outbox.confirm(outbox.status().next_batch - 1, T0)
    wait_until(lambda: outbox.status().depth_samples == 0, what="nothing is left")
    assert outbox.status().evicted_total == 10 * METRICS
    outbox.close()


numbers = st.integers(-(2**40), 2**40)


@given(numbers, numbers, numbers, numbers, numbers, st.none() | st.binary(max_size=40), st.data())
def test_any_changed_bit_of_a_row_is_noticed(
    batch: int, shape: int, time_ms: int, count: int, measured: int, data: bytes | None, more: st.DataObject
) -> None:  # fmt: skip
    row = list(report_row(batch, shape, time_ms, count, measured, data))
    assert is_sound(tuple(row))  # type: ignore[arg-type]  # cells by place
    place = more.draw(st.integers(0, 5 if data else 4))
    if place == 5:
        changed = bytearray(data or b"")
        changed[more.draw(st.integers(0, len(changed) - 1))] ^= 1 << more.draw(st.integers(0, 7))
        row[5] = bytes(changed)
    else:
        row[place] = (row[place] or 0) ^ (1 << more.draw(st.integers(0, 39)))  # type: ignore[operator]
    assert not is_sound(tuple(row))  # type: ignore[arg-type]  # cells by place


def test_texts_are_durable_together_with_the_reports_before_them(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    outbox.put([report(1)], {"window": "half"})
    outbox.put([], {"window": "whole", "other": "é"})
    outbox.close()
    again = Outbox(path)
    assert again.entries() == {"window": "whole", "other": "é"}
    again.close()
    change(path, "UPDATE kept SET value = 'hole' WHERE name = 'window'")
    last = Outbox(path)
    assert last.entries() == {"other": "é"}
    last.close()
