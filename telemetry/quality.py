"""Quality flags of samples, as QARTOD numbers them, and their form in Sparkplug."""

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


# Low to high: what wins when several tests judge one sample.
PRECEDENCE = (Flag.MISSING, Flag.NOT_EVALUATED, Flag.PASS, Flag.SUSPECT, Flag.FAIL)


def to_sparkplug(flag: Flag) -> int:
    """The Sparkplug quality code that a foreign host understands."""
    if flag in (Flag.FAIL, Flag.MISSING):
        return SPARKPLUG_BAD
    return SPARKPLUG_STALE if flag is Flag.SUSPECT else SPARKPLUG_GOOD


def from_sparkplug(code: int) -> Flag:
    """The flag for a foreign edge's quality code: bad fails, stale is suspect, others unjudged."""
    if code == SPARKPLUG_BAD:
        return Flag.FAIL
    return Flag.SUSPECT if code == SPARKPLUG_STALE else Flag.NOT_EVALUATED
