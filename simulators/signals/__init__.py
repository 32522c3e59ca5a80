"""What there is to measure: a small world with weather, traffic, air, noise, water and power.

Everything is a function of a seed and the time, on arrays of times: the same question gets the
same answer in any order, at any speed, in any process.
"""
