"""Bytes on the wire for a sample, at 20 and at 200 metrics a report, live and as backlog.

References: flat JSON with one shared time, and SenML (RFC 8428), both compact.
"""

import json
import random
import struct
import zlib

from benchmarks.result import Result
from telemetry.sparkplug.data_encoder import SampleEncoder, encode_data

TIME_MS = 1_790_000_000_000
BATCHES = 50


def run() -> list[Result]:
    """Our DATA message beside the same values as JSON, and what deflate would make of ours."""
    results = []
    for n in (20, 200):
        values = _values(n, random.Random(n))
        ours = len(_message(n, [values], historical=False)) / n
        flat = len(_flat(values)) / n
        senml = len(_senml(values)) / n
        results.append(
            _result(f"wire-{n}", f"a live report of {n} metrics", ours, "flat JSON", flat)
        )
        results.append(
            _result(f"wire-{n}-senml", f"a live report of {n} metrics", ours, "SenML", senml)
        )
    rng = random.Random(1)
    rows = [_values(20, rng) for _ in range(BATCHES)]
    backlog = _message(20, rows, historical=True)
    plain = len(backlog) / (20 * BATCHES)
    deflated = len(zlib.compress(backlog, 6)) / (20 * BATCHES)
    results.append(
        _result(
            "wire-backlog",
            f"backlog, {BATCHES} reports a message",
            plain,
            "the same, deflated",
            deflated,
        )
    )
    return results


def _result(name: str, what: str, value: float, reference: str, reference_value: float) -> Result:
    return Result(name, f"bytes a sample, {what}", value, "B", reference, reference_value, None,
                  higher_is_better=False)  # fmt: skip


def _values(n: int, rng: random.Random) -> list[float]:
    return [round(rng.uniform(0, 100), 2) for _ in range(n)]


def _message(n: int, rows: list[list[float]], *, historical: bool) -> bytes:
    encoder = SampleEncoder(range(1, n + 1), n + 1)
    steps = range(len(rows))
    data = b"".join(struct.pack(f"<{n}d", *values) for values in rows)
    body = encoder.encode_batches(
        [TIME_MS + k for k in steps],
        [TIME_MS + 1000 * k for k in steps],
        data,
        historical=historical,
    )
    return encode_data(TIME_MS, 7, body)


def _flat(values: list[float]) -> bytes:
    named = {f"metric_{i}": v for i, v in enumerate(values)}
    return json.dumps({"ts": TIME_MS, "values": named}, separators=(",", ":")).encode()


def _senml(values: list[float]) -> bytes:
    records: list[dict[str, object]] = [
        {"n": f"metric_{i}", "u": "ug/m3", "v": v} for i, v in enumerate(values)
    ]
    records[0] |= {"bn": "gateway/device/", "bt": TIME_MS / 1000}
    return json.dumps(records, separators=(",", ":")).encode()
