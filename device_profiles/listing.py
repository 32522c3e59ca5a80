"""The device library as text: the list, one profile, the page docs/devices.md."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_profiles import library
from device_profiles.metric import Metric
from device_profiles.profile import MODBUS, Profile
from device_profiles.streams import registry
from telemetry.quantities import QUANTITIES
from telemetry.time.durations import format_duration
from telemetry.units import UNITS
from telemetry.yaml_files import (
    FileProblem,
    YamlFileError,
    line_of,
    parse_yaml_tree,
    read_yaml_file,
)

_DOMAINS = ("air", "weather", "noise", "water", "industry", "traffic", "power", "soil")


@dataclass(frozen=True, slots=True)
class ProfileCheck:
    """Errors (``problems``) and warnings of a profile file."""

    file: Path
    profile: Profile | None
    problems: tuple[FileProblem, ...] = ()
    warnings: tuple[FileProblem, ...] = ()

    def __str__(self) -> str:
        if self.profile is None:
            return "\n".join(str(p) for p in self.problems)
        warnings = [f"warning: {w}" for w in self.warnings]
        valid = f"{self.file}: valid: {self.profile.id}, {len(self.profile.metrics)} metrics"
        return "\n".join([*warnings, valid])


def check(file: Path) -> ProfileCheck:
    """Check one profile file for errors and warnings."""
    try:
        profile = read_yaml_file(file, Profile)
    except YamlFileError as error:
        return ProfileCheck(file, None, tuple(error.problems))
    tree = parse_yaml_tree(file.read_text(encoding="utf-8"), str(file))
    warnings = [
        FileProblem(str(file), line_of(tree, path), ".".join(str(p) for p in path), message)
        for path, message in profile.warnings()
    ]
    return ProfileCheck(file, profile, (), tuple(warnings))


def summary(profile: Profile) -> dict[str, Any]:
    """The fields by which a profile is chosen, for JSON."""
    return {
        "id": profile.id,
        "manufacturer": profile.manufacturer,
        "model": profile.model,
        "domain": profile.domain,
        "protocol": profile.protocol,
        "quantities": sorted({m.quantity for m in profile.metrics}),
        "verified": profile.verified,
    }


def listing(profiles: Iterable[Profile]) -> str:
    """A table with one line for each profile."""
    rows = [("ID", "DOMAIN", "PROTOCOL", "VERIFIED", "MEASURES")]
    rows += [
        (p.id, p.domain, p.protocol, "yes" if p.verified else "no", _quantities(p))
        for p in profiles
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row[:4], widths, strict=True)), row[4]])
        for row in rows
    )


def description(profile: Profile) -> str:
    """All details of a profile."""
    lines = [
        f"{profile.id}: {profile.manufacturer} {profile.model} ({profile.domain})",
        f"  verified: {'yes' if profile.verified else 'no, see source and notes'}",
        f"  connection: {connection(profile)}",
    ]
    if profile.is_stream:
        lines += _stream_lines(profile)
    else:
        limits = profile.limits
        lines.append(
            f"  reads: at most {limits.max_registers} registers, gaps of up to {limits.gap}, "
            f"rest {format_duration(limits.turnaround_ms)}"
        )
    lines.append("  metrics:")
    rows = [_metric_cells(profile, m) for m in profile.metrics]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        cells = [c.ljust(w) for c, w in zip(row[:3], widths, strict=True)]
        lines.append(("    " + "  ".join([*cells, row[3]])).rstrip())
    lines.append(f"  source: {profile.source.strip()}")
    if profile.notes:
        lines.append(f"  notes: {profile.notes.strip()}")
    return "\n".join(lines)


def connection(profile: Profile) -> str:
    """The protocol and the serial settings, such as ``Modbus unit 1, 9600 8N1``."""
    serial = profile.serial
    line = f"{serial.baudrate} {serial.bytesize}{serial.parity}{serial.stopbits}"
    if profile.protocol == MODBUS:
        return f"Modbus unit {profile.unit}, {line}"
    return f"{profile.protocol}, {line}"


def devices_page() -> str:
    """The text of docs/devices.md."""
    profiles = [library.load(i) for i in library.ids()]
    verified = sum(p.verified for p in profiles)
    lines = [
        "# Devices",
        "",
        "<!-- Made by `python -m device_profiles.listing docs/devices.md`; do not edit by hand. -->",
        "",
        (
            f"Quantrac knows {len(profiles)} models; {verified} of them are *verified*: a real frame or "
            "a document of the vendor backs what is read. The others come from public code or "
            "second-hand tables. What is in doubt stands in the notes; check the first values against the instrument's own display. "
            "`quantrac profiles show ID` prints all of a profile, with its source and its doubts. "
            "To add a device, see [device_profiles/README.md](../device_profiles/README.md)."
        ),
        "",
    ]
    for domain in _DOMAINS:
        chosen = [p for p in profiles if p.domain == domain]
        if not chosen:
            continue
        lines += [
            f"## {domain.capitalize()}",
            "",
            "| id | device | connection | measures | verified |",
        ]
        lines.append("| --- | --- | --- | --- | --- |")
        lines += [_page_row(p) for p in chosen]
        lines.append("")
    return "\n".join(lines + _protocol_section())


def _protocol_section() -> list[str]:
    lines = [
        "## Stream protocols",
        "",
        (
            "Devices that speak by themselves, or answer a request with a frame of their own. To add a "
            "protocol, see [its page](../device_profiles/streams/wires/README.md)."
        ),
        "",
        "| protocol | of | checksum | values |",
        "| --- | --- | --- | --- |",
    ]
    for name in registry.names():
        wire = registry.wire(name)
        values = ", ".join(f"`{field}`" for field in wire.fields)
        lines.append(f"| `{name}` | {wire.about} | {'yes' if wire.checked else 'no'} | {values} |")
    return [*lines, ""]


def json_schema() -> str:
    """The JSON Schema of a profile file."""
    schema = Profile.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Quantrac device profile"
    schema["properties"]["protocol"]["enum"] = [MODBUS, *registry.names()]
    metric = schema["$defs"]["Metric"]["properties"]
    metric["quantity"]["enum"] = list(QUANTITIES)
    metric["unit"]["enum"] = list(UNITS)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _page_row(p: Profile) -> str:
    device = f"{p.manufacturer} {p.model}".replace("|", "\\|")
    path = f"../device_profiles/library/{p.domain}/{p.id}.yaml"
    mark = "yes" if p.verified else ""
    return f"| [`{p.id}`]({path}) | {device} | {connection(p)} | {_quantities(p)} | {mark} |"


def _quantities(profile: Profile) -> str:
    return ", ".join(dict.fromkeys(m.quantity for m in profile.metrics if m.quantity != "status"))


def _stream_lines(profile: Profile) -> list[str]:
    stream = profile.stream
    lines = [f"  at the start it is sent: {_bytes(start)}" for start in stream.start]
    if stream.request is not None:
        lines.append(
            f"  asked each {format_duration(stream.interval_ms)}: {_bytes(stream.request)}"
        )
    return lines


def _bytes(data: bytes) -> str:
    """Printable text as text, other bytes in hex."""
    text = data.decode("latin-1")
    return repr(text) if text.strip().isprintable() and data.isascii() else data.hex(" ").upper()


def _metric_cells(profile: Profile, metric: Metric) -> tuple[str, str, str, str]:
    if profile.is_stream:
        where = f"field {metric.field}"
    else:
        where = f"{metric.table} {metric.address} (0x{metric.address:04X}) {metric.type}"
        where += f" bits {metric.bit_field}" if metric.bit_field else ""
    where += f" x {metric.scale:.10g}" if metric.scale != 1 else ""
    where += f" {metric.offset:+.10g}" if metric.offset else ""
    valid = f"{metric.valid[0]:.10g} to {metric.valid[1]:.10g}" if metric.valid else ""
    return metric.name, f"{metric.quantity} [{metric.unit}]", where, valid


def _main() -> None:
    import sys  # noqa: PLC0415  # only when run as a program

    Path(sys.argv[1]).write_text(devices_page(), encoding="utf-8")


if __name__ == "__main__":
    _main()
