"""Errors of a real sensor: noise, offset, drift, warm-up, saturation."""

from dataclasses import dataclass

import numpy as np

from simulators.signals.randomness import Float64, Int64, normal

# quantity: standard deviation of a reading, absolute and relative
_NOISE: dict[str, tuple[float, float]] = {
    "pm1": (0.4, 0.03), "pm2_5": (0.5, 0.03), "pm4": (0.6, 0.03), "pm10": (0.8, 0.04),
    "no2": (0.8, 0.02), "so2": (0.6, 0.02), "o3": (1.0, 0.01), "co": (8.0, 0.01),
    "h2s": (0.2, 0.03), "nh3": (0.2, 0.02), "voc": (2.0, 0.02), "co2": (1.5, 0.002),
    "air_temperature": (0.05, 0.0), "relative_humidity": (0.3, 0.0),
    "atmospheric_pressure": (0.05, 0.0), "wind_speed": (0.05, 0.03), "wind_gust": (0.05, 0.02),
    "wind_direction": (2.0, 0.0), "solar_irradiance": (0.5, 0.004), "illuminance": (5.0, 0.004),
    "laeq": (0.15, 0.0), "water_temperature": (0.02, 0.0), "ph": (0.008, 0.0),
    "dissolved_oxygen": (0.02, 0.0), "dissolved_oxygen_saturation": (0.2, 0.0),
    "conductivity": (1.0, 0.002), "turbidity": (0.1, 0.02), "orp": (0.8, 0.0),
    "cod": (0.4, 0.01), "bod5": (0.3, 0.015), "tss": (0.3, 0.015), "ammonium": (0.03, 0.01),
    "nitrate": (0.05, 0.01), "water_level": (0.001, 0.0), "flow_rate": (0.05, 0.004),
    "dust": (0.4, 0.01), "oxygen": (0.03, 0.0), "stack_temperature": (0.4, 0.0),
    "stack_flow": (50.0, 0.004), "vehicle_speed": (0.3, 0.01), "voltage": (0.08, 0.0),
    "current": (0.002, 0.002), "active_power": (0.3, 0.002), "frequency": (0.003, 0.0),
    "battery_voltage": (0.01, 0.0), "cabinet_temperature": (0.1, 0.0),
    "soil_moisture": (0.1, 0.0), "soil_temperature": (0.05, 0.0), "signal_strength": (1.0, 0.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sensor:
    """The errors of one metric of one device, in the canonical unit.

    For ``warm_up_s`` after ``on_since_ms`` the reading moves from ``cold`` to the true value. It
    saturates at ``low`` and ``high``.
    """

    noise: float = 0.0
    noise_share: float = 0.0
    offset: float = 0.0
    gain: float = 1.0
    drift_per_day: float = 0.0
    warm_up_s: float = 0.0
    cold: float = 0.0
    low: float = -np.inf
    high: float = np.inf

    def read(self, key: int, true: Float64, time_ms: Int64, on_since_ms: int) -> Float64:
        """The reading at each time; ``key`` is the seed of the noise."""
        on_s = (time_ms - on_since_ms) / 1000.0
        value = true * self.gain + self.offset + self.drift_per_day * on_s / 86400.0
        if self.noise or self.noise_share:
            spread = self.noise + self.noise_share * np.abs(true)
            value = value + spread * normal(key, time_ms)
        if self.warm_up_s:
            warm = 1.0 - np.exp(-3.0 * np.maximum(on_s, 0.0) / self.warm_up_s)
            value = self.cold + (value - self.cold) * warm
        return np.clip(value, self.low, self.high)


def usual_noise(quantity: str) -> tuple[float, float]:
    """Standard deviation of a typical sensor: absolute and relative."""
    return _NOISE.get(quantity, (0.0, 0.0))
