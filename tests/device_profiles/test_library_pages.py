"""What people see of the library: the commands, the table in the docs, the schema for editors."""

import json
import re
import struct
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from device_profiles import Profile, library, listing
from device_profiles.cli import app
from device_profiles.modbus import decode_metric
from telemetry.yaml_files import parse_yaml
from tests.device_profiles.golden import crc16

ROOT = Path(__file__).parents[2]
run = CliRunner().invoke


def _blocks(page: str, kind: str) -> list[str]:
    text = (ROOT / "device_profiles" / page).read_text(encoding="utf-8")
    return [textwrap.dedent(b) for b in re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)]


def test_the_device_of_the_readme_reads_as_the_readme_says() -> None:
    profile_text, frame_text = _blocks("README.md", "yaml")
    profile = parse_yaml(profile_text, "README.md", Profile)
    frame = YAML(typ="safe", pure=True).load(frame_text)
    reply = bytes.fromhex(frame["reply"])
    assert crc16(reply[:-2]) == reply[-2:]
    words = struct.unpack(">2H", reply[3:-2])
    found = {m.name: decode_metric(m, [w]) for m, w in zip(profile.metrics, words, strict=True)}
    assert found == frame["values"]


def test_the_protocol_of_the_readme_runs() -> None:
    (source,) = _blocks("streams/wires/README.md", "python")
    module: dict[str, Any] = {}
    exec(source, module)
    wire = module["WIRE"]
    frame = wire.encode({"pm10": 37})
    step = wire.scanner().scan(bytearray(frame), 0)
    assert step.values == {"pm10": 37}


def test_the_page_of_devices_is_current() -> None:
    written = (ROOT / "docs/devices.md").read_text(encoding="utf-8")
    assert written == listing.devices_page(), (
        "run: python -m device_profiles.listing docs/devices.md"
    )


def test_list_shows_every_profile_and_can_be_narrowed() -> None:
    everything = run(app, ["list"])
    assert everything.exit_code == 0
    assert all(i in everything.stdout for i in library.ids())
    water = run(app, ["list", "--domain", "water", "--json"])
    assert {p["domain"] for p in json.loads(water.stdout)} == {"water"}
    dusty = run(app, ["list", "--quantity", "pm2_5", "--json"])
    assert "plantower-pms5003" in {p["id"] for p in json.loads(dusty.stdout)}
    assert run(app, ["list", "--domain", "moon"]).exit_code == 1


@pytest.mark.parametrize("profile_id", library.ids())
def test_show_tells_a_technician_all_of_a_profile(profile_id: str) -> None:
    shown = run(app, ["show", profile_id])
    assert shown.exit_code == 0
    profile = library.load(profile_id)
    assert all(m.name in shown.stdout for m in profile.metrics)
    assert profile.source.strip()[:40] in shown.stdout


def test_show_of_an_unknown_profile_names_near_ones() -> None:
    shown = run(app, ["show", "plantower-pms5004"])
    assert shown.exit_code == 2
    assert "plantower-pms5003" in shown.output


def test_check_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    good = library.path("eastron-sdm120")
    text = good.read_text(encoding="utf-8").replace("unit: V,", "unit: volt,")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text, encoding="utf-8")
    assert run(app, ["check", str(good)]).exit_code == 0
    checked = run(app, ["check", str(good), str(wrong)])
    assert checked.exit_code == 2
    assert "wrong.yaml:9: metrics[0].unit: unknown unit" in checked.output
    assert run(app, ["check", str(tmp_path / "nowhere.yaml")]).exit_code == 2


def test_check_warns_of_what_is_allowed_but_odd(tmp_path: Path) -> None:
    text = library.path("eastron-sdm120").read_text(encoding="utf-8")
    odd = tmp_path / "odd.yaml"
    odd.write_text(
        text.replace("address: 0x0006", "address: 0x0001").replace(", valid: [45, 65]", ""),
        encoding="utf-8",
    )
    checked = run(app, ["check", str(odd)])
    assert checked.exit_code == 0
    assert "shares registers with 'voltage'" in checked.output
    assert "no valid range" in checked.output


def test_the_schema_for_editors_takes_the_library_and_refuses_a_slip() -> None:
    schema = json.loads(listing.json_schema())
    yaml = YAML(typ="safe", pure=True)
    for profile_id in library.ids()[::6]:
        jsonschema.validate(yaml.load(library.path(profile_id).read_text("utf-8")), schema)
    document = yaml.load(library.path("eastron-sdm120").read_text("utf-8"))
    document["metrics"][0]["adress"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)
