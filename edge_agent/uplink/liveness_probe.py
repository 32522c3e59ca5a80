"""Finds out whether the broker is alive, and how much of what was published it has taken.

A broker handles the packets of a client in order. So the receipt of a subscription says that
everything published before it has arrived.
"""

from dataclasses import dataclass

SILENCE_S = 5.0
"""Probe the broker after this time without traffic while a confirmation is due; disconnect after
the same time without an answer."""


@dataclass(slots=True)
class LivenessProbe:
    """A subscription that is sent again only for its receipt."""

    _heard_s: float = 0.0
    _sent_s: float | None = None
    _through: int = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a probe was sent and its receipt has not arrived."""
        return self._sent_s is not None

    def heard(self, now_s: float) -> None:
        """Something arrived from the broker."""
        self._heard_s = now_s

    def is_silent(self, now_s: float) -> bool:
        """Whether nothing has arrived for SILENCE_S, counted from the probe if one was sent."""
        return now_s - max(self._sent_s or 0.0, self._heard_s) > SILENCE_S

    def send(self, through: int, now_s: float) -> None:
        """A probe goes out behind all batches up to ``through``."""
        self._sent_s, self._through = now_s, through

    def passed(self) -> int | None:
        """The receipt is here: the batch up to which the broker has all, None without a probe."""
        was_waiting, self._sent_s = self.is_waiting, None
        return self._through if was_waiting else None
