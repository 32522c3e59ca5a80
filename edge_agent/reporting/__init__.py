"""What becomes of a device's readings before they are reported: totals, averages, report filter."""
