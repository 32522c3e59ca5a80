"""The sensor-fault detector: does this sensor tell the truth."""
