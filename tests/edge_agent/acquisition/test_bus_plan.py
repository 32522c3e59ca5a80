"""The bus plan: reads, seconds of the wire, utilisation, and what would fit."""

from pathlib import Path

import pytest

from device_profiles.registers import Table
from edge_agent.acquisition.bus_plan import plan_bus, round_up_ms
from edge_agent.acquisition.modbus.read_plan import Read
from edge_agent.acquisition.modbus.timing import LineTiming
from edge_agent.configuration import load_gateway
from edge_agent.devices import Bus, resolve

HEAD = (
    "gateway: g\ngroup: g\nstation: {id: s, name: S, latitude: 10, longitude: 106}\n"
    "broker: {url: mqtt://127.0.0.1:1}\nbuses:\n"
)


def line(folder: Path, *devices: str, baudrate: int = 9600) -> Bus:
    rows = "".join(f"      - {{{d}}}\n" for d in devices)
    text = f"{HEAD}  - name: b\n    serial: {{port: /dev/x, baudrate: {baudrate}}}\n    devices:\n{rows}"
    path = folder / "gateway.yaml"
    path.write_text(text)
    return resolve(load_gateway(path, {}), path)[0]


def test_the_wire_time_of_a_read_is_that_of_its_frames_and_silences() -> None:
    twenty = Read(Table.HOLDING, 0, 20, ())
    slow, fast = LineTiming(9600), LineTiming(115200)
    assert slow.read_s(twenty) == pytest.approx((8 + 45 + 7) * 10 / 9600)
    assert fast.read_s(twenty) == pytest.approx(53 * 10 / 115200 + 2 * 0.00175)
    assert LineTiming.of(9600, 8, "E", 1).bits == 11


def test_the_shares_of_all_devices_add_up(tmp_path: Path) -> None:
    plan = plan_bus(
        line(
            tmp_path,
            "name: a, profile: eastron-sdm120, unit: 1, interval: 1s",
            "name: b, profile: eastron-sdm120, unit: 2, interval: 2s",
        )
    )
    a, b = plan.devices
    assert a.wire_s == b.wire_s
    assert plan.utilisation == pytest.approx(a.wire_s + b.wire_s / 2)
    assert plan.fits


def test_what_is_offered_instead_of_an_impossible_plan_does_fit(tmp_path: Path) -> None:
    devices = [f"name: m{i}, profile: eastron-sdm120, unit: {i}, interval: 1s" for i in range(1, 9)]
    plan = plan_bus(line(tmp_path, *devices))
    assert not plan.fits
    text = plan.refusal()
    assert "bus 'b' (9600 baud): the readings need 123% of the wire's time" in text
    assert "m1: 2 reads, 153.5 ms of every 1 s = 15%" in text
    longer = [d.replace("interval: 1s", "interval: 1300ms") for d in devices]
    assert "intervals of 1.3s for m1" in text
    assert plan_bus(line(tmp_path, *longer)).fits
    assert "19200 baud with the intervals as they are" in text
    assert plan_bus(line(tmp_path, *devices, baudrate=19200)).fits


@pytest.mark.parametrize(
    ("wanted", "rounded"), [(1000, 1000), (1001, 1100), (1295, 1300), (15, 15), (61234, 62000)]
)
def test_intervals_are_rounded_up_to_what_a_person_would_write(wanted: float, rounded: int) -> None:
    assert round_up_ms(wanted) == rounded
