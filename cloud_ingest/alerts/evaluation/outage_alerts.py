"""Alerts about outages: the no-data watch's result, and the inhibition of narrower outages by wider."""

from collections.abc import Mapping
from dataclasses import replace

from cloud_ingest.alerts import records
from cloud_ingest.alerts.builder import StationName, no_data_alert
from cloud_ingest.alerts.evaluation.no_data_watch import NoDataWatch, StaleSubject, SubjectKey
from cloud_ingest.alerts.lifecycle import AlertChange, ConditionChange
from cloud_ingest.alerts.model import Alert
from cloud_ingest.alerts.writer import AlertTransaction, AlertWriter


class OutageAlerts:
    """Opens and resolves an alert for each stale subject, once a tick."""

    def __init__(self, watch: NoDataWatch, writer: AlertWriter, station_name: StationName) -> None:
        self._watch = watch
        self._writer = writer
        self._station_name = station_name
        self._open: dict[SubjectKey, int] = {}

    def adopt(self, alert: Alert) -> bool:
        """Take over an open alert of an earlier process; False if it is not about an outage."""
        if alert.kind != "no_data" or alert.rule not in {r.full_id for r in self._watch.rules}:
            return False
        self._open[SubjectKey(alert.rule, alert.scope, alert.subject)] = alert.id
        return True

    def tick(self, now_ms: int) -> None:
        """Judge every rule about missing data."""
        for rule in self._watch.rules:
            mine = [key for key in self._open if key.rule == rule.full_id]
            stale, still = self._watch.judge(rule, now_ms, mine)
            over = [key for key in mine if key not in still]
            new = [subject for subject in stale if subject.key not in self._open]
            if over or new:
                self._write(rule.full_id, over, new, now_ms)

    def _write(
        self, rule: str, over: list[SubjectKey], new: list[StaleSubject], now_ms: int
    ) -> None:
        still_open = {key: alert for key, alert in self._open.items() if key not in over}
        with self._writer.transaction(now_ms) as transaction:
            for key in over:
                self._resolve(transaction, self._open[key])
            for subject in new:
                alert = self._fire(transaction, subject)
                if alert is not None:
                    still_open[subject.key] = alert.id
            self._inhibit(transaction, {k: i for k, i in still_open.items() if k.rule == rule})
        self._open = still_open  # only now: a failed transaction has changed nothing

    def _fire(self, transaction: AlertTransaction, subject: StaleSubject) -> Alert | None:
        fresh = no_data_alert(subject, transaction.now_ms, self._station_name)
        return transaction.apply(
            ConditionChange(
                "fire", fresh, subject.since_ms, transaction.now_ms, subject.rule.refire_within
            )
        )

    def _resolve(self, transaction: AlertTransaction, alert_id: int) -> None:
        alert = records.get(transaction.connection, alert_id, to_change=True)
        if alert is not None and alert.is_open:
            transaction.apply(
                ConditionChange("clear", alert, alert.start_ms, transaction.now_ms, 0)
            )

    def _inhibit(self, transaction: AlertTransaction, open_ids: Mapping[SubjectKey, int]) -> None:
        """Note on each narrower outage the alert about the wider one that explains it."""
        wider = {
            alert_id: next((i for k, i in open_ids.items() if self._watch.covers(k, key)), None)
            for key, alert_id in open_ids.items()
        }
        for alert in records.all_open(transaction.connection, to_change=True):
            if alert.id in wider and alert.inhibited_by != wider[alert.id]:
                changed = replace(
                    alert, inhibited_by=wider[alert.id], updated_ms=transaction.now_ms
                )
                transaction.write(AlertChange(changed))
