"""``cloud.yaml``: the configuration of the cloud service (contract C6)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from alert_rules.loading.packs import RuleNotFound, pack_path
from cloud_ingest.intake.configuration import BrokerConfiguration, IntakeConfiguration
from cloud_ingest.notification import ChannelConfiguration
from cloud_ingest.stores.configuration import StoreConfiguration
from telemetry.yaml_files import (
    FileProblem,
    YamlFileError,
    line_of,
    parse_yaml_tree,
    process_environment,
    read_yaml_file,
)


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebConfiguration(_FrozenModel):
    """Where the API and the web page are served."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)


def _as_channel(entry: Any) -> Any:
    return {"url": entry} if isinstance(entry, str) else entry


class CloudConfiguration(_FrozenModel):
    """The whole of ``cloud.yaml``. Paths in it are relative to ``folder``, where the file is."""

    broker: BrokerConfiguration
    host: str = Field(default="quantrac", pattern=r"^[^/+#]{1,64}$")
    store: StoreConfiguration
    database: str = "sqlite:///./data/quantrac.db"
    web: WebConfiguration = WebConfiguration()
    rules: tuple[str, ...] = ()
    notify: tuple[Annotated[ChannelConfiguration, BeforeValidator(_as_channel)], ...] = ()
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


def check_files(path: Path, configuration: CloudConfiguration) -> None:
    """Raise YamlFileError if a rule pack or a mapping that ``cloud.yaml`` names is not there."""
    absent = list(_absent_files(configuration))
    if absent:
        tree = parse_yaml_tree(path.read_text(encoding="utf-8"), str(path))
        raise YamlFileError(
            [
                FileProblem(
                    str(path), line_of(tree, tuple(at)), f"{'.'.join(at[:-1])}[{at[-1]}]", problem
                )
                for *at, problem in absent
            ]
        )


def _absent_files(configuration: CloudConfiguration) -> Iterator[tuple[Any, ...]]:
    """Each rule pack and mapping that is not there: the keys that lead to it, then what is wrong."""
    for number, ref in enumerate(configuration.rules):
        try:
            file = pack_path(ref, configuration.folder)
        except RuleNotFound as error:
            yield "rules", number, str(error)
        else:
            if not file.is_file():
                yield "rules", number, f"there is no file {file}"
    for number, file in enumerate(configuration.intake.mappings):
        if not file.is_file():
            yield "intake", "mappings", number, f"there is no file {file}"


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
