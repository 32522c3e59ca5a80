"""The parts of ``cloud.yaml`` about the broker and the limits of intake."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddedBrokerConfiguration(_FrozenModel):
    """A broker inside this process, for demonstrations and small sites."""

    port: int = Field(ge=1, le=65535)
    host: str = "127.0.0.1"


class BrokerConfiguration(_FrozenModel):
    """The MQTT broker: its address, or an embedded one."""

    url: str | None = None
    embedded: EmbeddedBrokerConfiguration | None = None
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_id: str | None = None
    keep_alive_s: int = Field(default=30, ge=5, le=3600)

    @field_validator("url")
    @classmethod
    def _is_mqtt(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError("write mqtt://host:1883, or mqtts://host:8883 for TLS")
        if parts.username or parts.password:
            raise ValueError("put the user into username and the password into password_file")
        return url

    @model_validator(mode="after")
    def _is_one(self) -> "BrokerConfiguration":
        if (self.url is None) == (self.embedded is None):
            raise ValueError("give either url or embedded")
        return self

    @property
    def address(self) -> tuple[str, int, bool]:
        """Host, port and whether TLS is used."""
        if self.embedded is not None:
            return self.embedded.host, self.embedded.port, False
        parts = urlsplit(self.url or "")
        return (
            parts.hostname or "",
            parts.port or DEFAULT_PORTS[parts.scheme],
            (parts.scheme == "mqtts"),
        )

    def password(self) -> str | None:
        """The password, read from its file."""
        if self.password_file is None:
            return None
        return self.password_file.read_text(encoding="utf-8").strip()


class IntakeConfiguration(_FrozenModel):
    """Limits of intake; the defaults suit a province."""

    filters: tuple[str, ...] = ("spBv1.0/#",)
    max_payload_bytes: int = Field(default=1_048_576, ge=1024, le=64 * 1024 * 1024)
    queue_bytes: int = Field(default=64_000_000, ge=1_000_000)
    spill_bytes: int = Field(default=1_000_000_000, ge=0)
    batch_samples: int = Field(default=10_000, ge=1)
    batch_ms: int = Field(default=250, ge=1, le=10_000)
    reorder_timeout_s: float = Field(default=2.0, ge=0)
    rebirths_per_s: float = Field(default=20.0, gt=0)
    new_series_per_minute: int = Field(default=2_000, ge=1)
    max_series_per_gateway: int = Field(default=20_000, ge=1)
    max_future_s: float = Field(default=3600.0, ge=0)
    mappings: tuple[Path, ...] = ()
