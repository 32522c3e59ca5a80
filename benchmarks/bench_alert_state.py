"""How many bytes a series costs with every rule, test and detector on."""

from benchmarks.alert_rules_field import batches, make_series, twenty_rules
from benchmarks.result import Result
from cloud_ingest.alerts.engine import RuleEngine
from cloud_ingest.detection import SeasonalResidualDetector
from cloud_ingest.quality import QualityControl

SERIES = 2_000
ASKED = 2_000


def run() -> list[Result]:
    """Bytes of all arrays that grow with the series, beside what is asked."""
    series = make_series(SERIES)
    detector = SeasonalResidualDetector()
    engine, quality = RuleEngine(twenty_rules(), detector), QualityControl()
    engine.register(series)
    quality.register(series)
    for batch in batches(SERIES, 20):
        engine.advance(quality.flag(batch, int(batch.time_ms[-1])), int(batch.time_ms[-1]))
    parts = engine.state()
    learnt = sum(a.nbytes for a in parts.pop("detector").values()) / SERIES
    rules = sum(a.nbytes for part in parts.values() for a in part.values()) / SERIES
    flags = quality.nbytes / SERIES
    whole = "state of a series: quality + 20 rules"
    return [
        Result("state", whole, rules + flags, "bytes", "asked for, detector included", ASKED, 1.0,
               higher_is_better=False),
        Result("state", whole + " + detector", rules + flags + learnt, "bytes", "asked for", ASKED,
               1.0, higher_is_better=False),
    ]  # fmt: skip


if __name__ == "__main__":
    for result in run():
        print(result.as_json())
