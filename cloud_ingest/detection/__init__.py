"""Detectors: unusual values of a series (statistical layer) and sensor faults (fault layer)."""

from cloud_ingest.detection.alert_budgets import AlertBudget, budget_for_quantity
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
    "LayeredDetector",
    "Reason",
    "Scores",
    "SeasonalResidualDetector",
    "StateMismatchError",
    "budget_for_quantity",
    "explain",
    "threshold_for_budget",
]
