"""Names of metrics and properties on the wire (contract C5 and acknowledged delivery)."""

BDSEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"

ACK_THROUGH = "Node Control/Ack Through"
"""Written by the host: every batch up to this number is stored."""
STORE_BATCH = "Store/Batch"
"""In a DATA message: the number of the report whose samples precede it; marked transient.

A report number: the wire, the code and the outbox file call it Batch."""
STORE_OLDEST = "Store/Oldest"
"""In the NBIRTH: the lowest report number in the outbox."""
STORE_NEXT = "Store/Next"
"""In the NBIRTH: the number of the next batch."""

STORE_BACKLOG = "Store/Backlog"
"""Samples in the outbox (Int64); in the NBIRTH, and in an NDATA after a change."""
STORE_OLDEST_TIME = "Store/Oldest Time"
"""Time of the oldest sample in the outbox, ms (Int64, null if empty)."""
STORE_MEASURED = "Store/Measured"
"""Samples put into the outbox since its start (UInt64)."""
STORE_GIVEN_UP = "Store/Given Up"
"""Samples evicted or lost because the outbox was full or damaged, since its start (UInt64)."""

STATION_ID = "Properties/Station"
STATION_NAME = "Properties/Station Name"
LATITUDE = "Properties/Latitude"
LONGITUDE = "Properties/Longitude"
AGENT_VERSION = "Properties/Agent Version"
# in a DBIRTH
PROFILE = "Properties/Profile"
MANUFACTURER = "Properties/Manufacturer"
MODEL = "Properties/Model"
BUS = "Properties/Bus"
HISTORY_ONLY = "Properties/History Only"
"""True in the DBIRTH of an absent device: only its backlog follows, then a DDEATH."""

DIAGNOSTICS = "Diagnostics/"
"""Node metrics ``Diagnostics/{device}/{counter}`` (UInt64): counters of a device's bus."""
DIAGNOSTIC_COUNTERS = (
    "polls", "answers", "timeouts", "crc_errors", "exceptions", "short_frames",
    "foreign_frames", "late_replies", "resyncs", "bus_errors", "counter_resets",
)  # fmt: skip

RESERVED = ("Node Control/", "Store/", "Properties/", DIAGNOSTICS, "Device Control/")
"""Prefixes of metrics that describe the gateway or a device and are not series."""

ENG_UNIT = "engUnit"
QUALITY = "Quality"
FLAG = "Quantrac/Flag"
QUANTITY = "Quantrac/Quantity"
INTERVAL = "Quantrac/Interval"
REFERENCE_TEMPERATURE = "Quantrac/Reference Temperature"
"""Property: degrees Celsius at which a gas concentration in ppb or ppm is stated."""
REFERENCE_PRESSURE = "Quantrac/Reference Pressure"
"""Property: hPa at which a gas concentration in ppb or ppm is stated."""
LOW = "low"
HIGH = "high"


def is_reserved(name: str) -> bool:
    """True if a metric of this name is not a measured series."""
    return name == BDSEQ or name.startswith(RESERVED)
