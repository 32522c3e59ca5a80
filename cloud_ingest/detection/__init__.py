"""Detectors: is this value unusual for its series, and is this sensor telling the truth."""

from cloud_ingest.detection.defaults import Defaults, Layer, for_quantity
from cloud_ingest.detection.ensemble import EnsembleDetector
from cloud_ingest.detection.explain import Explanation, Finding, explain
from cloud_ingest.detection.faults import FaultDetector
from cloud_ingest.detection.layers import LayeredDetector
from cloud_ingest.detection.memory import StateMismatchError
from cloud_ingest.detection.protocol import (
    Detector,
    Judgement,
    Reason,
    Scores,
    threshold_for_budget,
)
from cloud_ingest.detection.seasonal import SeasonalResidualDetector

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
