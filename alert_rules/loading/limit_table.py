"""The table of every limit with its source in docs/rules.md, generated from the packs."""

from alert_rules.kinds.anomaly import AnomalyRule
from alert_rules.loading import LIBRARY, library_packs, load_rules
from alert_rules.rule import Legal, Rule
from telemetry.quantities import QUANTITIES
from telemetry.time.durations import format_duration

BEGIN, END = "<!-- limits: begin -->", "<!-- limits: end -->"
_HEAD = (
    "| rule | what | limit | averaged | area | in force | verified | on | document and source |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def limit_table() -> str:
    """One table for each pack: every rule, its limits, its legal basis and whether it is enabled."""
    parts = []
    for ref in library_packs():
        rules = load_rules([ref], LIBRARY)
        rows = "\n".join(_row(rule) for rule in rules)
        parts.append(f"### `{ref}`\n\n{_HEAD}\n{rows}")
    return "\n\n".join(parts)


def with_table(page: str) -> str:
    """``page`` with an up-to-date table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{limit_table()}\n\n{END}{after}"


def _row(rule: Rule) -> str:
    legal = rule.legal
    cells = (
        f"`{rule.id}`", rule.name.en, _limits(rule),
        format_duration(rule.averaging_ms) if rule.averaging_ms else "–",
        legal.area if legal is not None else "", _in_force(legal),
        "" if legal is None else "yes" if legal.verified else "**no**",
        "yes" if rule.is_enabled else "no",
        f"{legal.document} {legal.clause}. {legal.source}" if legal is not None else _own(rule),
    )  # fmt: skip
    return "| " + " | ".join(" ".join(str(c).split()).replace("|", "/") for c in cells) + " |"


def _own(rule: Rule) -> str:
    return "demonstration only" if rule.demonstration else "Quantrac's own, no law"


def _limits(rule: Rule) -> str:
    names = rule.select.quantity
    unit = QUANTITIES[names[0]].unit if names and names[0] in QUANTITIES else ""
    shown = "; ".join(f"{limit.comparison} {limit.value:g}" for limit in rule.threshold_lines)
    if shown:
        return f"{shown} {unit}".strip()
    if isinstance(rule, AnomalyRule):
        own = rule.alerts_per_month
        return "anomaly, budget of the quantity" if own is None else f"anomaly, {own:g} a month"
    return "to be entered" if rule.legal is not None else rule.kind.replace("_", " ")


def _in_force(legal: Legal | None) -> str:
    if legal is None:
        return ""
    begin = legal.effective_from.isoformat() if legal.effective_from else "…"
    end = legal.effective_to.isoformat() if legal.effective_to else "…"
    return f"{begin} – {end}" if (legal.effective_from or legal.effective_to) else ""
