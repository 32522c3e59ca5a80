"""Quality flags of samples (QARTOD) and the Sparkplug quality codes they map to."""

from enum import IntEnum

SPARKPLUG_GOOD = 192
SPARKPLUG_BAD = 0
SPARKPLUG_STALE = 500


class Flag(IntEnum):
    """Quality of one sample (QARTOD flag scheme, as in ioos_qc 3.0)."""

    PASS = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


# If several tests judge a sample, the flag that comes later here is kept.
PRECEDENCE = (Flag.MISSING, Flag.NOT_EVALUATED, Flag.PASS, Flag.SUSPECT, Flag.FAIL)


def to_sparkplug(flag: Flag) -> int:
    """The Sparkplug quality code for hosts that do not know QARTOD flags."""
    if flag in (Flag.FAIL, Flag.MISSING):
        return SPARKPLUG_BAD
    return SPARKPLUG_STALE if flag is Flag.SUSPECT else SPARKPLUG_GOOD


def from_sparkplug(code: int) -> Flag:
    """The flag for a Sparkplug quality code: bad fails, stale is suspect, others not evaluated."""
    if code == SPARKPLUG_BAD:
        return Flag.FAIL
    return Flag.SUSPECT if code == SPARKPLUG_STALE else Flag.NOT_EVALUATED
