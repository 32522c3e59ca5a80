"""The fault layer: is the sensor telling the truth."""
