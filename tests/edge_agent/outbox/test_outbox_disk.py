"""The outbox on disks that are full, read-only or gone, on small file systems of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.outbox import Outbox, Report
from edge_agent.outbox.sqlite.row_format import unpack
from telemetry.samples import Sample
from tests.servers import wait_until

T0 = 1_790_000_000_000


def report(number: int, n: int = 20) -> Report:
    return Report("d", tuple(Sample(f"m{i}", T0 + number, float(i)) for i in range(n)))


def held(outbox: Outbox) -> list[int]:
    times, after = [], 0
    while part := outbox.read(after, 5000):
        times += [r.time_ms - T0 for r in part if r.count]
        after = part[-1].batch
    return times


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of fifteen megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=15m", "tmpfs", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_costs_the_oldest_and_never_the_newest(small_disk: Path) -> None:
    path = small_disk / "outbox.db"
    outbox = Outbox(path, 50_000_000)
    for k in range(12):
        outbox.put([report(k * 2000 + i, 80) for i in range(2000)])
    newest = 12 * 2000 - 1
    status = outbox.status()
    assert status.problem is None
    times = held(outbox)
    assert times[-1000:] == list(range(newest - 999, newest + 1))
    assert status.evicted_total > 0
    assert status.measured_total == 12 * 2000 * 80
    assert status.depth_samples == len(times) * 80
    assert status.measured_total == status.depth_samples + status.evicted_total
    outbox.close()
    again = Outbox(path, 100_000_000)
    assert held(again) == times
    again.close()


@pytest.mark.slow
def test_a_disk_filled_by_others_is_survived(small_disk: Path) -> None:
    outbox = Outbox(small_disk / "outbox.db", 100_000_000)
    outbox.put([report(i) for i in range(3000)])
    wait_until((small_disk / "outbox.db.reserve").exists, "a reserve is kept")
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))
    total = 3000
    for _ in range(50):
        outbox.put([report(total + i) for i in range(300)])
        total += 300
    status = outbox.status()
    assert status.problem is None
    times = held(outbox)
    assert times[-300:] == list(range(total - 300, total))
    assert status.evicted_total > 0
    assert status.measured_total == total * 20 == len(times) * 20 + status.evicted_total
    outbox.close()


def test_reports_are_sent_from_memory_while_the_disk_is_read_only(small_disk: Path) -> None:
    path = small_disk / "outbox.db"
    outbox = Outbox(path, 100_000_000)
    outbox.put([report(0)])
    with path.open("rb"):  # an open reader does not keep the disk from going read-only
        pass
    remounted = subprocess.run(
        ["mount", "-o", "remount,ro", str(small_disk)], capture_output=True, check=False
    )
    if remounted.returncode != 0:  # busy, as it is while files are open for writing
        outbox.close()
        remount(small_disk, "ro")
        outbox = Outbox(path, 100_000_000)
        assert held(outbox) == [0]
    outbox.put([report(1)])
    outbox.put([report(2)])
    assert outbox.status().problem is not None
    assert held(outbox) == [0, 1, 2]
    assert outbox.confirm(outbox.status().next_batch - 2, T0)
    wait_until(lambda: held(outbox) == [2], what="confirmed although the disk refuses")
    remount(small_disk, "rw")
    wait_until(lambda: outbox.status().problem is None, "the disk is used again")
    assert outbox.status().depth_samples == 20
    outbox.close()
    again = Outbox(path, 100_000_000)
    assert held(again) == [2]
    again.close()


WRITER = """
import os, sys
from pathlib import Path
from edge_agent.outbox import Outbox, Report
from edge_agent.outbox.sqlite.row_format import unpack
from telemetry.samples import Sample
outbox = Outbox(Path(sys.argv[1]))
for i in range(100):
    outbox.put([Report("d", (Sample("m0", 1_790_000_000_000 + i, 1.0),))])
print(outbox.numbers()[0], flush=True)
os._exit(9)
"""


@pytest.mark.parametrize("clean", [True, False])
def test_an_agent_that_starts_on_a_full_disk_gives_nothing_up(
    small_disk: Path, clean: bool
) -> None:
    path = small_disk / "outbox.db"
    if clean:
        outbox = Outbox(path)
        outbox.put([report(i, 1) for i in range(100)])
        lowest = outbox.numbers()[0]
        outbox.close()
    else:
        done = subprocess.run(
            [sys.executable, "-c", WRITER, str(path)], capture_output=True, text=True, check=False
        )
        lowest = int(done.stdout)
    for name in ("outbox.db.reserve", "outbox.db-shm"):
        (small_disk / name).unlink(missing_ok=True)
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    again = Outbox(path)
    again.put([report(1000, 1)])
    status = again.status()
    if status.ready:
        assert again.numbers()[0] == lowest
        assert status.depth_samples == 101
    ballast.unlink()
    wait_until(lambda: again.status().problem is None, "the disk is used again")
    assert again.numbers() == (lowest, lowest + 101)
    assert held(again) == [*range(100), 1000]
    assert again.status().evicted_total == 0
    again.close()


def test_memory_is_bounded_and_what_it_gives_up_is_counted(small_disk: Path) -> None:
    path = small_disk / "outbox.db"
    Outbox(path).close()
    remount(small_disk, "ro")
    outbox = Outbox(path, memory_samples=400)
    outbox.put([report(i) for i in range(50)])
    status = outbox.status()
    assert (status.depth_samples, status.evicted_total) == (400, 600)
    assert held(outbox) == list(range(30, 50))
    remount(small_disk, "rw")
    wait_until(lambda: outbox.status().problem is None, "the disk is used again")
    assert held(outbox) == list(range(30, 50))
    outbox.close()


def test_an_agent_starts_without_any_disk(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("a file where the folder should be")
    outbox = Outbox(blocker / "outbox.db")
    outbox.put([report(1)])
    assert outbox.status().problem is not None
    assert held(outbox) == [1]
    blocker.unlink()
    blocker.mkdir()
    wait_until(lambda: outbox.status().problem is None, "the disk is used at last")
    assert held(outbox) == [1]
    outbox.close()


def test_a_file_that_appears_late_gives_its_own_names_and_not_those_made_meanwhile(
    tmp_path: Path,
) -> None:
    before = Outbox(tmp_path / "before" / "outbox.db")
    before.put([Report("old", tuple(Sample(f"o{i}", T0, float(i)) for i in range(2)))])
    before.close()
    folder = tmp_path / "late"
    folder.write_text("a file where the folder should be")
    outbox = Outbox(folder / "outbox.db")
    outbox.put([Report("new", tuple(Sample(f"n{i}", T0 + 1, 10.0 + i) for i in range(2)))])
    made = outbox.status().numbering
    folder.unlink()
    (tmp_path / "before").rename(folder)
    wait_until(lambda: outbox.status().problem is None, "the disk is used at last")
    assert outbox.status().numbering > made, "a session must start again"
    names = {
        alias: (device, name)
        for device in ("old", "new")
        for name, alias in outbox.needed_metrics(device).items()
    }
    reported = [(names[a], t, v) for r in outbox.read(0, 100) for a, t, v, _ in unpack(r)]
    outbox.close()
    assert reported == [
        (("old", "o0"), T0, 0.0), (("old", "o1"), T0, 1.0),
        (("new", "n0"), T0 + 1, 10.0), (("new", "n1"), T0 + 1, 11.0),
    ]  # fmt: skip
