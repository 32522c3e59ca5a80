"""``cloud.yaml``: the configuration of the cloud service (contract C6)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud_ingest.intake.configuration import BrokerConfiguration, IntakeConfiguration
from cloud_ingest.notification import ChannelConfiguration
from cloud_ingest.stores.configuration import StoreConfiguration
from telemetry.yaml_files import process_environment, read_yaml_file


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebConfiguration(_FrozenModel):
    """Where the API and the web page are served."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)


class CloudConfiguration(_FrozenModel):
    """The whole of ``cloud.yaml``. Paths in it are relative to ``folder``, where the file is."""

    broker: BrokerConfiguration
    host: str = Field(default="quantrac", pattern=r"^[^/+#]{1,64}$")
    store: StoreConfiguration
    database: str = "sqlite:///./data/quantrac.db"
    web: WebConfiguration = WebConfiguration()
    rules: tuple[str, ...] = ()
    notify: tuple[str | ChannelConfiguration, ...] = ()
    tags: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    intake: IntakeConfiguration = IntakeConfiguration()
    folder: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _embedded_broker(cls, data: Any) -> Any:
        # The contract allows "embedded" at the top level too.
        if isinstance(data, dict) and "embedded" in data and "broker" not in data:
            rest = {k: v for k, v in data.items() if k != "embedded"}
            return rest | {"broker": {"embedded": data["embedded"]}}
        return data

    def validation_errors(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Errors between fields that are well formed each by itself."""
        scheme = self.database.split(":", 1)[0]
        if scheme not in ("sqlite", "postgresql", "postgresql+psycopg"):
            yield (
                ("database",),
                "write sqlite:///./data/quantrac.db or postgresql://user@host/name",
            )


def load_cloud(path: Path) -> CloudConfiguration:
    """Read ``cloud.yaml``; ``${NAME}`` comes from the environment. Raises YamlFileError."""
    read = read_yaml_file(path, CloudConfiguration, process_environment())
    return in_folder(read, path.parent)


def in_folder(configuration: CloudConfiguration, folder: Path) -> CloudConfiguration:
    """The same configuration with relative paths resolved against ``folder``."""
    broker = configuration.broker
    files = {
        name: folder / value
        for name in ("password_file", "ca_file", "cert_file", "key_file")
        if (value := getattr(broker, name)) is not None
    }
    intake = configuration.intake
    return configuration.model_copy(
        update={
            "folder": folder,
            "broker": broker.model_copy(update=files),
            "store": configuration.store.relative_to(folder),
            "database": _database_in(configuration.database, folder),
            "intake": intake.model_copy(
                update={"mappings": tuple(folder / m for m in intake.mappings)}
            ),
        }
    )


def _database_in(url: str, folder: Path) -> str:
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url.startswith("sqlite:////") or ":memory:" in url:
        return url
    return prefix + str((folder / url.removeprefix(prefix)).resolve())
