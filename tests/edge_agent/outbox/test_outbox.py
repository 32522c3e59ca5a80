"""The outbox: durable, numbered without holes, bounded, and honest about what it gave up."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.outbox import Outbox, OutboxError, Report, StoredReport, read_status
from edge_agent.outbox.sqlite.row_format import Shape, pack, pack_free, split, unpack
from telemetry.quality import Flag
from telemetry.samples import Sample
from telemetry.time.clock import utc_now_ms
from tests.servers import wait_until

T0 = 1_790_000_000_000


def report(
    device: str | None = "noise", time_ms: int = T0, n: int = 3, value: float = 1.5
) -> Report:
    return Report(device, tuple(Sample(f"m{i}", time_ms, value + i) for i in range(n)))


def drain(outbox: Outbox) -> list[StoredReport]:
    reports, after = [], 0
    while part := outbox.read(after, 1000):
        reports += part
        after = part[-1].batch
    return reports


def acknowledge(outbox: Outbox, through: int) -> None:
    assert outbox.confirm(through, T0)
    wait_until(lambda: outbox.status().ack_through == through, what="acknowledged")


samples = st.lists(
    st.builds(
        Sample,
        st.sampled_from("abcdef"),
        st.integers(T0, T0 + 2**33),
        st.none() | st.floats(allow_nan=False),
        st.sampled_from(list(Flag)),
    ),
    min_size=1,
    max_size=30,
)


@given(samples)
@settings(max_examples=80, deadline=None)
def test_rows_give_back_what_they_were_made_of(given_samples: list[Sample]) -> None:
    numbers = {name: i + 1 for i, name in enumerate("abcdef")}
    plain, free = [], []
    for part in split(given_samples):
        base = part[0].time_ms
        named = Shape(1, "d", tuple(numbers[s.metric] for s in part))
        plain += unpack(StoredReport(1, named, base, len(part), pack(part)))
        free += unpack(
            StoredReport(1, Shape(2, "d", ()), base, len(part), pack_free(part, numbers))
        )
    wanted = [
        (numbers[s.metric], s.time_ms, s.value, s.flag)
        for s in sorted(given_samples, key=lambda s: s.time_ms)
    ]
    assert plain == free == wanted


def test_samples_of_one_time_cost_eight_bytes_each() -> None:
    assert len(pack(report(n=20).samples)) == 160


def test_reports_come_back_in_order_with_consecutive_numbers(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    for i in range(5):
        outbox.put([report("noise", T0 + i), report(None, T0 + i, 1)])
    rows = drain(outbox)
    first = rows[0].batch
    assert [r.batch for r in rows] == list(range(first, first + 10))
    assert [r.shape.device for r in rows] == ["noise", None] * 5
    alias = outbox.aliases("noise", ["m0", "m1", "m2"])
    assert [a for a, *_ in unpack(rows[0])] == [alias["m0"], alias["m1"], alias["m2"]]
    status = outbox.status()
    assert (status.depth_samples, status.measured_total, status.oldest_time_ms) == (20, 20, T0)
    assert outbox.numbers() == (first, first + 10)
    outbox.close()


def test_a_confirmed_report_is_forgotten_and_the_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    outbox.put([report(time_ms=T0 + i) for i in range(4)])
    first = drain(outbox)[0].batch
    acknowledge(outbox, first + 1)
    assert [r.batch for r in drain(outbox)] == [first + 2, first + 3]
    assert outbox.status().depth_samples == 6
    acknowledge(outbox, first + 3)
    outbox.close()
    again = Outbox(path)
    assert drain(again) == []
    status = again.status()
    assert (status.depth_samples, status.measured_total, status.next_batch) == (0, 12, first + 4)
    again.put([report()])
    assert drain(again)[0].batch == first + 4
    again.close()


def test_a_confirmation_of_what_was_never_sent_is_refused(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.put([report()])
    assert not outbox.confirm(outbox.status().next_batch, T0)
    assert len(drain(outbox)) == 1
    outbox.close()


def test_aliases_and_session_numbers_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    aliases = outbox.aliases("noise", ["laeq", "la10"])
    assert [outbox.next_bdseq() for _ in range(3)] == [0, 1, 2]
    outbox.close()
    again = Outbox(path)
    assert again.aliases("noise", ["la10", "laeq"]) == aliases
    assert again.aliases("pm", ["pm2_5"])["pm2_5"] not in aliases.values()
    assert again.next_bdseq() == 3
    for _ in range(252):
        again.next_bdseq()
    assert again.next_bdseq() == 0
    again.close()


def test_a_metric_that_is_no_longer_measured_stays_known_until_confirmed(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.put([report("old", n=1), report("new", n=2)])
    first = drain(outbox)[0].batch
    outbox.retire_all_but({"new": ["m0"]})
    assert outbox.devices() == {"old", "new"}
    assert set(outbox.needed_metrics("new")) == {"m0", "m1"}
    acknowledge(outbox, first + 1)
    assert outbox.devices() == {"new"}
    assert set(outbox.needed_metrics("new")) == {"m0"}
    outbox.close()


def test_two_agents_cannot_share_an_outbox(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    with pytest.raises(OutboxError, match="in use by another agent"):
        Outbox(tmp_path / "outbox.db")
    outbox.close()


def test_status_can_be_read_beside_a_running_agent(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with pytest.raises(OutboxError, match="no outbox"):
        read_status(path)
    outbox = Outbox(path)
    outbox.put([report(time_ms=T0 + i) for i in range(3)])
    status = read_status(path)
    assert (status.depth_samples, status.oldest_time_ms) == (9, T0)
    assert status.next_batch == outbox.status().next_batch
    outbox.close()


def test_a_report_of_thousands_of_samples_becomes_several(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.put([Report("d", tuple(Sample("m", T0 + i, float(i)) for i in range(2500)))])
    assert [r.count for r in drain(outbox)] == [1000, 1000, 500]
    outbox.close()


WRITER = """
import sys
from pathlib import Path
from edge_agent.outbox import Outbox, Report
from telemetry.samples import Sample
outbox = Outbox(Path(sys.argv[1]))
i = 0
while True:
    outbox.put([Report("d", (Sample("m", 1_790_000_000_000 + i, float(i)),))])
    print(i, flush=True)
    i += 1
    if i % 7 == 0:
        outbox.confirm(outbox.numbers()[1] - 4, 1)
"""


def test_what_was_put_is_there_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    last_next = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            printed = [child.stdout.readline() for _ in range(25)]
            os.kill(child.pid, signal.SIGKILL)
            printed += child.stdout.readlines()
        done = int([line for line in printed if line.endswith("\n")][-1])
        outbox = Outbox(path)
        rows = drain(outbox)
        values = [value for r in rows for _, _, value, _ in unpack(r)]
        assert values[-1] in (done, done + 1)
        numbers = [r.batch for r in rows]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        status = outbox.status()
        assert status.next_batch == numbers[-1] + 1 > last_next
        assert status.depth_samples == sum(r.count for r in rows)
        last_next = status.next_batch
        acknowledge(outbox, numbers[-1])
        outbox.close()


def test_a_damaged_file_is_kept_aside_and_the_agent_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    outbox.put([report()])
    outbox.close()
    path.write_bytes(b"this is no database" * 1000)
    again = Outbox(path)
    assert again.status().set_aside == 1
    kept = [p for p in tmp_path.iterdir() if "damaged" in p.name]
    assert len(kept) == 1
    assert kept[0].read_bytes().startswith(b"this is no database")
    again.put([report(time_ms=T0 + 5)])
    assert len(drain(again)) == 1
    again.close()


def test_what_can_be_read_of_a_damaged_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    outbox.put([report("d", T0 + i, 40) for i in range(3000)])
    before = outbox.status()
    outbox.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("PRAGMA page_count").fetchone()[0] // 2
    connection.close()
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(os.urandom(4096 * 3))
    again = Outbox(path)
    rows = drain(again)
    wait_until(lambda: again.status().set_aside == 1, what="the damaged file is kept aside")
    rows = drain(again)
    assert 0.5 * before.depth_samples < sum(r.count for r in rows) < before.depth_samples
    status = again.status()
    assert status.depth_samples == sum(r.count for r in rows)
    assert status.evicted_total == before.depth_samples - status.depth_samples
    assert status.measured_total == before.measured_total
    numbers = [r.batch for r in rows]
    assert numbers == list(range(before.next_batch, before.next_batch + len(rows)))
    times = {t for r in rows for _, t, _, _ in unpack(r)}
    assert times <= {T0 + i for i in range(3000)}
    again.close()


@pytest.mark.slow
def test_when_full_the_oldest_is_evicted_and_counted(tmp_path: Path) -> None:
    limit = 10_000_000
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, limit)
    count = 0
    for _ in range(20):
        outbox.put([report("d", T0 + (count + i) * 1000, 20) for i in range(2500)])
        count += 2500
    on_disk = sum(p.stat().st_size for p in tmp_path.iterdir())
    assert on_disk <= limit
    rows = drain(outbox)
    numbers = [r.batch for r in rows]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    held = [r for r in rows if r.count]
    assert [r.time_ms for r in rows[-1000:]] == [T0 + i * 1000 for i in range(49_000, 50_000)]
    status = outbox.status()
    assert status.problem is None
    assert status.measured_total == 50_000 * 20
    assert status.depth_samples == sum(r.count for r in held)
    assert status.evicted_total == status.measured_total - status.depth_samples
    oldest = [r.time_ms for r in held[:100]]
    assert oldest[-1] - oldest[0] > 120 * 1000  # sparse, but still there
    outbox.close()
    again = Outbox(path, limit)
    assert again.status().depth_samples == status.depth_samples
    again.close()


def test_samples_older_than_the_age_limit_are_evicted(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_age_s=3600)
    now = utc_now_ms()
    outbox.put([report(time_ms=now - 7_200_000 + i) for i in range(50)])
    outbox.put([report(time_ms=now)])
    wait_until(lambda: outbox.status().depth_samples == 3, "old samples are evicted")
    assert outbox.status().evicted_total == 150
    outbox.close()
