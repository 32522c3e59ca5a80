"""Several workers: each gateway has one, whatever the machine; and PostgreSQL keeps their state."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.database import Database, DatabaseUnavailable
from cloud_ingest.database.schema import metadata
from cloud_ingest.intake.mqtt.shard import Shard
from telemetry.time.clock import utc_now_ms
from tests.cloud_ingest.gateways import Gateway
from tests.cloud_ingest.test_pipeline import Cloud
from tests.servers import free_port, wait_until


@given(st.text(max_size=40), st.integers(1, 12))
def test_every_gateway_belongs_to_exactly_one_worker(name: str, count: int) -> None:
    assert sum(Shard(n + 1, count).owns(f"group/{name}") for n in range(count)) == 1


def test_all_messages_of_a_gateway_go_to_the_same_worker() -> None:
    shard = Shard(1, 3)
    for n in range(50):
        topics = [f"spBv1.0/g/{kind}/gw{n}" for kind in ("NBIRTH", "NDATA", "NDEATH")]
        topics += [f"spBv1.0/g/{kind}/gw{n}/dev" for kind in ("DBIRTH", "DDATA", "DDEATH")]
        assert len({shard.takes(t) for t in topics}) == 1


def test_the_choice_never_changes() -> None:
    # These are written down: another answer would hand gateways to other workers.
    owners = [
        next(n for n in (1, 2, 3) if Shard(n, 3).owns(f"binh-duong/bd-{i}")) for i in range(8)
    ]
    assert owners == [1, 1, 2, 1, 3, 3, 1, 2]


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "a/b", "1/0", "-1/3"])
def test_a_worker_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write which|lies between"):
        Shard.parse(text)


def test_workers_on_sqlite_keep_files_of_their_own(tmp_path: Path) -> None:
    for n in (1, 2):
        Database(f"sqlite:///{tmp_path}/q.db", Shard(n, 2).name).migrate()
    assert {f.name for f in tmp_path.glob("*.db")} == {"q-shard_1_of_2.db", "q-shard_2_of_2.db"}


class PostgreSQL:
    """A PostgreSQL server of this test's own."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self.port = free_port()
        # The server refuses to run as root: there, it runs as the user that Debian made for it.
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self.user = "postgres" if self._as else getpass.getuser()

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        data = self._folder / "data"
        if self._as:
            shutil.chown(self._folder, "postgres")
        if not data.exists():
            self._run("initdb", "-D", str(data), "-A", "trust", "-U", self.user, "-N")
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run(
            "pg_ctl", "-D", str(data), "-w", "-o", options, "-l", f"{self._folder}/log", "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as, str(self._programs / program), *arguments]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/"
        )


@contextlib.contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """A running server; skips (in CI: fails) where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed (Debian package postgresql)")
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    folder = Path(f"/tmp/quantrac-postgresql-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir(mode=0o777)
    server = PostgreSQL(found[-1].parent, folder)
    server.start()
    yield server
    with contextlib.suppress(subprocess.CalledProcessError):
        server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql() -> Iterator[PostgreSQL]:
    with running_postgresql() as server:
        yield server


@pytest.mark.postgresql
def test_the_tables_on_postgresql_are_those_of_the_code(postgresql: PostgreSQL) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    import cloud_ingest.alerts.tables  # noqa: F401  # they belong to the metadata

    database = Database(postgresql.url)
    database.migrate()
    database.migrate()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.postgresql
def test_a_worker_that_dies_is_replaced_without_loss(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    gateway = Gateway(time_ms=utc_now_ms())
    t = gateway.time_ms
    owner = next(n for n in (1, 2) if Shard(n, 2).owns("binh-duong/bd-tdm-001"))
    name, other = Shard(owner, 2).name, Shard(3 - owner, 2).name
    first = Cloud(tmp_path, database=Database(postgresql.url, name))
    first.feed(*gateway.births(), gateway.data(("pm2_5", t, 1.0), ("temperature", t, 2.0)))
    first.feed(gateway.data(("pm2_5", t + 2, 3.0), batch=3))
    second = Cloud(tmp_path, first.store, database=Database(postgresql.url, name))
    assert second.inventory.series() == first.inventory.series()
    account = second.ledger.account("bd-tdm-001")
    assert account is not None
    assert account.batches.ranges() == [(0, 1), (3, 3)]
    second.feed(*gateway.births(), gateway.data(("pm2_5", t + 1, 2.0), batch=2))
    second.settle()
    assert second.link.acknowledged()[-1] == 3
    bystander = Cloud(tmp_path, database=Database(postgresql.url, other))
    assert bystander.inventory.gateways() == []


@pytest.mark.postgresql
def test_while_postgresql_is_away_nothing_is_acknowledged(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    cloud = Cloud(tmp_path, database=Database(postgresql.url))
    gateway = Gateway(time_ms=utc_now_ms())
    cloud.feed(*gateway.births())
    postgresql.stop()
    with pytest.raises(DatabaseUnavailable):
        cloud.database.check()
    before = cloud.link.acknowledged()
    cloud.pipeline.start()
    cloud.inbox.put(gateway.data(("pm2_5", gateway.time_ms, 1.0)))
    wait_until(lambda: cloud.pipeline.problem, what="the pipeline waits")
    assert cloud.link.acknowledged() == before
    postgresql.start()
    wait_until(lambda: cloud.link.acknowledged()[-1:] == [1], "it is acknowledged at last")
    cloud.pipeline.stop()
    with cloud.database.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT samples_stored FROM ledger")).scalar() == 1
