"""Knows what the broker has taken, and whether it is still there.

A broker handles what a client sends in order: its receipt for a subscription says that everything
published before has arrived.
"""

from dataclasses import dataclass

SILENCE_S = 5.0
"""Without a word from the broker for so long, while one is due, it is asked for one; without an
answer for so long again, it is given up."""


@dataclass(slots=True)
class LivenessProbe:
    """A subscription under way; what was published before it is on this side."""

    _heard_s: float = 0.0
    _put_up_s: float | None = None
    _through: int = 0

    @property
    def is_up(self) -> bool:
        """Whether its receipt is waited for."""
        return self._put_up_s is not None

    def heard(self, now_s: float) -> None:
        """The broker said something."""
        self._heard_s = now_s

    def is_silent(self, now_s: float) -> bool:
        """Whether the broker has said nothing for too long, since the fence where it is up."""
        return now_s - max(self._put_up_s or 0.0, self._heard_s) > SILENCE_S

    def put_up(self, through: int, now_s: float) -> None:
        """A subscription goes out behind all batches up to ``through``."""
        self._put_up_s, self._through = now_s, through

    def passed(self) -> int | None:
        """The receipt is here: the broker has all up to this batch; None where no fence was up."""
        was_up, self._put_up_s = self.is_up, None
        return self._through if was_up else None
