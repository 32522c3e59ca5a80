"""What a gateway says of itself in its births, and where it says it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from telemetry.sparkplug.topics import NAMESPACE, Topic


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """A measured metric. ``unit`` is the one its samples are in, ``interval_ms`` 0 if unknown."""

    name: str
    quantity: str
    unit: str
    interval_ms: int = 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """A device and all that it measures."""

    name: str
    metrics: tuple[MetricDescription, ...]
    profile: str = ""
    manufacturer: str = ""
    model: str = ""
    bus: str = ""


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """The gateway: where it stands, its devices, and metrics of its own."""

    devices: tuple[DeviceDescription, ...]
    station_id: str = ""
    station_name: str = ""
    latitude: float | None = None
    longitude: float | None = None
    agent_version: str = ""
    metrics: tuple[MetricDescription, ...] = ()


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A broker and how to log in there. ``mqtts://`` is TLS; the password is the file's first line."""

    url: str
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def host(self) -> str:
        """The broker's name or address."""
        return urlsplit(self.url).hostname or "localhost"

    @property
    def port(self) -> int:
        """The broker's port; by default 1883, or 8883 with TLS."""
        return urlsplit(self.url).port or (8883 if self.tls else 1883)

    def password(self) -> str | None:
        """The password as the file says now; OSError where it cannot be read."""
        if self.password_file is None:
            return None
        return self.password_file.read_text(encoding="utf-8").partition("\n")[0].strip()


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """Where the gateway reports and under which name.

    ``host``: the Sparkplug host application to wait for; None: report at once. ``confirm``:
    ``stored`` keeps samples until the host has stored them, ``standard`` is plain Sparkplug for a
    foreign host. With several ``brokers`` the uplink walks on where one fails.
    """

    group: str
    gateway: str
    brokers: tuple[BrokerAddress, ...]
    host: str | None = None
    confirm: Literal["stored", "standard"] = "stored"
    keepalive_s: int = 10

    @property
    def command_topic(self) -> str:
        """The topic of commands to the gateway."""
        return str(Topic(self.group, "NCMD", self.gateway))

    @property
    def device_command_topics(self) -> str:
        """The topic filter of commands to any of its devices."""
        return f"{NAMESPACE}/{self.group}/DCMD/{self.gateway}/+"
