"""Roughness of a series: the mean height of its steps, which grows with noise and with gain."""

import numpy as np

from cloud_ingest.detection import pareto_tail
from cloud_ingest.detection.sensor_faults.sensor_state import Float32, SensorField
from telemetry.batches import Bool

STEPS = 12.0
"""Steps in the mean."""
LONGEST = 10_000.0
"""Samples over which the usual roughness remembers."""
_FAR = 2.0  # once the usual is known, a deviation counts for at most this (logarithm)


def follow_roughness(sensor: Float32, x: Float32, step_ms: Float32) -> tuple[Float32, Bool]:
    """The logarithm of the mean step height, and whether it is known; updates the usual interval."""
    count, interval = sensor[SensorField.COUNT], sensor[SensorField.INTERVAL_MS]
    step_ms = np.where(count > 0, step_ms, np.float32(0.0))
    followed = interval + 0.05 * (np.minimum(step_ms, 2.0 * interval) - interval)
    interval[:] = np.where(count < 2, step_ms, followed)
    consecutive = (count > 0) & (step_ms <= 4.0 * interval)
    rough = sensor[SensorField.ROUGHNESS]
    height = np.where(consecutive, np.abs(x - sensor[SensorField.LAST_VALUE]), np.float32(0.0))
    # A single jump is not roughness: a step counts for at most four times the mean.
    height = np.where(count > 24, np.minimum(height, 4.0 * rough + 1e-9), height)
    rough += consecutive / np.minimum(count + 1.0, STEPS) * (height - rough)
    logged: Float32 = np.log(rough + 1e-9)
    known = count > 2 * STEPS
    _follow_usual(sensor, logged, known)
    return logged, known


def _follow_usual(sensor: Float32, logged: Float32, known: Bool) -> None:
    """Update the usual logarithm of the mean step height."""
    usual = sensor[SensorField.USUAL_ROUGHNESS]
    seen = sensor[SensorField.COUNT] - 2.0 * STEPS
    rate = known / np.minimum(np.maximum(seen, 1.0), LONGEST)
    away = logged - usual
    usual += rate * np.where(seen > pareto_tail.WARM_UP, np.clip(away, -_FAR, _FAR), away)


def increase(roughness: Float32, usual: Float32) -> Float32:
    """Increase of the logarithm of the step height over its usual value."""
    logged: Float32 = np.log(roughness + 1e-9) - usual
    return logged
