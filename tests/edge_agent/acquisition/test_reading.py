"""What one read gave: columns that look like samples and go into the outbox in one piece."""

import struct
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.acquisition.reading import Reading
from edge_agent.outbox import Outbox, Report
from edge_agent.outbox.sqlite.row_format import unpack
from telemetry.quality import Flag
from telemetry.samples import Sample

T0 = 1_790_000_000_000
values = st.lists(st.none() | st.floats(), min_size=1, max_size=12)


@given(values)
def test_a_reading_looks_like_its_samples(given_values: list[float | None]) -> None:
    names = tuple(f"m{i}" for i in range(len(given_values)))
    reading = Reading(names, T0, given_values)
    flags = [Flag.MISSING if v is None else Flag.NOT_EVALUATED for v in given_values]
    samples = [Sample(*s) for s in zip(names, [T0] * len(names), given_values, flags, strict=True)]
    assert repr(list(reading)) == repr(samples)
    assert len(reading) == len(samples)
    assert repr(reading[-1]) == repr(samples[-1])
    assert repr(list(reading[1:])) == repr(samples[1:])


@given(values)
def test_only_what_misses_nothing_is_packed(given_values: list[float | None]) -> None:
    data = Reading(tuple("m" * len(given_values)), T0, given_values).packed()
    if data is not None:
        assert data == struct.pack(f"<{len(given_values)}d", *given_values)
        assert all(v is not None and v == v for v in given_values)  # NaN
    elif all(v is not None and abs(v) < 1e300 for v in given_values):
        raise AssertionError("whole readings go in one piece")


@given(st.lists(values, min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_the_outbox_keeps_a_reading_as_it_keeps_its_samples(
    tmp_path_factory: object, rows: list[list[float | None]]
) -> None:
    folder = Path(tmp_path_factory.mktemp("outbox"))  # type: ignore[attr-defined]
    outbox = Outbox(folder / "outbox.db")
    try:
        for row in rows:
            reading = Reading(tuple(f"m{i}" for i in range(len(row))), T0, row)
            outbox.put([Report("d", reading), Report("d", tuple(reading))])
        stored = outbox.read(0, 10_000)
        assert len(stored) == 2 * len(rows)
        for one, other in zip(stored[::2], stored[1::2], strict=True):
            assert one.shape == other.shape
            assert repr(list(unpack(one))) == repr(list(unpack(other)))
            assert one.data == other.data or any(flag == Flag.MISSING for *_, flag in unpack(one))
    finally:
        outbox.close()
