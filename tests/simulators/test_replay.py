"""Recordings, shown as if they were measured now."""

import asyncio
import gzip
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from device_profiles import load_profile
from simulators.devices.instrument import Instrument, WorldSource
from simulators.replay.recording import read_recording
from simulators.replay.source import ReplaySource
from simulators.signals.places import Place
from simulators.signals.world import World
from telemetry.yaml_files import YamlFileError

HERE = Path(__file__).parent / "recordings"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "anomaly"
START_MS = 1_773_075_600_000


def replayed(path: Path, column: str, **more: Any) -> Instrument:
    profile = load_profile("plantower-pms5003")
    columns = {"pm2_5": read_recording(path, [column], **more)[column]}
    world = WorldSource(World(1, START_MS / 1000), Place("p", 10.98, 106.65), profile)
    source = ReplaySource(columns, START_MS, world)
    return Instrument(profile, "g/pm", source, refresh_ms=60_000)


def test_a_recording_appears_with_its_own_gaps() -> None:
    device = replayed(HERE / "changping.csv", "PM2.5")
    hours = [device.readings(START_MS + h * 3_600_000)["pm2_5"] for h in range(48)]
    rows = [line.split(",") for line in (HERE / "changping.csv").read_text().splitlines()[1:49]]
    assert hours == [float(r[1]) if r[1] else None for r in rows]
    assert None in hours
    # between two recorded hours the last one holds
    assert device.readings(START_MS + 1_800_000)["pm2_5"] == hours[0]
    # the rest of the device is simulated
    assert device.readings(START_MS)["pm10"] is not None


def test_after_its_end_there_is_nothing_and_a_loop_begins_again() -> None:
    column = read_recording(HERE / "changping.csv", ["PM2.5"])["PM2.5"]
    assert np.isnan(column.at(column.time_ms[-1:] + 10 * 3_600_000)).all()
    profile = load_profile("plantower-pms5003")
    world = WorldSource(World(1, START_MS / 1000), Place("p", 10.98, 106.65), profile)
    looped = ReplaySource({"pm2_5": column}, START_MS, world, loop=True)
    length = int(column.time_ms[-1] - column.time_ms[0]) + column.step_ms
    at = np.array([START_MS, START_MS + length, START_MS + 2 * length])
    assert len(set(looped.values(profile.metric("pm2_5"), at).tolist())) == 1


def test_csv_gzip_parquet_and_exports_say_the_same(tmp_path: Path) -> None:
    source = HERE / "changping.csv"
    zipped, parquet, export = (tmp_path / n for n in ("c.csv.gz", "c.parquet", "export.parquet"))
    zipped.write_bytes(gzip.compress(source.read_bytes()))
    duckdb.sql(f"COPY (SELECT * FROM '{source}') TO '{parquet}'")
    duckdb.sql(
        f"COPY (SELECT 'g/pm/pm2_5' AS series, epoch_ms(timestamp) AS time_ms, "
        f"\"PM2.5\" AS value FROM '{source}') TO '{export}'"
    )
    ours = tmp_path / "ours.csv"
    rows = [line.split(",") for line in source.read_text().splitlines()[1:]]
    ours.write_text(
        "time,station,gateway,device,metric,quantity,unit,value,quality\r\n"
        + "".join(
            f"{t.replace(' ', 'T')}.000Z,s,g,pm,pm2_5,pm2_5,ug/m3,{v},1\r\n" for t, v, _ in rows
        )
        + "2013-06-25T20:00:00.000Z,s,g,pm,pm10,pm10,ug/m3,99.0,1\r\n"
    )
    wanted = read_recording(source, ["PM2.5"])["PM2.5"]
    for path, name in (
        (ours, "g/pm/pm2_5"),
        (zipped, "PM2.5"),
        (parquet, "PM2.5"),
        (export, "g/pm/pm2_5"),
    ):
        column = read_recording(path, [name])[name]
        assert (column.time_ms == wanted.time_ms).all()
        assert (column.value == wanted.value).all()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(YamlFileError, match="no such file"):
        read_recording(tmp_path / "none.csv", ["x"])
    with pytest.raises(YamlFileError, match=r"no column 'PM25'; it has .*PM2\.5"):
        read_recording(HERE / "changping.csv", ["PM25"])


def test_codes_for_failed_readings_are_gaps(tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text("timestamp,x\n2026-01-01 00:00,1\n2026-01-01 00:15,-9999\n2026-01-01 00:30,2\n")
    column = read_recording(file, ["x"], missing=[-9999])["x"]
    assert column.value.tolist() == [1.0, 2.0]
    assert np.diff(column.time_ms).tolist() == [1_800_000]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development data are not beside the checkout")
def test_the_development_data_can_be_replayed() -> None:
    column = read_recording(SHARED / "air_beijing" / "Changping.csv.gz", ["PM2.5"])["PM2.5"]
    assert len(column.time_ms) > 15_000
    assert column.step_ms == 3_600_000
    profile = load_profile("plantower-pms5003")
    world = WorldSource(World(1, START_MS / 1000), Place("p", 10.98, 106.65), profile)
    source = ReplaySource({"pm2_5": column}, START_MS, world)
    hours = START_MS + np.arange(17_520) * 3_600_000
    shown = source.values(profile.metric("pm2_5"), hours)
    assert np.isfinite(shown).sum() == len(column.time_ms)
    taxi = read_recording(SHARED / "nab" / "realKnownCause" / "nyc_taxi.csv", ["value"])["value"]
    assert len(taxi.time_ms) == 10_320


def test_a_device_whose_recording_has_a_gap_is_silent_on_the_wire(tmp_path: Path) -> None:
    from simulators.scenarios import load_scenario
    from simulators.scenarios.stations import stations_of
    from simulators.simulation import Simulation

    recording = tmp_path / "r.csv"
    recording.write_text(
        "timestamp,a\n2026-01-01 00:00,21.5\n2026-01-01 00:01,21.6\n2026-01-01 00:02,21.6\n2026-01-01 05:00,22\n"
    )
    file = tmp_path / "s.yaml"
    file.write_text(
        "scenario: r\ntitle: r\nstart: '2026-03-01T00:00+07:00'\nstations:\n"
        "  - id: s\n    name: S\n    latitude: 11\n    longitude: 106\n    gateway: g\n    buses:\n"
        "      - name: b\n        serial: {}\n        devices:\n"
        "          - {name: t, profile: ./t.yaml, replay: {file: ./r.csv, columns: {t: a}}}\n"
    )
    (tmp_path / "t.yaml").write_text(
        "id: t\nmanufacturer: A\nmodel: B\ndomain: weather\nprotocol: modbus\nsource: made up\nmetrics:\n"
        "  - {name: t, quantity: air_temperature, unit: Cel, address: 0, type: int16, scale: 0.1, valid: [-40, 80]}\n"
    )

    async def go() -> list[bytes | None]:
        scenario = load_scenario(file)
        simulation = Simulation(scenario, stations_of(scenario), tmp_path, {})
        unit = simulation.buses[0].port.units[1].unit
        start = simulation.clock.start_ms
        return [unit.answer(bytes.fromhex("03 0000 0001"), start + s * 1000) for s in (1, 61, 600)]

    assert asyncio.run(go()) == [bytes.fromhex("03 02 00d7"), bytes.fromhex("03 02 00d8"), None]
