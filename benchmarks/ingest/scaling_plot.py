"""The picture in docs/scaling.md: what a million samples cost as the fleet grows."""

import io
from collections.abc import Mapping

from matplotlib import rc_context
from matplotlib.figure import Figure

FLAT = 0.2  # how far a fleet may be off the smallest


def draw(cpu_s: Mapping[int, float]) -> str:
    """An SVG of CPU seconds for a million samples by number of gateways."""
    gateways, seconds = list(cpu_s), list(cpu_s.values())
    with rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(gateways, seconds, marker="o", color="#0b6e99", label="measured")
        axes.axhspan(0, seconds[0] * (1 + FLAT), color="#0b6e99", alpha=0.1,
                     label="up to 20% above the smallest fleet")  # fmt: skip
        for x, y in zip(gateways, seconds, strict=True):
            axes.annotate(f"{y:.2f} s", (x, y), (0, 8), textcoords="offset points", ha="center")
        axes.set_xscale("log")
        axes.set_xticks(gateways, [f"{g:,}" for g in gateways])
        axes.set_ylim(0, max(seconds) * 1.35)
        axes.set_xlabel("gateways")
        axes.set_ylabel("CPU s a million samples")
        axes.legend(loc="lower right", frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
