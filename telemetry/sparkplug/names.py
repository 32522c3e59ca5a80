"""Names on the wire that both sides must spell alike (contract C5 and the acknowledged delivery)."""

BDSEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"

ACK_THROUGH = "Node Control/Ack Through"
"""Written by the host: every batch up to this number is in its database."""
STORE_BATCH = "Store/Batch"
"""In a report: the number of the batch whose samples stand before it; marked transient."""
STORE_OLDEST = "Store/Oldest"
"""In the NBIRTH: the lowest batch number that the gateway still holds."""
STORE_NEXT = "Store/Next"
"""In the NBIRTH: the number that the next batch will have."""

STORE_BACKLOG = "Store/Backlog"
"""Samples in the outbox (Int64); in the NBIRTH, then by NDATA when it changed."""
STORE_OLDEST_TIME = "Store/Oldest Time"
"""Time of the oldest sample in the outbox, ms (Int64, null when empty)."""
STORE_MEASURED = "Store/Measured"
"""Samples ever put into the outbox (UInt64)."""
STORE_GIVEN_UP = "Store/Given Up"
"""Samples ever given up because the outbox was full or damaged (UInt64)."""

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
"""True in the DBIRTH of a device that is not there: only its backlog follows, then a DDEATH."""

DIAGNOSTICS = "Diagnostics/"
"""Node metrics ``Diagnostics/{device}/{counter}`` (UInt64): what happened on a device's bus."""
DIAGNOSTIC_COUNTERS = (
    "polls", "answers", "timeouts", "crc_errors", "exceptions", "short_frames",
    "foreign_frames", "late_replies", "resyncs", "bus_errors", "counter_resets",
)  # fmt: skip

RESERVED = ("Node Control/", "Store/", "Properties/", DIAGNOSTICS, "Device Control/")
"""Metrics whose names begin so describe the gateway or device; they are kept, but are no series."""

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
    """Whether a metric of this name is no measured series."""
    return name == BDSEQ or name.startswith(RESERVED)
