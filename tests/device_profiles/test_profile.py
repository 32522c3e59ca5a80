"""Profile files: what is taken, and what is refused with file, line and field."""

import random
import re
from pathlib import Path

import pytest

from device_profiles import Profile, ProfileNotFound, library, load_profile
from telemetry.yaml_files import FileProblem, YamlFileError, parse_yaml

HEAD = """\
id: example-weather
manufacturer: Example
model: W1
domain: weather
protocol: modbus
serial: {baudrate: 9600, parity: N, stopbits: 1}
unit: 1
limits: {max_registers: 60, gap: 8, turnaround: 20ms}
source: invented
metrics:
"""
GOOD = (
    "  - {name: temperature, quantity: air_temperature, unit: Cel, table: holding, address: 0, "
    "type: int16, scale: 0.1, valid: [-40, 80]}\n"
)


def _profile(metrics: str, head: str = HEAD) -> Profile:
    return parse_yaml(head + metrics, "w1.yaml", Profile)


def test_the_example_of_the_contract_is_taken() -> None:
    profile = _profile(
        GOOD + "  - {name: rain, quantity: precipitation, unit: mm, table: input, address: 4, "
        "type: uint32, word_order: little, scale: 0.01, valid: [0, 10000]}\n"
        "identify: []\nverified: false\n"
    )
    assert profile.limits.turnaround_ms == 20
    assert profile.metrics[1].register_count == 2
    assert not profile.is_stream


REFUSED = {
    "an unknown unit": ("{name: t, quantity: air_temperature, unit: degC, address: 0, type: int16}", "unit", "unknown unit"),
    "a unit of another dimension": ("{name: t, quantity: air_temperature, unit: hPa, address: 0, type: int16}", "unit", "temperature (Cel)"),
    "parts per billion for a mass concentration": ("{name: n, quantity: no2, unit: '[ppb]', address: 0, type: int16}", "unit", "1.8804"),
    "an unknown quantity": ("{name: t, quantity: air_temperatur, unit: Cel, address: 0, type: int16}", "quantity", "'air_temperature'"),
    "a range upside down": ("{name: t, quantity: air_temperature, unit: Cel, address: 0, type: int16, valid: [80, -40]}", "valid", "impossible range"),
    "a range of one point": ("{name: t, quantity: air_temperature, unit: Cel, address: 0, type: int16, valid: [5, 5]}", "valid", "impossible range"),
    "a range below absolute zero": ("{name: t, quantity: air_temperature, unit: Cel, address: 0, type: int16, valid: [-300, 80]}", "valid", "absolute zero"),
    "a range that the type cannot reach": ("{name: t, quantity: air_temperature, unit: Cel, address: 0, type: uint16, scale: 0.1, valid: [-40, -1]}", "valid", "impossible range"),
    "a range that is not finite": ("{name: t, quantity: air_temperature, unit: Cel, address: 0, type: int16, valid: [-.inf, 80]}", "valid", "finite"),
    "an address over 65535": ("{name: t, quantity: air_temperature, unit: Cel, address: 70000, type: int16}", "address", "65535"),
    "a value that ends after the last register": ("{name: t, quantity: air_temperature, unit: Cel, address: 65535, type: float32}", "address", "65536"),
    "no address": ("{name: t, quantity: air_temperature, unit: Cel, type: int16}", "address", "is missing"),
    "no type": ("{name: t, quantity: air_temperature, unit: Cel, address: 3}", "type", "is missing"),
    "an unknown type": ("{name: t, quantity: air_temperature, unit: Cel, address: 0, type: int17}", "type", "int16"),
    "a number type in a table of bits": ("{name: t, quantity: status, unit: '1', table: coil, address: 0, type: int16}", "type", "bool"),
    "an unknown field": ("{name: t, quantity: air_temperature, unit: Cel, adress: 0, type: int16}", "adress", "did you mean 'address'"),
    "bits of a signed number": ("{name: t, quantity: status, unit: '1', address: 0, type: int16, bits: 3}", "bits", "uint16"),
    "a bit that the register does not have": ("{name: t, quantity: status, unit: '1', address: 0, type: uint16, bits: 16}", "bits", "0 to 15"),
    "named bit fields that overlap": ("{name: t, quantity: status, unit: '1', address: 0, type: uint16, bits: {fault: [0, 3], mode: [3, 5]}}", "bits", "overlap"),
    "a missing value that cannot occur": ("{name: t, quantity: air_temperature, unit: Cel, address: 0, type: int16, missing: [65535]}", "missing", "cannot occur"),
    "a code that cannot occur": ("{name: t, quantity: status, unit: '1', address: 0, type: uint16, bits: [0, 1], enum: {4: odd}}", "enum", "cannot occur"),
    "a scale of nothing": ("{name: t, quantity: air_temperature, unit: Cel, address: 0, type: int16, scale: 0}", "scale", "every value 0"),
    "a reserved name": ("{name: Store/Batch, quantity: air_temperature, unit: Cel, address: 0, type: int16}", "name", "reserved"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_metric_is_refused_with_file_line_and_field(what: str) -> None:
    metric, field, says = REFUSED[what]
    with pytest.raises(YamlFileError) as error:
        _profile(GOOD + f"  - {metric}\n")
    problem = error.value.problems[0]
    assert (problem.file, problem.line) == ("w1.yaml", 12)
    assert problem.field.startswith(f"metrics[1].{field}")
    assert says in problem.message


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(YamlFileError) as error:
        _profile(GOOD + GOOD.replace("address: 0", "address: 1"))
    assert str(error.value) == ("w1.yaml:12: metrics[1].name: two metrics are called 'temperature'")


def test_bit_fields_of_two_metrics_that_overlap_are_refused() -> None:
    word = "quantity: status, unit: '1', address: 7, type: uint16"
    with pytest.raises(YamlFileError) as error:
        _profile(
            GOOD + f"  - {{name: mode, {word}, bits: [0, 2]}}\n"
            f"  - {{name: fault, {word}, bits: 3}}\n  - {{name: pump, {word}, bits: '2-3'}}\n"
        )
    assert [(p.line, p.field) for p in error.value.problems] == [
        (14, "metrics[3].bits"),
        (14, "metrics[3].bits"),
    ]
    assert "overlap with bits 0-2 of 'mode'" in str(error.value)


def test_every_problem_of_a_file_is_told_at_once() -> None:
    with pytest.raises(YamlFileError) as error:
        _profile("  - {name: t, quantity: nothing, unit: Cel, address: -1, type: int16}\n")
    assert [p.field for p in error.value.problems] == ["metrics[0].address", "metrics[0].quantity"]


def test_a_stream_has_no_registers_and_knows_its_fields() -> None:
    head = HEAD.replace("protocol: modbus", "protocol: plantower")
    with pytest.raises(YamlFileError) as error:
        _profile("  - {name: pm2_5, quantity: pm2_5, unit: ug/m3, address: 0}\n", head)
    assert "metrics[0].address: belongs to Modbus" in str(error.value)
    with pytest.raises(YamlFileError) as error:
        _profile("  - {name: dust, quantity: pm2_5, unit: ug/m3, field: pm25}\n", head)
    assert "metrics[0].field: plantower has no value 'pm25'" in str(error.value)
    with pytest.raises(YamlFileError) as error:
        _profile("  - {name: pm2_5, quantity: pm2_5, unit: mg/m3}\n", head)
    assert "metrics[0].unit: the decoder gives 'pm2_5' in ug/m3" in str(error.value)


def test_an_unknown_protocol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(YamlFileError, match="'plantower'"):
        _profile(GOOD, HEAD.replace("protocol: modbus", "protocol: plantwer"))


def test_a_profile_is_found_by_id_or_by_its_path(tmp_path: Path) -> None:
    assert load_profile("eastron-sdm120") is library.load("eastron-sdm120")
    (tmp_path / "mine.yaml").write_text(HEAD + GOOD, encoding="utf-8")
    assert load_profile("mine.yaml", tmp_path).id == "example-weather"
    assert load_profile("./mine.yaml", tmp_path).id == "example-weather"


def test_a_profile_that_does_not_exist_has_near_ones() -> None:
    with pytest.raises(ProfileNotFound) as error:
        load_profile("eastron-sdm12")
    assert "eastron-sdm120" in error.value.similar
    with pytest.raises(ProfileNotFound):
        load_profile("./nowhere.yaml")


def test_values_reach_the_canonical_unit() -> None:
    metric = library.load("seeed-sensecap-one").metric("pressure")
    assert metric.canonical_unit == "hPa"
    assert metric.to_canonical(101325) == pytest.approx(1013.25)
    assert metric.from_canonical(1013.25) == pytest.approx(101325)
    assert metric.valid_canonical == pytest.approx((300, 1250))


@pytest.mark.parametrize("profile_id", library.ids())
def test_every_profile_of_the_library_stands_where_its_id_says(profile_id: str) -> None:
    profile, path = library.load(profile_id), library.path(profile_id)
    assert profile.id == profile_id == path.stem
    assert path.parent.name == profile.domain
    assert profile.source.strip()


SPOILT = (
    "",
    "-1",
    "70000",
    "1.5",
    "[]",
    "{}",
    "null",
    "true",
    ".nan",
    ".inf",
    "abc",
    "'",
    "0xFFFF",
    "[1, 2, 3]",
)


def _spoil(text: str, rng: random.Random) -> str:
    """The file with a line gone, doubled or indented, or with a value changed."""
    lines = text.splitlines()
    position = rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[position]
        case 1:
            lines.insert(position, lines[rng.randrange(len(lines))])
        case 2:
            lines[position] = " " * rng.randint(1, 3) + lines[position]
        case 3:
            values = list(re.finditer(r"(?<=: )[^,{}\[\]]+", lines[position]))
            if values:
                start, end = rng.choice(values).span()
                lines[position] = (
                    lines[position][:start] + rng.choice(SPOILT) + lines[position][end:]
                )
    return "\n".join(lines)


def _problems(text: str) -> list[FileProblem]:
    try:
        parse_yaml(text, "spoilt.yaml", Profile)
    except YamlFileError as error:
        return error.problems
    return []


def test_a_spoilt_file_is_refused_with_its_line_or_still_good() -> None:
    rng = random.Random(7)
    texts = [library.path(i).read_text(encoding="utf-8") for i in library.ids()[::4]]
    found = [_problems(_spoil(rng.choice(texts), rng)) for _ in range(400)]
    assert sum(bool(problems) for problems in found) > 100
    assert all(p.line >= 1 and p.message for problems in found for p in problems)
