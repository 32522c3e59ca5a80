"""One measured figure beside a reference that was measured in the same run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """``value`` of ours against ``reference_value`` of ``reference``, both in ``unit``.

    ``target`` is the ratio to reach: at least, or at most where ``higher_is_better`` is False.
    None: the figure is reported without a target.
    """

    name: str
    what: str
    value: float
    unit: str
    reference: str
    reference_value: float
    target: float | None = None
    higher_is_better: bool = True

    @property
    def ratio(self) -> float:
        """Our value over the reference's."""
        return self.value / self.reference_value if self.reference_value else float("nan")

    @property
    def ok(self) -> bool:
        """Whether the target is met (True where there is none)."""
        if self.target is None:
            return True
        return self.ratio >= self.target if self.higher_is_better else self.ratio <= self.target

    def as_json(self) -> dict[str, object]:
        """The entry in build/bench.json (contract C1)."""
        return {
            "name": self.name, "what": self.what, "value": self.value, "unit": self.unit,
            "reference": self.reference, "reference_value": self.reference_value,
            "ratio": self.ratio, "target": self.target, "ok": self.ok,
        }  # fmt: skip
