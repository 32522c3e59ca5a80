"""Names of slow faults: gain, out of step, offset or drift, by the comparison with the peers."""

import numpy as np

from cloud_ingest.detection.detector import Reason
from cloud_ingest.detection.sensor_faults import peers
from cloud_ingest.detection.sensor_faults.level_shift import CONFIRM
from cloud_ingest.detection.sensor_faults.sensor_state import Float32, SensorField
from telemetry.batches import UInt8

_ROUGHER = np.log(2.0)
"""A gain makes the steps at least this much higher (logarithm)."""
_ONE_SIDED = 0.85
"""Mean difference by mean distance: 1 where the series stays on one side of its usual difference."""
_GROWING = 0.875
"""Plain mean by late mean: 1 for a constant deviation, 0.75 for one that grows evenly."""
_MOST = 0.5
"""An offset begins with a level shift of at least this share of the deviation."""


def name_slow_fault(sensor: Float32, rougher: Float32, before: UInt8) -> UInt8:
    """Reason codes of slow faults; ``before`` where no name fits better.

    ``rougher`` is the increase of the logarithm of the step height, minus the increase at the
    peers. A gain makes the steps higher. A series that is out of step lies on both sides of its
    usual difference. An offset exists at once, a drift grows.
    """
    known = sensor[SensorField.COMPARISONS] >= peers.DAY_STEPS
    deviation = sensor[SensorField.PEER_DIFFERENCE] - sensor[SensorField.USUAL_PEER_DIFFERENCE]
    plain, late = sensor[SensorField.DEVIATION_MEAN], sensor[SensorField.DEVIATION_LATE_MEAN]
    one_sided = known & (sensor[SensorField.DEVIATION_COUNT] >= CONFIRM)
    one_sided &= (plain > 0) == (deviation > 0)
    height = sensor[SensorField.SHIFT_HEIGHT] * np.sign(deviation)
    shifted = height >= _MOST * np.abs(deviation)
    shifted &= sensor[SensorField.SHIFT_EVIDENCE] > 0
    shifted &= sensor[SensorField.SINCE_SHIFT] <= 3.0 * peers.DAY_STEPS
    grows = np.abs(plain) < _GROWING * np.abs(late)
    reason = before.copy()
    reason[one_sided] = np.where(grows & ~shifted, Reason.DRIFT, Reason.OFFSET)[one_sided]
    both_sides = np.abs(deviation) < _ONE_SIDED * sensor[SensorField.PEER_DISTANCE]
    reason[known & both_sides] = Reason.OUT_OF_STEP
    reason[known & (rougher > _ROUGHER)] = Reason.GAIN
    return reason
