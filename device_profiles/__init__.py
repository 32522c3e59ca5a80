"""What models of devices measure and how to read them: bytes in, samples out, no I/O."""

from device_profiles import library
from device_profiles.catalogue import ProfileNotFound, load_profile
from device_profiles.metric import Metric
from device_profiles.profile import Profile

__all__ = ["Metric", "Profile", "ProfileNotFound", "library", "load_profile"]
