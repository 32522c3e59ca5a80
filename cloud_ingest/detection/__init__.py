"""Detectors: is this value unusual for its series, and is this sensor telling the truth."""

from cloud_ingest.detection.defaults import AlertBudget, Layer, budget_for_quantity
from cloud_ingest.detection.detector import (
    AnyScores,
    Detector,
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
    "AlertBudget",
    "AnyScores",
    "Detector",
    "EnsembleDetector",
    "Explanation",
    "FaultDetector",
    "Finding",
    "Layer",
    "LayeredDetector",
    "Reason",
    "Scores",
    "SeasonalResidualDetector",
    "StateMismatchError",
    "budget_for_quantity",
    "explain",
    "threshold_for_budget",
]
