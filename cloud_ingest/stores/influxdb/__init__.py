"""Samples in InfluxDB: written as line protocol, read in InfluxQL, which 1.x, 2.x and 3.x share."""
