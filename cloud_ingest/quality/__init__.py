"""Quality control: every sample gets a QARTOD flag before it is stored."""

from cloud_ingest.quality.control import MarkedSpan, QualityControl
from cloud_ingest.quality.settings import QualitySettings, load_settings

__all__ = ["MarkedSpan", "QualityControl", "QualitySettings", "load_settings"]
