"""The report filter: dead-band and heartbeat (no I/O)."""

from dataclasses import dataclass

from edge_agent.configuration import ReportFilter
from telemetry.samples import Sample


@dataclass(slots=True)
class MetricFilter:
    """Passes a sample of one metric if it has changed enough, or after the heartbeat."""

    settings: ReportFilter
    last: Sample | None = None

    def passes(self, sample: Sample) -> bool:
        """Whether to report ``sample``; if so, later ones are compared with it."""
        if not self._is_news(sample):
            return False
        self.last = sample
        return True

    def _is_news(self, sample: Sample) -> bool:
        last = self.last
        if last is None or sample.time_ms - last.time_ms >= self.settings.heartbeat:
            return True
        if sample.value is None or last.value is None or sample.flag is not last.flag:
            return sample.value is not last.value or sample.flag is not last.flag
        change = abs(sample.value - last.value)
        if self.settings.dead_band is not None:
            return change >= self.settings.dead_band
        assert self.settings.dead_band_percent is not None  # the configuration has one of the two
        return change > 0 and change >= abs(last.value) * self.settings.dead_band_percent / 100
