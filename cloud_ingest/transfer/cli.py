"""``quantrac cloud init | export | import | backup | restore``."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from quantrac.console import (
    FOUND_A_PROBLEM,
    Format,
    Level,
    LogFormat,
    LogLevel,
    start_logging,
    stop,
)
from telemetry.time.clock import utc_now_ms

if TYPE_CHECKING:
    from cloud_ingest.configuration import CloudConfiguration
    from cloud_ingest.database import Database
    from cloud_ingest.transfer.importing import Form as ReadableForm
    from cloud_ingest.transfer.selection import Selection
    from telemetry.series import Series

app = typer.Typer(help="Export, import, back up and restore samples.", no_args_is_help=True)
ConfigurationFile = Annotated[
    Path, typer.Option("--config", help="The configuration file, cloud.yaml.")
]
Shard = Annotated[
    str, typer.Option(help="Which of several workers, as for quantrac cloud run: 2/3.")
]
DAY_MS = 86_400_000


class Form(StrEnum):
    """The form of a file of samples."""

    CSV = "csv"
    PARQUET = "parquet"
    EXCEL = "xlsx"
    LINES = "lines"


class Precision(StrEnum):
    """The unit of the times in line protocol."""

    NS = "ns"
    US = "us"
    MS = "ms"
    S = "s"


def _configuration(path: Path, shard: str) -> "CloudConfiguration":
    """The configuration, with the store that this worker writes."""
    from cloud_ingest.configuration import load_cloud
    from cloud_ingest.intake.mqtt.shard import Shard as Worker
    from telemetry.yaml_files import YamlFileError

    try:
        configuration = load_cloud(path)
        worker = Worker.parse(shard)
    except (YamlFileError, ValueError) as error:
        stop(error)
    store = configuration.store
    if store.path is not None and worker.name:
        store = store.model_copy(update={"path": store.path / worker.name})
    return configuration.model_copy(update={"store": store})


def _database(configuration: "CloudConfiguration", shard: str) -> "Database":
    from cloud_ingest.database import Database
    from cloud_ingest.intake.mqtt.shard import Shard as Worker

    return Database(configuration.database, Worker.parse(shard).name)


def _form_of(path: Path, given: Form | None) -> Form:
    if given is not None:
        return given
    endings = {".csv": Form.CSV, ".parquet": Form.PARQUET, ".xlsx": Form.EXCEL, ".lp": Form.LINES}
    suffixes = [s for s in path.suffixes if s != ".gz"]
    found = endings.get(suffixes[-1] if suffixes else "")
    if found is None:
        stop(f"{path}: name its format with --format: {', '.join(Form)}")
    return found


@app.command(epilog="Example: quantrac cloud init --config cloud.yaml --token-file ./influx.token")
def init(
    config: ConfigurationFile = Path("cloud.yaml"),
    admin_token_file: Annotated[
        Path | None,
        typer.Option(help="A token that may create buckets, instead of store.token_file."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Write a new token to this file that can only read and write these buckets (2.x)."
        ),
    ] = None,
    shard: Shard = "1/1",
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Set up what cloud.yaml names: databases or buckets with their retention, tables, a token.

    It may be run again: existing ones are kept, their retention is set.
    """
    from cloud_ingest.database import DatabaseUnavailable
    from cloud_ingest.stores.protocol import StoreError
    from cloud_ingest.transfer.initialise import initialise_store, keep_secret

    start_logging(log_level, log_format)
    configuration = _configuration(config, shard)
    try:
        _database(configuration, shard).migrate()
        done = initialise_store(configuration.store, admin_token_file, token_file is not None)
        if done.token and token_file is not None:
            keep_secret(token_file, done.token)
    except (StoreError, DatabaseUnavailable, OSError) as error:
        stop(error, FOUND_A_PROBLEM)
    for line in done.lines:
        typer.echo(line)
    if token_file is not None:
        typer.echo(f"token: {token_file} (readable by this user only)")


@app.command(
    "export",
    epilog="Example: quantrac cloud export --from 2026-11-01 --series bd-tdm-001 november.csv",
)
def export_command(
    file: Annotated[Path, typer.Argument(help="The file to write; - for standard output.")],
    config: ConfigurationFile = Path("cloud.yaml"),
    form: Annotated[
        Form | None, typer.Option("--format", help="Default: by the ending of the file.")
    ] = None,
    start: Annotated[str, typer.Option("--from", help="ISO 8601 or ms.")] = "1970-01-01",
    end: Annotated[str, typer.Option("--to", help="ISO 8601 or ms. Default: now.")] = "",
    series: Annotated[
        list[str] | None,
        typer.Option(help="gateway, gateway/device or gateway/device/metric; repeat for several."),
    ] = None,
    quantity: Annotated[list[str] | None, typer.Option(help="Only these quantities.")] = None,
    step: Annotated[str, typer.Option(help="One value per step (1m, 1h, 1d) instead of all.")] = "",
    aggregate: Annotated[str, typer.Option(help="mean, min, max, count or last.")] = "mean",
    mark: Annotated[
        bool,
        typer.Option("--bom", help="Start CSV with a byte order mark, so that Excel reads UTF-8."),
    ] = False,
    shard: Shard = "1/1",
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Write samples to a file: CSV, Parquet, Excel or line protocol. The system may be running."""
    from cloud_ingest.stores import open_store
    from cloud_ingest.stores.protocol import StoreError
    from cloud_ingest.transfer.export import export

    start_logging(log_level, log_format)
    configuration = _configuration(config, shard)
    kind = _form_of(file, form)
    try:
        store = open_store(configuration.store, read_only=True)
        known = _matching(_all_series(configuration, shard), series or [], quantity or [])
        store_series = (
            {s.key: s for s in store.series()} if configuration.store.kind == "embedded" else {}
        )
        chosen = [store_series.get(s.key, s) for s in known]
        selection = _selection(chosen, start, end, step, aggregate)
        if str(file) == "-":
            for block in export(store, selection, kind.value, mark):
                sys.stdout.buffer.write(block)
            return
        new = file.with_name(file.name + ".part")
        with new.open("wb") as target:
            for block in export(store, selection, kind.value, mark):
                target.write(block)
        new.replace(file)
    except (StoreError, OSError) as error:
        stop(error, FOUND_A_PROBLEM)
    typer.echo(f"{file}: {len(chosen)} series, {file.stat().st_size:,} bytes", err=True)


def _all_series(configuration: "CloudConfiguration", shard: str) -> "list[Series]":
    from cloud_ingest.database import DatabaseUnavailable
    from cloud_ingest.inventory.inventory import Inventory

    try:
        database = _database(configuration, shard)
        database.migrate()
        inventory = Inventory(database)
        inventory.load()
    except DatabaseUnavailable as error:
        stop(error, FOUND_A_PROBLEM)
    return inventory.series_by_name()


def _matching(known: "list[Series]", names: list[str], quantities: list[str]) -> "list[Series]":
    chosen = [
        s
        for s in known
        if (not names or any(str(s.key) == n or str(s.key).startswith(n + "/") for n in names))
        and (not quantities or s.quantity in quantities)
    ]
    if not chosen and known:
        stop("no series has such a name; see GET /api/v1/series, or the examples of --help")
    return chosen


def _selection(
    series: "list[Series]", start: str, end: str, step: str, aggregate: str
) -> "Selection":
    from cloud_ingest.transfer.selection import Selection
    from telemetry.time.durations import parse_duration_ms
    from telemetry.time.iso_time import parse_time_ms

    if aggregate not in ("mean", "min", "max", "count", "last"):
        stop(f"--aggregate {aggregate}: write mean, min, max, count or last")
    try:
        until = parse_time_ms(end) if end else utc_now_ms() + DAY_MS
        step_ms = parse_duration_ms(step) if step else None
        return Selection(series, parse_time_ms(start), until, step_ms, aggregate)  # type: ignore[arg-type]  # checked
    except ValueError as error:
        stop(error)


@app.command("import", epilog="Example: quantrac cloud import november.csv.gz")
def import_command(
    file: Annotated[Path, typer.Argument(help="The file to read, text also as .gz.", exists=True)],
    config: ConfigurationFile = Path("cloud.yaml"),
    form: Annotated[
        Form | None, typer.Option("--format", help="Default: by the ending of the file.")
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Of times in line protocol.")] = Precision.MS,
    stopped: Annotated[
        bool,
        typer.Option("--stopped", help="No quantrac cloud is running: new series may be created."),
    ] = False,
    shard: Shard = "1/1",
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Read samples from a file into the store; existing samples are replaced.

    A running system stores them too if it knows their series. Units are converted to the unit in
    which the quantity is stored.
    """
    from cloud_ingest.database import DatabaseUnavailable
    from cloud_ingest.stores.protocol import StoreError
    from cloud_ingest.transfer.importing import Importer, ImportRefused, in_canonical_units, rows_of
    from cloud_ingest.transfer.rows import RowError

    start_logging(log_level, log_format)
    configuration = _configuration(config, shard)
    kind = _form_of(file, form)
    if kind.value == "xlsx":
        stop(f"{file}: Excel files cannot be imported; save it as CSV")
    readable = cast("ReadableForm", kind.value)
    try:
        importer = Importer(configuration.store, _database(configuration, shard), stopped)
        with rows_of(file, readable, precision.value) as rows:
            done = importer.run(in_canonical_units(rows))
    except RowError as error:
        stop(f"{file}: {error}", FOUND_A_PROBLEM)
    except (ImportRefused, StoreError, DatabaseUnavailable, OSError) as error:
        stop(error, FOUND_A_PROBLEM)
    typer.echo(f"{file}: {done.samples:,} samples imported", err=True)
    if done.rejected:
        stop(f"{file}: {done.rejected:,} samples rejected: {done.reason}", FOUND_A_PROBLEM)


@app.command(epilog="Example: quantrac cloud backup /backups/quantrac-2026-11-23.tar")
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    config: ConfigurationFile = Path("cloud.yaml"),
    shard: Shard = "1/1",
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Write all stored data into one file. The system may be running."""
    from cloud_ingest.database import DatabaseUnavailable
    from cloud_ingest.stores.protocol import StoreError
    from cloud_ingest.transfer.backup import BackupError, back_up

    start_logging(log_level, log_format)
    configuration = _configuration(config, shard)
    try:
        about = back_up(configuration.store, _database(configuration, shard), file)
    except (BackupError, StoreError, DatabaseUnavailable, OSError) as error:
        stop(error, FOUND_A_PROBLEM)
    typer.echo(f"{file}: {about['series']} series, {file.stat().st_size:,} bytes", err=True)


@app.command(epilog="Example: quantrac cloud restore /backups/quantrac-2026-11-23.tar")
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.", exists=True)],
    config: ConfigurationFile = Path("cloud.yaml"),
    shard: Shard = "1/1",
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Restore a backup into an empty store, of the same kind or another. Nothing may be running."""
    from cloud_ingest.database import DatabaseUnavailable
    from cloud_ingest.stores.protocol import StoreError
    from cloud_ingest.transfer.backup import BackupError
    from cloud_ingest.transfer.backup import restore as restore_backup
    from cloud_ingest.transfer.database_dump import RelationsDiffer

    start_logging(log_level, log_format)
    configuration = _configuration(config, shard)
    try:
        about = restore_backup(configuration.store, _database(configuration, shard), file)
    except (BackupError, RelationsDiffer, StoreError, DatabaseUnavailable, OSError) as error:
        stop(error, FOUND_A_PROBLEM)
    typer.echo(f"{file}: restored, {about['series']} series", err=True)
