"""Time: the clock, local time at the stations, and times and durations as people write them."""
