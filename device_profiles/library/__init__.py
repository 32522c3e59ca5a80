"""The profile library of Quantrac: one YAML file for each model of device."""

from device_profiles.loading import ids, load, path

__all__ = ["ids", "load", "path"]
