"""Reports as the metrics of DATA messages."""

from collections.abc import Iterable

from edge_agent.outbox import StoredReport
from edge_agent.outbox.rows import unpack
from telemetry import names
from telemetry.sparkplug.reports import SampleEncoder, encode_batch_number, encode_sample


class ReportEncoder:
    """Encodes reports; keeps what it can reuse for each shape."""

    def __init__(self) -> None:
        self._by_shape: dict[int, SampleEncoder] = {}

    def encode(
        self, report: StoredReport, *, historical: bool, closing: int | None, numbered: bool
    ) -> bytes:
        """The metrics of ``report`` and, if ``numbered``, its batch number behind them.

        ``closing`` is the alias of the batch number; None: it goes by its name (the gateway's own).
        """
        last_ms = report.time_ms
        if report.is_plain:
            encoder = self._by_shape.get(report.shape.number)
            if encoder is None:
                encoder = SampleEncoder(report.shape.aliases)
                self._by_shape[report.shape.number] = encoder
            body = encoder.encode(report.time_ms, report.data, historical=historical)
        else:
            parts = []
            for alias, time_ms, value, flag in unpack(report):
                parts.append(encode_sample(alias, time_ms, value, flag, historical=historical))
                last_ms = time_ms
            body = b"".join(parts)
        if not numbered:
            return body
        return body + encode_batch_number(
            report.batch, last_ms, alias=closing, name=names.STORE_BATCH, historical=historical
        )


def by_device(reports: Iterable[StoredReport]) -> dict[str | None, list[StoredReport]]:
    """Reports of each device, in their order."""
    groups: dict[str | None, list[StoredReport]] = {}
    for report in reports:
        groups.setdefault(report.shape.device, []).append(report)
    return groups
