"""Exports and imports keep every name and value, in bounded memory."""

import csv
import io
import math
import tracemalloc
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.stores.embedded.store import EmbeddedStore
from cloud_ingest.stores.protocol import SampleColumns
from cloud_ingest.transfer.export import export
from cloud_ingest.transfer.importing import rows_of
from cloud_ingest.transfer.line_protocol import read_lines
from cloud_ingest.transfer.rows import RowError
from cloud_ingest.transfer.selection import Selection
from cloud_ingest.transfer.table_files import read_parquet, write_excel, write_parquet
from cloud_ingest.transfer.text_files import csv_of, lines_of, read_csv
from telemetry.batches import SampleBatch
from telemetry.line_protocol import parse_line
from telemetry.series import Series, SeriesKey
from telemetry.time.iso_time import parse_time_ms
from tests.cloud_ingest.stores.test_conformance import NASTY

T0 = 1_767_225_600_000
HOUR, DAY = 3_600_000, 86_400_000
VALUES = [1.5, math.nan, -0.1, 1e-300, 123456789.123456789]
SERIES = [
    Series(i, SeriesKey(n, f"d {n}", f"m {n}"), "g", f"s {n}", f"q {n}", "1")
    for i, n in enumerate([*NASTY, '"', "a,b;c\td"])
]


def everything() -> list[tuple[Series, SampleColumns]]:
    n = len(VALUES)
    flags = np.array([1, 9, 3, 4, 2], np.uint8)
    return [(s, SampleColumns(T0 + np.arange(n) * 1001, np.array(VALUES), flags)) for s in SERIES]


def expected() -> list[tuple]:
    return [
        (s.key, s.station, s.quantity, t, None if math.isnan(v) else v, q)
        for s, r in everything()
        for t, v, q in zip(r.time_ms.tolist(), r.value.tolist(), r.quality.tolist(), strict=True)
    ]


def as_tuples(rows) -> list[tuple]:
    return [
        (
            r.series.key,
            r.series.station,
            r.series.quantity,
            r.time_ms,
            None if math.isnan(r.value) else r.value,
            r.quality,
        )
        for r in rows
    ]


@pytest.mark.parametrize("mark", [False, True])
def test_csv_comes_back_as_it_went(tmp_path: Path, mark: bool) -> None:
    path = tmp_path / "all.csv"
    path.write_bytes(b"".join(csv_of(everything(), mark)))
    with rows_of(path, "csv") as rows:
        assert as_tuples(rows) == expected()


def test_csv_is_as_other_programs_read_it() -> None:
    text = b"".join(csv_of(everything())).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [r["gateway"] for r in rows[:: len(VALUES)]] == [s.key.gateway for s in SERIES]
    assert rows[0]["time"] == "2026-01-01T00:00:00.000Z"
    assert rows[1]["value"] == ""


def test_parquet_comes_back_as_it_went(tmp_path: Path) -> None:
    path = tmp_path / "it's all.parquet"
    assert write_parquet(everything(), path) == len(expected())
    assert as_tuples(read_parquet(path)) == expected()
    assert list(tmp_path.iterdir()) == [path]


def test_line_protocol_comes_back_as_it_went() -> None:
    text = b"".join(lines_of(everything())).decode()
    assert as_tuples(read_lines(io.StringIO(text, newline=""))) == expected()


def test_excel_shows_every_name_and_value(tmp_path: Path) -> None:
    path = tmp_path / "all.xlsx"
    visible = [(s, r) for s, r in everything() if "\x00" not in s.key.gateway]
    write_excel(visible, path)
    [header, *rows] = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    assert header[0] == "time (UTC)"
    names = [r[2] for r in rows[:: len(VALUES)]]
    assert [n.replace("_x000D_", "\r") for n in names] == [s.key.gateway for s, _ in visible]
    assert [r[7] for r in rows[:5]] == [1.5, None, -0.1, 1e-300, 123456789.1234568]  # 16 digits
    assert rows[1][0].isoformat() == "2026-01-01T00:00:01.001000"


def test_excel_goes_on_in_a_new_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_ingest.transfer.table_files.SHEET_ROWS", 31)
    write_excel(everything(), tmp_path / "all.xlsx")
    book = openpyxl.load_workbook(tmp_path / "all.xlsx")
    assert len(book.sheetnames) == math.ceil(len(expected()) / 30)
    assert sum(s.max_row - 1 for s in book.worksheets) == len(expected())


def test_an_export_of_a_store_takes_the_selection_only(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    a, b = SERIES[0], SERIES[4]
    n = 3 * 24
    for s in (a, b):
        store.write(
            SampleBatch.of([s.index] * n, [T0 + i * HOUR for i in range(n)], range(n), [1] * n)
        )
    text = b"".join(export(store, Selection([b], T0 + HOUR, T0 + 3 * HOUR), "csv")).decode()
    assert [r[7] for r in csv.reader(io.StringIO(text, newline=""))] == ["value", "1.0", "2.0"]
    daily = b"".join(export(store, Selection([a], T0, T0 + 9 * DAY, DAY, "max"), "lines")).decode()
    assert [parse_line(x).fields["value"] for x in daily.splitlines()] == [23.0, 47.0, 71.0]
    assert b"".join(export(store, Selection([a], T0, T0 + DAY), "parquet"))[:4] == b"PAR1"
    store.close()


def test_memory_stays_flat_however_long_the_export_is(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    n = 200_000
    store.write(
        SampleBatch.of(np.zeros(n), T0 + np.arange(n) * 1000, np.arange(n) / 10, np.ones(n))
    )
    store.flush()

    def peak(form: str, end: int) -> float:
        tracemalloc.start()
        size = sum(len(b) for b in export(store, Selection([SERIES[0]], T0, end), form))  # type: ignore[arg-type]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > 1000
        return most / 1e6

    short, long = peak("csv", T0 + 30_000_000), peak("csv", T0 + n * 1000)
    assert long < short * 5
    assert long < 60
    store.close()


@given(st.datetimes())
def test_times_are_read_to_the_millisecond(moment) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    shown = np.datetime64(moment, "ms")
    assert parse_time_ms(str(shown) + "Z") == int(shown.astype(np.int64))


def test_line_protocol_of_others_is_understood() -> None:
    text = [
        "# a comment\n",
        "\n",
        'weather,host=roof\\ 1,place=a temperature=21.5,humidity=40i,text="a b,c=d \\" e",ok=true 1767225600\n',
        "pm2_5,gateway=g,device=d value=7 1767225601\n",
    ]
    rows = list(read_lines(text, "s"))
    assert [(str(r.series.key), r.series.quantity, r.value) for r in rows] == [
        ("roof 1/weather/temperature", "unknown", 21.5),
        ("roof 1/weather/humidity", "unknown", 40.0),
        ("roof 1/weather/ok", "unknown", 1.0),
        ("g/d/value", "pm2_5", 7.0),
    ]
    assert rows[0].time_ms == T0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (["a v=1 5", "b 5"], 2),
        (["a v=1"], 1),
        (['a v="x 5'], 1),
        (["a v=x 5"], 1),
        (["a v=1 five"], 1),
        (["a,t v=1 5"], 1),
    ],
)
def test_a_bad_line_is_named(text: list[str], line: int) -> None:
    with pytest.raises(RowError) as caught:
        list(read_lines(text))
    assert caught.value.line == line


def test_a_bad_csv_row_is_named() -> None:
    good = "time,gateway,device,metric,value\r\n2026-01-01,g,d,m,1\r\n"
    assert len(list(read_csv(io.StringIO(good)))) == 1
    for bad, line in (
        (good + "soon,g,d,m,1\r\n", 3),
        (good + "2026-01-01,g\r\n", 3),
        ("a,b\r\n", 1),
    ):
        with pytest.raises(RowError) as caught:
            list(read_csv(io.StringIO(bad)))
        assert caught.value.line == line
