"""The profiles that come with Quantrac: one YAML file for each model of device."""

from device_profiles.catalogue import ids, load, path

__all__ = ["ids", "load", "path"]
