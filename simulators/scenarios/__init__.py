"""Scenario files: stations, devices, episodes and faults of a simulation."""

from simulators.scenarios.library import find_scenario, scenario_names
from simulators.scenarios.model import Scenario, load_scenario

__all__ = ["Scenario", "find_scenario", "load_scenario", "scenario_names"]
