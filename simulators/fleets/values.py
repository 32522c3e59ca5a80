"""The values of the gateways of a fleet."""

import numpy as np

from simulators.fleets.shape import ORDINARY, GatewayShape
from simulators.signals.randomness import Float64, Int64, key_of, normal, uniform


class FleetValues:
    """Values of many gateways of one shape: a mean for each series, a daily wave, and noise."""

    def __init__(self, shape: GatewayShape, seed: int, gateways: int) -> None:
        known = {q: (mean, swing) for q, mean, swing in ORDINARY}
        self._devices = []
        for number, device in enumerate(shape.devices):
            ordinary = [known.get(m.quantity, (10.0, 2.0)) for m in device.metrics]
            mean = np.array([o[0] for o in ordinary])
            swing = np.array([o[1] for o in ordinary])
            key = key_of(seed, "fleet", number)
            width = len(device.metrics)
            own = uniform(key, np.arange(gateways * width)).reshape(gateways, width)
            level = mean + (own - 0.5) * swing
            phase = 2.0 * np.pi * (np.modf(own * 977.0)[0] * 0.2 + np.arange(width) * 0.37)
            self._devices.append((level, swing, phase, key))

    def measure(self, device: int, gateways: Int64, time_ms: Int64) -> Float64:
        """Values of one device at some gateways, each at its time; shape (gateways, metrics)."""
        level, swing, phase, key = self._devices[device]
        width = level.shape[1]
        angle = 2.0 * np.pi * np.mod(time_ms, 86_400_000) / 86_400_000.0
        wave = np.sin(angle[:, np.newaxis] + phase[gateways])
        turn = (gateways * 1_000_003 + time_ms)[:, np.newaxis] * width + np.arange(width)
        value = level[gateways] + swing * (0.6 * wave + 0.05 * normal(key, turn))
        rounded: Float64 = np.round(value, 3)
        return rounded
