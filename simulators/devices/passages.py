"""Vehicles that pass a radar; it sends a frame for each."""

from collections.abc import Mapping

from device_profiles import Profile
from simulators.devices.stream_port import Moments
from simulators.signals.places import Place
from simulators.signals.world import World


def passages(profile: Profile, world: World, place: Place) -> Moments | None:
    """The times at which a traffic sensor sends frames; None for other profiles."""
    speeds = [m for m in profile.metrics if m.quantity == "vehicle_speed"]
    if profile.domain != "traffic" or not speeds:
        return None
    ways = [m.name for m in speeds if "bound" in m.name] or [speeds[0].name]
    road = world.road(place)
    last_ms = 0

    def next_passage(now_ms: int) -> tuple[int, Mapping[str, float]]:
        nonlocal last_ms
        after_s = max(now_ms, last_ms) / 1000.0 + world.offset_s
        day, second = divmod(after_s, 86400.0)
        for d in (int(day), int(day) + 1):
            track = road.day(d)
            i = int(track.arrival_s.searchsorted(second if d == int(day) else 0.0, side="right"))
            if i < len(track.arrival_s):
                moment = round((d * 86400.0 + float(track.arrival_s[i]) - world.offset_s) * 1000)
                last_ms = max(moment, last_ms + 1)
                way = ways[i % len(ways)]
                factor = profile.metric(way).from_canonical(1.0)
                return last_ms, {way: float(track.speed_km_h[i]) * factor}
        last_ms = now_ms + 3_600_000
        return last_ms, {}

    return next_passage
