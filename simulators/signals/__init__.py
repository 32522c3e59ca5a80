"""A simulated world with weather, traffic, air, noise, water and power.

Each value is a function of a seed and the time, evaluated on arrays of times. It does not depend on
the order of evaluation, the speed or the process.
"""
