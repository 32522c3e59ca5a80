"""Unsilences the alerts that are still open when their silence has ended."""

from cloud_ingest.alerts import records
from cloud_ingest.alerts.actions import Action, act
from cloud_ingest.alerts.silences import Silences
from cloud_ingest.alerts.writer import AlertWriter


class SilenceEnds:
    """Compares open alerts with the silences whenever one was added, began or ended."""

    def __init__(self, silences: Silences, writer: AlertWriter) -> None:
        self._silences = silences
        self._writer = writer

    def tick(self, now_ms: int) -> None:
        """Unsilence the alerts that no silence covers any more."""
        if not self._silences.needs_check(now_ms):
            return
        with self._writer.transaction(now_ms) as transaction:
            for alert in records.all_open(transaction.connection, to_change=True):
                if alert.silenced and not self._silences.covers(alert, now_ms):
                    transaction.write(act(alert, Action.UNSILENCE, now_ms))
        self._silences.checked(now_ms)
