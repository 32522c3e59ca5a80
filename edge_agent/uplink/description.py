"""The description of a gateway for its births, and the settings of the uplink."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from telemetry.sparkplug.topics import NAMESPACE, Topic


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """A measured metric. ``unit`` is that of its samples; ``interval_ms`` is 0 if unknown."""

    name: str
    quantity: str
    unit: str
    interval_ms: int = 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """A device and its metrics."""

    name: str
    metrics: tuple[MetricDescription, ...]
    profile: str = ""
    manufacturer: str = ""
    model: str = ""
    bus: str = ""


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """The gateway: its station, its devices and its own metrics."""

    devices: tuple[DeviceDescription, ...]
    station_id: str = ""
    station_name: str = ""
    latitude: float | None = None
    longitude: float | None = None
    agent_version: str = ""
    metrics: tuple[MetricDescription, ...] = ()


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A broker and its credentials. ``mqtts://`` is TLS; the password is the first line of its file."""

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
        """The password, read from the file now. Raises OSError."""
        if self.password_file is None:
            return None
        return self.password_file.read_text(encoding="utf-8").partition("\n")[0].strip()


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """Where and under which name the gateway reports.

    ``host``: the Sparkplug host application to wait for; None: report at once. ``confirm``:
    ``stored`` keeps samples until the host has stored them, ``standard`` is plain Sparkplug for a
    foreign host. With several ``brokers`` the uplink goes on to the next when one fails.
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
