"""Device profiles: what each model of device measures and how to decode it. No I/O."""

from device_profiles import library
from device_profiles.loading import ProfileNotFound, load_profile
from device_profiles.metric import Metric
from device_profiles.profile import Profile

__all__ = ["Metric", "Profile", "ProfileNotFound", "library", "load_profile"]
