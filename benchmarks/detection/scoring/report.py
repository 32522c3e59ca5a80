"""Writes the figures of the detectors as a page with plots."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.detection.scoring.measure import (
    NAB_THRESHOLD,
    InjectedFigures,
    NabFigures,
    WaterFigures,
    measure_injected,
    measure_nab,
    measure_rates,
    measure_water,
)
from benchmarks.detection.scoring.nab import probation_rows

Say = Callable[[str], None]


def evaluate_all(data: Path, folder: Path, *, plots: bool, say: Say) -> Path | None:
    """Run the benchmarks whose data is there; the report's path, None where there is no data."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[str] = []
    figures: dict[str, object] = {}
    if (data / "nab" / "windows.json").is_file():
        nab = measure_nab(data / "nab")
        parts.append(_nab_part(nab, folder if plots else None))
        figures["nab"] = {k: v.score for k, v in nab.frozen.items()}
        say(parts[-1])
    if (data / "water_lro").is_dir():
        water = measure_water(data / "water_lro")
        parts.append(_water_part(water))
        figures["water"] = {"f1": water.all.f1, "false_per_week": water.all.false_per_week}
        say(parts[-1])
    if (data / "air_beijing").is_dir() and (data / "traffic_i94").is_dir():
        parts.append(_rates_part(data, figures))
        say(parts[-1])
    if (data / "air_beijing").is_dir():
        injected = measure_injected(data / "air_beijing")
        parts.append(_injected_part(injected, folder if plots else None))
        figures["injected"] = {
            k.kind: {"injected": k.injected, "found": len(k.delays_h)} for k in injected.kinds
        }
        say(parts[-1])
    if not parts:
        return None
    path = folder / "report.md"
    path.write_text("# Figures of the detectors\n\n" + "\n".join(parts), encoding="utf-8")
    (folder / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return path


def _nab_part(nab: NabFigures, folder: Path | None) -> str:
    lines = [
        f"## Numenta Anomaly Benchmark, {len(nab.files)} files, {nab.windows} windows\n",
        f"| profile | threshold {NAB_THRESHOLD} | families | files | halves | best | found | missed | false |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, score in nab.frozen.items():
        held = nab.held_out[name]
        lines.append(
            f"| {name} | {score.score:.1f} | {held.families:.1f} | {held.files:.1f} "
            f"| {held.halves:.1f} ± {held.spread:.1f} | {nab.best[name].score:.1f} "
            f"| {score.found} | {score.missed} | {score.false_positives} |"
        )
    lines.append(
        "\nThe first threshold is fixed; the next three were chosen on the other families of files, "
        "the other files, and a random half of them; the last one is the best for these files."
    )
    lines.append(
        f"\nHour-of-day residual alone, best threshold, standard: {nab.first_path.score:.1f}.\n"
    )
    lines += [
        "| file | standard | found | missed | false rows |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, score in nab.files:
        lines.append(
            f"| {name} | {score.score:.1f} | {score.found} | {score.missed} | {score.false_positives} |"
        )
    if folder is not None:
        _draw_nab(nab, folder / "nab.png")
        lines.append("\n![Files, windows and onsets](nab.png)")
    return "\n".join(lines) + "\n"


def _draw_nab(nab: NabFigures, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - drawing is optional

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    rows = (len(nab.source) + 1) // 2
    figure, axes = plt.subplots(rows, 2, figsize=(18, 2.6 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, file, scored in zip(axes.flat, nab.source, nab.scored, strict=False):
        axis.set_axis_on()
        value = file.recorded.value
        axis.plot(value, linewidth=0.5, color="#33658a")
        axis.set_title(file.name, fontsize=8)
        axis.axvline(probation_rows(len(value)), color="#999999", linestyle=":")
        for first, last in file.windows:
            axis.axvspan(first, last, color="#f6ae2d", alpha=0.35)
        hits = np.flatnonzero(scored.score >= NAB_THRESHOLD)
        axis.plot(hits, value[hits], "v", color="#c1121f", markersize=4)
        axis.margins(x=0)
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    plt.close(figure)


def _water_part(water: WaterFigures) -> str:
    lines = [
        "## River sondes (fault layer, budget one alert a month)\n",
        "| site and year | events | found | alerts | true | F1 | false a sensor-week |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, s in [*water.sites.items(), ("**all**", water.all)]:
        lines.append(
            f"| {name} | {s.labelled} | {s.found} | {s.alerted} | {s.true} | {s.f1:.3f} "
            f"| {s.false_per_week:.3f} |"
        )
    held = water.held_out
    lines.append(
        f"\nEach site at the threshold that the other sites chose: F1 {held.f1:.3f} at "
        f"{held.false_per_week:.3f}."
    )
    lines.append(
        f"\nA plain rule (20 mean deviations from a running median): F1 {water.simple.f1:.3f} at "
        f"{water.simple.false_per_week:.3f}. Named: "
        + ", ".join(f"{name.lower()} {count}" for name, count in water.named.most_common())
        + "."
    )
    return "\n".join(lines) + "\n"


def _rates_part(data: Path, figures: dict[str, object]) -> str:
    lines = [
        "## Statistical alerts on data without known faults\n",
        "| data | budget a month | alerts a month | a sensor-week | most (quantity) | within a day of a gap |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rates = measure_rates(data)
    for r in rates:
        lines.append(
            f"| {r.name} | {r.budget:g} | {r.per_month:.2f} | {r.per_week:.3f} "
            f"| {r.worst[1]:.3f} ({r.worst[0]}) | {100 * r.after_gaps:.0f} % |"
        )
    figures["rates"] = {f"{r.name} at {r.budget:g}": r.per_week for r in rates}
    return "\n".join(lines) + "\n"


def _injected_part(injected: InjectedFigures, folder: Path | None) -> str:
    lines = [
        "## Injected faults (hourly air data, fault layer, budget four alerts a month)\n",
        "| kind | injected | found | median delay, h | named |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in injected.kinds:
        delay = f"{np.median(kind.delays_h):g}" if kind.delays_h else "-"
        called = ", ".join(f"{name.lower()} {n}" for name, n in kind.named.most_common())
        lines.append(
            f"| {kind.kind} | {kind.injected} | {len(kind.delays_h)} | {delay} | {called} |"
        )
    lines.append(f"\nWithout faults: {injected.clean_per_week:.3f} alerts a sensor-week.")
    if folder is not None:
        _draw_injected(injected, folder / "injected.png")
        lines.append("\n![Share of faults found, by hours since they began](injected.png)")
    return "\n".join(lines) + "\n"


def _draw_injected(injected: InjectedFigures, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - drawing is optional

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axis = plt.subplots(figsize=(8, 4.5))
    for kind in injected.kinds:
        share = np.arange(1, len(kind.delays_h) + 1) / max(kind.injected, 1)
        axis.step([0, *kind.delays_h], [0, *share], where="post", label=kind.kind)
    axis.set_xlabel("hours since the fault began")
    axis.set_ylabel("share found")
    axis.set_xscale("symlog", linthresh=1)
    axis.set_ylim(0, 1.02)
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
