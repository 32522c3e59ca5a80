"""Tags: words on series by which rules select them."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace

from telemetry.series import Series


class Tags:
    """Puts tags on series. ``wanted`` maps a tag to the series that carry it.

    Each is a station, a gateway, ``gateway/device`` or ``gateway/device/metric``; ``*`` stands for
    any characters, so ``bd-*/battery`` is the device ``battery`` of every gateway ``bd-…``.
    """

    def __init__(self, wanted: Mapping[str, Sequence[str]] | None = None) -> None:
        self._wanted = {tag: tuple(patterns) for tag, patterns in (wanted or {}).items()}

    def of(self, series: Series) -> tuple[str, ...]:
        """The tags of ``series``: its own, and the configured ones."""
        key = series.key
        names = (series.station, key.gateway, f"{key.gateway}/{key.device}", str(key))
        more = (
            tag
            for tag, patterns in self._wanted.items()
            if tag not in series.tags
            and any(fnmatch.fnmatchcase(name, p) for name in names for p in patterns)
        )
        return (*series.tags, *more)

    def put_on(self, series: Sequence[Series]) -> list[Series]:
        """The same series with their tags."""
        if not self._wanted:
            return list(series)
        return [replace(s, tags=self.of(s)) for s in series]
