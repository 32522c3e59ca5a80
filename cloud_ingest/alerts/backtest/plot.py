"""The plot of a backtest: for each rule the measured and judged values, and when it would have fired."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alert_rules.evaluator import SortedSamples
from alert_rules.rule import Rule, ThresholdLine
from cloud_ingest.alerts.backtest.replay import Exceedance, ReplayResult
from cloud_ingest.alerts.evaluation.rule_state import RuleState
from cloud_ingest.alerts.texts import (
    quantity_name,
    shown_length,
    shown_number,
    shown_time,
    shown_unit,
)
from cloud_ingest.detection import LayeredDetector
from cloud_ingest.stores.protocol import SampleColumns, SampleStore
from telemetry.batches import Int64, SampleBatch, usable
from telemetry.series import Series
from telemetry.time.local_time import UTC_OFFSET_NAME, to_local_ms

MOST_PANELS = 6
_WORDS = {
    "en": {
        "title": "What the rules would have said, {begin} to {end}",
        "many": "{alerts} alerts, on for {on}", "once": "1 alert, on for {on}",
        "never": "no alert", "measured": "measured", "limit": "limit {value} {unit}",
        "breach": "alert is on", "fired": "alert goes out", "band": "expected range",
        "judged": "what is compared with the limit (mean, difference, change)",
        "more": "{n} further series with alerts are not shown: choose with --rule and --series",
        "time": f"local time ({UTC_OFFSET_NAME})",
    },
    "vi": {
        "title": "Nếu áp dụng các quy tắc, {begin} đến {end}",
        "many": "{alerts} cảnh báo, kéo dài {on}", "once": "1 cảnh báo, kéo dài {on}",
        "never": "không có cảnh báo", "measured": "giá trị đo", "limit": "giới hạn {value} {unit}",
        "breach": "cảnh báo đang mở", "fired": "gửi cảnh báo", "band": "khoảng bình thường",
        "judged": "giá trị được so với giới hạn (trung bình, hiệu số, mức thay đổi)",
        "more": "{n} chuỗi khác có cảnh báo không được vẽ: chọn bằng --rule và --series",
        "time": f"giờ địa phương ({UTC_OFFSET_NAME})",
    },
}  # fmt: skip
_LINE, _JUDGED_LINE, _RED, _BAND = "#7a8ca0", "#12436d", "#b00020", "#2e7d32"


@dataclass(frozen=True, slots=True)
class Panel:
    """One rule at one series."""

    rule: Rule
    series: Series
    found: tuple[Exceedance, ...]
    alerts: int


@dataclass(frozen=True, slots=True)
class Subject:
    """The input of a plot."""

    rules: Sequence[Rule]
    series: Sequence[Series]
    store: SampleStore
    start_ms: int
    end_ms: int
    result: ReplayResult


def choose_panels(subject: Subject) -> tuple[list[Panel], int]:
    """The panels to draw, every rule's worst series first, and the number of those left out."""
    ranked: list[tuple[int, int, Panel]] = []
    for rule in subject.rules:
        panels = [p for p in (_panel(subject, rule, s) for s in subject.series) if p.found]
        panels.sort(key=lambda p: -subject.result.on_ms(p.found))
        ranked += [(rank, -subject.result.on_ms(p.found), p) for rank, p in enumerate(panels)]
    if not ranked:
        return _without_alerts(subject), 0
    ranked.sort(key=lambda r: r[:2])
    return [p for _, _, p in ranked[:MOST_PANELS]], max(len(ranked) - MOST_PANELS, 0)


def _without_alerts(subject: Subject) -> list[Panel]:
    fitting = [(r, s) for r in subject.rules for s in subject.series if r.reads(s)]
    return [Panel(r, s, (), 0) for r, s in fitting[:1]]


def _panel(subject: Subject, rule: Rule, series: Series) -> Panel:
    found = tuple(e for e in subject.result.of_rule(rule.full_id) if e.series == str(series.key))
    return Panel(rule, series, found, ReplayResult(exceedances=list(found)).alerts(rule))


def draw(subject: Subject, path: Path, language: str = "en") -> None:
    """Draw it to a PNG (or SVG, by the name)."""
    import matplotlib as mpl  # noqa: PLC0415  # heavy to load

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  # after the back end was chosen

    words = _WORDS[language]
    panels, left_out = choose_panels(subject)
    figure, axes = plt.subplots(
        max(len(panels), 1), 1, figsize=(12, 1.2 + 3.0 * max(len(panels), 1)),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    begin, end = (shown_time(t)[:16] for t in (subject.start_ms, subject.end_ms))
    figure.suptitle(words["title"].format(begin=begin, end=end), fontsize=13, fontweight="bold")
    for axis, panel in zip(axes[:, 0], panels, strict=False):
        _draw_panel(axis, panel, subject, language)
    axes[-1, 0].set_xlabel(words["time"])
    labelled = {
        t: h for row in axes for h, t in zip(*row[0].get_legend_handles_labels(), strict=True)
    }
    figure.legend(labelled.values(), labelled.keys(), loc="outside lower center",
                  ncols=len(labelled) or 1, fontsize=9, frameon=False)  # fmt: skip
    if left_out:
        figure.supxlabel(words["more"].format(n=left_out), fontsize=9, color="#555555")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_panel(axes: Any, panel: Panel, subject: Subject, language: str) -> None:
    from matplotlib import dates as mdates  # noqa: PLC0415  # heavy to load

    words, rule, series = _WORDS[language], panel.rule, panel.series
    unit = shown_unit(rule.value_unit(series.unit))
    readings = subject.store.read(series, subject.start_ms, subject.end_ms)
    if rule.value_name is None:
        _draw_readings(axes, readings, words["measured"])
    if rule.compares_means or rule.value_name is not None:
        _draw_judged(axes, panel, subject, words)
    if rule.needs_scores:
        _draw_band(axes, series, readings, words["band"])
    for limit in rule.threshold_lines:
        _draw_limit(axes, limit, unit, language)
    _draw_breaches(axes, panel, subject.result.last_ms, words)
    axes.set_title(_title(panel, subject.result, language), loc="left", fontsize=11)
    value_name = getattr(rule.value_name, language, "")
    what = f"{value_name} {quantity_name(series.quantity, language)}".strip()
    axes.set_ylabel(f"{what}\n({unit})" if unit else what)
    first_ms, last_ms = subject.result.first_ms, subject.result.last_ms
    room_ms = max((last_ms - first_ms) // 50, 1000)
    axes.set_xlim(_local(np.array([first_ms - room_ms, last_ms + room_ms])))
    axes.xaxis.set_major_formatter(
        mdates.ConciseDateFormatter(  # type: ignore[no-untyped-call]  # not annotated there
            axes.xaxis.get_major_locator(), formats=["%Y", "%m/%Y", "%d/%m", "%H:%M", "%H:%M", "%S"],
            zero_formats=["", "%Y", "%m/%Y", "%d/%m", "%H:%M", "%H:%M"],
            offset_formats=["", "%Y", "%m/%Y", "%d/%m/%Y", "%d/%m/%Y", "%d/%m/%Y"],
        )
    )  # fmt: skip
    axes.grid(visible=True, color="#e4e7eb", linewidth=0.6)
    axes.set_axisbelow(True)


def _title(panel: Panel, result: ReplayResult, language: str) -> str:
    words, rule, series = _WORDS[language], panel.rule, panel.series
    on = shown_length(result.on_ms(panel.found), language)
    count = "never" if not panel.found else "once" if panel.alerts == 1 else "many"
    outcome = words[count].format(alerts=panel.alerts, on=on)
    return f"{getattr(rule.name, language)} – {series.station}, {series.key.device}: {outcome}"


def _draw_readings(axes: Any, readings: SampleColumns, label: str) -> None:
    value = np.where(usable(readings.value, readings.quality), readings.value, np.nan)
    axes.plot(_local(readings.time_ms), value, linewidth=0.9, color=_LINE, label=label)


def _draw_judged(axes: Any, panel: Panel, subject: Subject, words: dict[str, str]) -> None:
    rule = panel.rule
    series = [s for s in subject.series if rule.reads(s)]
    local = [_with_index(s, i) for i, s in enumerate(series)]
    run = RuleState(rule)
    run.bind(local)
    batch = SampleBatch.concat(
        [_batch(i, subject.store.read(s, subject.start_ms, subject.end_ms)) for i, s in enumerate(series)]
    )  # fmt: skip
    verdicts = run.verdicts(SortedSamples.of(batch))
    mine = verdicts.row == run.evaluator.index.row_of(series.index(panel.series))
    ends, value = verdicts.time_ms[mine], verdicts.value[mine]
    style = {"color": _JUDGED_LINE, "linewidth": 1.8, "label": words["judged"]}
    if rule.aligned_ms:  # each value stands for the hours before it
        axes.hlines(value, _local(ends - rule.aligned_ms), _local(ends), **style)
    else:
        axes.plot(_local(ends), value, **style)


def _draw_band(axes: Any, series: Series, readings: SampleColumns, label: str) -> None:
    detector = LayeredDetector()
    detector.register([_with_index(series, 0)])
    scores = detector.update(_batch(0, readings, every=True))
    axes.fill_between(_local(readings.time_ms), scores.low, scores.high, color=_BAND, alpha=0.18, linewidth=0, label=label)  # fmt: skip
    seen = readings.value[np.isfinite(readings.value)]
    if len(seen):  # the band may be far wider than all that was ever measured
        room = 0.3 * (float(seen.max() - seen.min()) or 1.0)
        axes.set_ylim(float(seen.min()) - room, float(seen.max()) + room)


def _draw_limit(axes: Any, limit: ThresholdLine, unit: str, language: str) -> None:
    value = shown_number(limit.value, language)
    label = _WORDS[language]["limit"].format(value=value, unit=unit).strip()
    axes.axhline(limit.value, color=_RED, linewidth=1.0, linestyle="--")
    axes.annotate(
        label, (1.0, limit.value), xycoords=("axes fraction", "data"), xytext=(-4, 3),
        textcoords="offset points", ha="right", fontsize=8, color=_RED,
        bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
    )  # fmt: skip


def _draw_breaches(axes: Any, panel: Panel, end_ms: int, words: dict[str, str]) -> None:
    for n, e in enumerate(panel.found):
        begin, end, fired = _local(np.array([e.start_ms, e.end_ms or end_ms, e.fired_ms]))
        axes.axvspan(begin, end, color=_RED, alpha=0.12, linewidth=0, label=words["breach"] if n == 0 else None)  # fmt: skip
        axes.plot([fired], [0.965], marker="v", markersize=7, color=_RED, linestyle="none",
                  transform=axes.get_xaxis_transform(), label=words["fired"] if n == 0 else None)  # fmt: skip


def _local(time_ms: Int64) -> Any:
    return to_local_ms(time_ms).astype("datetime64[ms]")


def _with_index(series: Series, index: int) -> Series:
    return Series(
        index, series.key, series.group, series.station, series.quantity, series.unit,
        series.interval_ms, tags=series.tags,
    )  # fmt: skip


def _batch(index: int, found: SampleColumns, *, every: bool = False) -> SampleBatch:
    batch = SampleBatch.of([index] * len(found.time_ms), found.time_ms, found.value, found.quality)
    if every:
        return batch
    return batch.select(usable(batch.value, batch.quality))
