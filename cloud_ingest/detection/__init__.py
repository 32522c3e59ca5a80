"""Detectors: is this value unusual for its series, and is this sensor telling the truth."""

from cloud_ingest.detection.defaults import Defaults, Layer, for_quantity
from cloud_ingest.detection.detector import (
    Detector,
    Judgement,
    Reason,
    Scores,
    threshold_for_budget,
)
from cloud_ingest.detection.explain import Explanation, Finding, explain
from cloud_ingest.detection.layered_detector import LayeredDetector
from cloud_ingest.detection.sensor_faults.detector import FaultDetector
from cloud_ingest.detection.state_arrays import StateMismatchError
from cloud_ingest.detection.statistical.ensemble import EnsembleDetector
from cloud_ingest.detection.statistical.seasonal_residual import SeasonalResidualDetector

__all__ = [
    "Defaults",
    "Detector",
    "EnsembleDetector",
    "Explanation",
    "FaultDetector",
    "Finding",
    "Judgement",
    "Layer",
    "LayeredDetector",
    "Reason",
    "Scores",
    "SeasonalResidualDetector",
    "StateMismatchError",
    "explain",
    "for_quantity",
    "threshold_for_budget",
]
