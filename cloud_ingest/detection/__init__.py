"""Detectors: is this value unusual for its series, and is this sensor telling the truth."""

from cloud_ingest.detection.protocol import (
    Detector,
    Reason,
    Scores,
    threshold_for_budget,
)
from cloud_ingest.detection.seasonal import SeasonalResidualDetector

__all__ = [
    "Detector",
    "Reason",
    "Scores",
    "SeasonalResidualDetector",
    "threshold_for_budget",
]
