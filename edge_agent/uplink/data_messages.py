"""Reports as the metrics of DATA messages."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from edge_agent.outbox import StoredReport
from edge_agent.outbox.sqlite.row_format import unpack
from edge_agent.uplink.actions import Publish
from telemetry.sparkplug import names
from telemetry.sparkplug.data_encoder import SampleEncoder, encode_batch_number, encode_sample
from telemetry.sparkplug.topics import MessageType, Topic

LIVE_SAMPLES = 1000
"""Live reports of a device that became durable together share a message of up to this size."""


class Outgoing:
    """The messages of one session with their sequence numbers."""

    def __init__(self, group: str, gateway: str) -> None:
        self.sent = 0
        self._group = group
        self._gateway = gateway
        self._seq = 0

    def restart(self) -> None:
        """Start again at 0, the number of an NBIRTH."""
        self._seq = 0

    def next_seq(self) -> int:
        """The sequence number of the next message, 0 to 255."""
        seq, self._seq = self._seq, (self._seq + 1) % 256
        return seq

    def message(self, kind: MessageType, device: str | None, payload: bytes) -> Publish:
        """A message of the gateway, or of one of its devices."""
        self.sent += 1
        return Publish(str(Topic(self._group, kind, self._gateway, device)), payload)


class ReportEncoder:
    """Encodes reports, with one reusable encoder for each shape."""

    def __init__(self) -> None:
        self._by_shape: dict[tuple[int, int | None], SampleEncoder] = {}

    def encode(
        self,
        reports: Sequence[StoredReport],
        *,
        historical: bool,
        closing: int | None,
        numbered: bool,
    ) -> bytes:
        """The metrics of ``reports`` and, if ``numbered``, the report number after each report.

        ``closing`` is the alias of the report number; None: it is sent by name (for the gateway).
        """
        if not numbered or closing is None:
            return b"".join(
                self._alone(r, historical=historical, closing=closing, numbered=numbered)
                for r in reports
            )
        parts: list[bytes] = []
        for shape, some in groupby(reports, _common_shape):
            run = list(some)
            if shape is None:
                parts += (
                    self._alone(r, historical=historical, closing=closing, numbered=True)
                    for r in run
                )
                continue
            parts.append(
                self._encoder(run[0], closing).encode_batches(
                    [r.batch for r in run],
                    [r.time_ms for r in run],
                    b"".join([r.data for r in run]),
                    historical=historical,
                )
            )
        return b"".join(parts)

    def _alone(
        self, report: StoredReport, *, historical: bool, closing: int | None, numbered: bool
    ) -> bytes:
        if report.has_values_only:
            encoder = self._encoder(report, closing)
            body = encoder.encode(report.time_ms, report.data, historical=historical)
            last_ms = report.time_ms
        else:
            body, last_ms = _one_by_one(report, historical=historical)
        if not numbered:
            return body
        return body + encode_batch_number(
            report.batch, last_ms, alias=closing, name=names.STORE_BATCH, historical=historical
        )

    def _encoder(self, report: StoredReport, closing: int | None) -> SampleEncoder:
        which = (report.shape.number, closing)
        encoder = self._by_shape.get(which)
        if encoder is None:
            encoder = self._by_shape[which] = SampleEncoder(report.shape.aliases, closing)
        return encoder


def _common_shape(report: StoredReport) -> int | None:
    """The key of reports that can be encoded together; None: not together."""
    return report.shape.number if report.has_values_only else None


def _one_by_one(report: StoredReport, *, historical: bool) -> tuple[bytes, int]:
    parts = []
    last_ms = report.time_ms
    for alias, time_ms, value, flag in unpack(report):
        parts.append(encode_sample(alias, time_ms, value, flag, historical=historical))
        last_ms = time_ms
    return b"".join(parts), last_ms


def by_device(reports: Iterable[StoredReport]) -> dict[str | None, list[StoredReport]]:
    """The reports of each device, in order."""
    groups: dict[str | None, list[StoredReport]] = {}
    for report in reports:
        groups.setdefault(report.shape.device, []).append(report)
    return groups


def in_parts(reports: Sequence[StoredReport]) -> Iterator[list[StoredReport]]:
    """Reports of one device in parts of at most LIVE_SAMPLES samples, or of one report."""
    part: list[StoredReport] = []
    samples = 0
    for report in reports:
        samples += report.count
        if part and samples > LIVE_SAMPLES:
            yield part
            part, samples = [], report.count
        part.append(report)
    if part:
        yield part
