"""The metrics of the service in the text format of Prometheus, collected on request."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cloud_ingest.api.running_service import RunningService


class _Metrics(Collector):
    def __init__(self, service: RunningService) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        service = self._service
        counters, gateways = service.pipeline.counters, service.inventory.gateways()
        yield _counter(
            "quantrac_messages", "MQTT messages taken in", service.receiver.messages_total
        )
        yield _counter("quantrac_samples", "Samples committed", counters.samples)
        yield _counter("quantrac_batches", "Batches committed", counters.batches)
        yield _counter("quantrac_samples_rejected", "Samples the store refused", counters.rejected)
        yield _counter("quantrac_acknowledgements", "Ack Through sent", counters.acknowledgements)
        yield _counter("quantrac_commit_retries", "Commits tried again", counters.store_failures)
        yield _counter("quantrac_rule_failures", "Failures of the rules", counters.rule_failures)
        yield _counter(
            "quantrac_findings_lost",
            "Alert transitions not stored",
            service.transitions_not_stored(),
        )
        failures = service.notification.failures
        yield _counter("quantrac_notification_failures", "Defects of the notification", failures)
        yield _counter(
            "quantrac_messages_shed", "Left out, to be sent again", service.inbox.dropped_total
        )
        yield _counter("quantrac_messages_lost", "Left out for good", service.inbox.lost_total)
        yield _gauge("quantrac_inbox_bytes", "Bytes that wait", service.inbox.pending_bytes)
        yield _gauge(
            "quantrac_spilled_bytes", "Bytes that wait on disk", service.inbox.overflow_bytes
        )
        yield _gauge("quantrac_series", "Series known", len(service.inventory))
        yield _gauge("quantrac_gateways", "Gateways known", len(gateways))
        online = sum(g.online for g in gateways)
        yield _gauge("quantrac_gateways_online", "Gateways online", online)
        yield _gauge("quantrac_broker_up", "Broker connected", int(service.link.state.connected))
        last = counters.last_commit_ms / 1000
        yield _gauge("quantrac_last_commit_timestamp_seconds", "Time of the last commit", last)
        refused = CounterMetricFamily(
            "quantrac_quarantined", "What was not taken in", labels=["reason"]
        )
        for reason, count in service.quarantine.summary().items():
            refused.add_metric([reason[:120]], count)
        yield refused


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def prometheus_text(service: RunningService) -> tuple[bytes, str]:
    """The metrics and their media type."""
    registry = CollectorRegistry()
    registry.register(_Metrics(service))
    return generate_latest(registry), CONTENT_TYPE_LATEST
