"""The field ``store`` of ``cloud.yaml`` (contract C6)."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class KeepConfiguration(BaseModel):
    """For how many days each resolution is kept; null keeps it for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw_days: int | None = Field(90, ge=1)
    minute_days: int | None = Field(730, ge=1)
    hour_days: int | None = Field(None, ge=1)
    day_days: int | None = Field(None, ge=1)


class StoreConfiguration(BaseModel):
    """Where samples are stored.

    ``embedded`` needs ``path``, a folder. ``influxdb`` needs ``url`` and ``bucket`` (a database in
    InfluxDB 1.x and 3.x), with ``token_file`` and ``org`` for 2.x and 3.x, or ``username`` and
    ``password_file`` for 1.x.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["embedded", "influxdb"] = "embedded"
    path: Path | None = None
    url: str | None = Field(None, pattern=r"^https?://[^\s/]+(/.*)?$")
    token_file: Path | None = None
    org: str | None = None
    bucket: str = Field("quantrac", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,120}$")
    username: str | None = None
    password_file: Path | None = None
    timeout_s: float = Field(30.0, gt=0, le=600)
    keep: KeepConfiguration = KeepConfiguration()  # type: ignore[call-arg]  # defaults are given

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        foreign = ("url", "token_file", "org", "username", "password_file")
        if self.kind == "embedded":
            given = [name for name in foreign if getattr(self, name) is not None]
            if given:
                raise ValueError(f"{given[0]} belongs to kind influxdb, not to kind embedded")
            if self.path is None:
                raise ValueError("kind embedded needs a path, the folder for the samples")
            return self
        if self.path is not None:
            raise ValueError("path belongs to kind embedded, not to kind influxdb")
        if self.url is None:
            raise ValueError("kind influxdb needs a url, such as http://127.0.0.1:8086")
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file are given together or not at all")
        if self.token_file is not None and self.username is not None:
            raise ValueError("give token_file (2.x, 3.x) or username (1.x), not both")
        return self

    def relative_to(self, folder: Path) -> "StoreConfiguration":
        """A copy with its paths relative to ``folder``, the folder of the configuration file."""
        paths = {
            name: folder / value
            for name in ("path", "token_file", "password_file")
            if (value := getattr(self, name)) is not None
        }
        return self.model_copy(update=paths)
