"""Quality control: every sample gets a QARTOD flag before it is stored."""

from cloud_ingest.quality.control import QualityControl

__all__ = ["QualityControl"]
