"""Plain Python models that the vectorised code must agree with, one sample at a time."""

from alert_rules.hold_time import Transition


class HoldModel:
    """Hold and clear times of one row and one level, one moment at a time."""

    def __init__(self, hold_ms, clear_after_ms, gap_ms):
        self.hold_ms, self.clear_after_ms, self.gap_ms = hold_ms, clear_after_ms, gap_ms
        self.on, self.firing = False, False
        self.time_ms = self.held_ms = self.start_ms = 0
        self.peak = float("-inf")

    def feed(self, time_ms, on, value):
        changes = []
        if on == self.on:
            step = time_ms - self.time_ms
            self.held_ms += step if step <= self.gap_ms else 0
        else:
            if on:
                self.start_ms = time_ms
                if not self.firing:
                    self.peak = float("-inf")
            elif not self.firing:
                changes.append(("cancel", time_ms))
            self.held_ms = 0
        was_on, self.on, self.time_ms = self.on, on, time_ms
        if on:
            self.peak = max(self.peak, value)
        if on and not self.firing and self.held_ms >= self.hold_ms:
            self.firing = True
            changes.append(("fire", time_ms))
        elif on and not was_on and not self.firing:
            changes.append(("pending", time_ms))
        elif not on and self.firing and self.held_ms >= self.clear_after_ms:
            self.firing = False
            changes.append(("clear", time_ms))
        return changes


def changes_of(transitions: list[Transition]):
    return [(t.change, t.time_ms) for t in transitions]
