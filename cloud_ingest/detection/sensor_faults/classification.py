"""Tells slow faults from each other, by the peers and by all that was seen of an event."""

import numpy as np

from cloud_ingest.detection.detector import Reason
from cloud_ingest.detection.sensor_faults import peers
from cloud_ingest.detection.sensor_faults.level_shift import CONFIRM
from cloud_ingest.detection.sensor_faults.sensor_state import Float32, SensorField
from telemetry.batches import UInt8

_LARGER = np.log(2.0)
"""Between the usual height of steps and that of a gain that is worth an alert."""
_ONE_SIDED = 0.85
"""SensorField the mean distance from the usual difference: what stays on one side has it all."""
_GROWING = 0.875
"""Plain mean over late mean: 1 for what stays, 0.75 for what grows evenly."""
_MOST = 0.5
"""How much of the difference an own jump must make up to be its beginning."""


def name_slow(sensor: Float32, rougher: Float32, before: UInt8) -> UInt8:
    """Tell gain, out of step, offset and drift from each other; ``before`` where neither shows.

    ``rougher``: by how much the logarithm of the step height is above its usual, more than at
    the peers. A gain makes the steps larger. Out of step, a series is now above and now below
    where it usually is. An offset is there at once, a drift grows.
    """
    known = sensor[SensorField.COMPARISONS] >= peers.DAY_STEPS
    away = sensor[SensorField.PEER_DIFFERENCE] - sensor[SensorField.USUAL_PEER_DIFFERENCE]
    plain, late = sensor[SensorField.DEVIATION_MEAN], sensor[SensorField.DEVIATION_LATE_MEAN]
    told = known & (sensor[SensorField.DEVIATION_COUNT] >= CONFIRM) & ((plain > 0) == (away > 0))
    jumped = sensor[SensorField.SHIFT_HEIGHT] * np.sign(away) >= _MOST * np.abs(away)
    jumped &= sensor[SensorField.SHIFT_EVIDENCE] > 0
    jumped &= sensor[SensorField.SINCE_SHIFT] <= 3.0 * peers.DAY_STEPS
    grows = np.abs(plain) < _GROWING * np.abs(late)
    reason = before.copy()
    reason[told] = np.where(grows & ~jumped, Reason.DRIFT, Reason.OFFSET)[told]
    reason[known & (np.abs(away) < _ONE_SIDED * sensor[SensorField.PEER_DISTANCE])] = (
        Reason.OUT_OF_STEP
    )
    reason[known & (rougher > _LARGER)] = Reason.GAIN
    return reason
