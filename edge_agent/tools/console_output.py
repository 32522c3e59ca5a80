"""The output of ``edge check`` and ``edge status`` on the console."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.acquisition.bus_plan import BusPlan
from edge_agent.tools.check import DeviceCheck, Verdict
from telemetry.samples import Sample
from telemetry.time.clock import utc_now_ms


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a line under its head; columns are as wide as needed."""
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * w for w in widths], *rows]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in lines
    )


def plan_text(plans: Sequence[BusPlan]) -> str:
    """The bus plan: reads, time on the wire, utilisation."""
    rows = []
    for plan in plans:
        for d in plan.devices:
            registers = sum(r.count for r in d.reads)
            wire = f"{d.wire_s * 1000:.1f} ms" if plan.bus.serial else "-"
            share = f"{d.utilisation:.1%}" if plan.bus.serial else "-"
            rows.append([plan.bus.name, d.device.name, str(d.device.unit), f"{d.interval_s:g} s",
                         str(len(d.reads)), str(registers), wire, share])  # fmt: skip
        if not plan.devices:
            rows.append(
                [plan.bus.name, plan.bus.devices[0].name, "-", "stream", "-", "-", "-", "-"]
            )
        elif plan.bus.serial:
            rows.append([plan.bus.name, f"all at {plan.bus.serial.baudrate} baud", "", "", "", "",
                         f"{plan.cycle_s * 1000:.1f} ms", f"{plan.utilisation:.1%}"])  # fmt: skip
    head = [
        "bus",
        "device",
        "unit",
        "interval",
        "reads",
        "registers",
        "wire per turn",
        "utilisation",
    ]
    return table(head, rows)


def values_text(checks: Sequence[DeviceCheck]) -> str:
    """The values of the devices, with units."""
    rows = []
    for check in checks:
        by_name = {s.metric: s for s in check.samples}
        for metric in check.device.metrics:
            value = _value_text(by_name.get(metric.name))
            labels = ""
            sample = by_name.get(metric.name)
            if sample is not None and sample.value is not None:
                labels = ", ".join(metric.labels(metric.from_canonical(sample.value)))
            rows.append([check.device.bus, check.device.name, metric.name, value,
                         metric.canonical_unit, labels])  # fmt: skip
    return table(["bus", "device", "metric", "value", "unit", "meaning"], rows)


def _value_text(sample: Sample | None) -> str:
    if sample is None:
        return "-"
    return "no reading" if sample.value is None else f"{sample.value:.7g}"


def verdicts_text(checks: Sequence[DeviceCheck]) -> str:
    """One line per device."""
    marks = {Verdict.GOOD: "ok      ", Verdict.DOUBTFUL: "doubtful", Verdict.FAILED: "FAILED  "}
    lines = []
    for check in checks:
        answered = f"answered in {check.seconds * 1000:.0f} ms" if check.samples else "no values"
        text = "; ".join(check.remarks) or answered
        lines.append(f"{marks[check.verdict]}  {check.device.bus}/{check.device.name}: {text}")
    return "\n".join(lines)


def status_text(status: Mapping[str, Any]) -> str:
    """The status of an agent for people."""
    uplink = status["uplink"] or {}
    lines = [
        f"gateway     {status['gateway']}: {'running' if status['running'] else 'NOT running'}",
        f"uplink      {_uplink_text(uplink)}",
        f"outbox      {status['depth_samples']} samples to deliver"
        + (
            f", the oldest is {_age(status['oldest_time_ms'])} old"
            if status["oldest_time_ms"]
            else ""
        ),
        f"confirmed   {_ago(status['last_ack_ms'])}",
        f"measured    {status['measured_total']} samples, evicted {status['given_up_total']}",
    ]
    if status["damaged_rows"]:
        lines.append(
            f"damaged     {status['damaged_rows']} rows changed by the disk, kept in the table of damaged rows"
        )
    if status["problem"]:
        lines.append(f"problem     {status['problem']}")
    for name, bus in status["buses"].items():
        if bus["busy"] is not None:
            left_out = bus["readings_left_out"]
            text = f", {left_out} readings skipped because the bus is too slow" if left_out else ""
            lines.append(f"bus         {name} ({bus['where']}): in use {bus['busy']:.0%}{text}")
    rows = []
    for name, device in status["devices"].items():
        counts = device["counters"]
        errors = {k: v for k, v in counts.items() if v and k not in ("polls", "answers")}
        rows.append([
            device["bus"], name, _state(status["running"], device["online"]),
            _ago(device["last_answer_ms"]), str(counts.get("polls", 0)),
            str(counts.get("answers", 0)),
            " ".join(f"{k}={v}" for k, v in errors.items()) or "-",
            device["last_error"] or "",
        ])  # fmt: skip
    if rows:
        head = ["bus", "device", "state", "last answer", "polls", "answers", "errors", "last error"]
        lines += ["", table(head, rows)]
    return "\n".join(lines)


def _state(running: bool, online: bool) -> str:
    if not running:
        return "-"
    return "online" if online else "OFFLINE"


def _uplink_text(uplink: Mapping[str, Any]) -> str:
    if not uplink.get("connected"):
        why = uplink.get("last_error")
        return "not connected" + (f": {why}" if why else "")
    return f"connected to {uplink.get('broker')}" + (
        "" if uplink.get("delivering") else ", waiting for the cloud to come online"
    )


def _age(time_ms: int) -> str:
    seconds = max(0, utc_now_ms() - time_ms) / 1000
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _ago(time_ms: int | None) -> str:
    return "never" if time_ms is None else f"{_age(time_ms)} ago"
