"""Makes one SQL statement fail once ("database is locked"), as SQLite does under load."""

from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from tests.cloud_ingest.alerts.parts import wipe


@dataclass
class Failure:
    """Which statement fails once: by its number over all blocks of a run, or by a text in it."""

    at: int | None = None
    containing: str | None = None
    seen: int = 0
    failed: str | None = None


@contextmanager
def failing_at(database, failure):
    """Within the block, the chosen statement fails before it is executed."""

    def fail(_connection, _cursor, statement, *_):
        number, failure.seen = failure.seen, failure.seen + 1
        chosen = failure.containing is not None and failure.containing in statement
        if number == failure.at or (chosen and failure.failed is None):
            failure.failed = statement
            raise sa.exc.OperationalError(statement, None, Exception("database is locked"))

    def fail_commit(_connection):
        fail(None, None, "COMMIT")

    sa.event.listen(database.engine, "before_cursor_execute", fail)
    sa.event.listen(database.engine, "commit", fail_commit)
    try:
        yield failure
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", fail)
        sa.event.remove(database.engine, "commit", fail_commit)


def each_statement_failing_once(database, run, every=1):
    """``run`` a scenario without failure and once for each statement; the results must be equal.

    ``run`` takes a Failure for ``failing_at`` and starts from an empty database. ``every`` n-th
    statement is tried. Returns the number of statements.
    """
    wipe(database)
    smooth = Failure()
    expected = run(smooth)
    for number in range(0, smooth.seen, every):
        wipe(database)
        failure = Failure(at=number)
        found = run(failure)
        assert failure.failed is not None
        assert found == expected, f"after a failure of statement {number}: {failure.failed}"
    return smooth.seen
