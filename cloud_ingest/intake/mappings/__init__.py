"""Payloads that are not Sparkplug: plain JSON, SenML and line protocol, mapped by YAML files."""

from cloud_ingest.intake.mappings.configuration import Mapping, MappingFile, load_mappings
from cloud_ingest.intake.mappings.mapping import MappedSample, MappingError, RefusedValue, apply

__all__ = [
    "MappedSample", "Mapping", "MappingError", "MappingFile", "RefusedValue", "apply", "load_mappings",
]  # fmt: skip
