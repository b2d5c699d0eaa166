"""Maintenance of Postgres: a table that can't be dropped stays, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest

from taxiway.loads.load import run_name
from taxiway.loads.maintenance import Kept, trim
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.postgres.upkeep import PostgresUpkeep
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect, PostgresServer
from tests.loading import begin_load, by_hand, query, source_file, staging_tables

MONTH = Month(2019, 1)
KEPT = Kept(timedelta(days=30), timedelta(days=30))


@pytest.fixture
def role(postgres_server: PostgresServer) -> Iterator[str]:
    """A role that is no superuser."""
    name = f"keeper_{uuid4().hex[:8]}"
    with postgres_server.connect(autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name}")
        yield name
        connection.execute(f"DROP ROLE {name}")


def test_a_table_that_cannot_be_dropped_stays_and_the_rest_goes_on(
    connect: Connect, green: Source, tmp_path: Path, role: str
) -> None:
    admin, connection, reader = connect(), connect(), connect()
    path = tmp_path / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=40)
    runs = ("others", "locked", "needed", "own")
    for run_id in runs:
        begin_load(admin, LoadTables(green, MONTH, run_id), lambda: source_file(path), force=True)
    names = {run_id: run_name(green.name, MONTH, run_id) for run_id in runs}
    mine = "; ".join(f"CREATE TABLE taxiway_staging.{names[run_id]} AS SELECT 1 AS x" for run_id in runs[1:])
    by_hand(
        admin,
        f"UPDATE taxiway.loads SET state = 'failed', finished_at = started_at; "
        f"CREATE TABLE taxiway_staging.{names[runs[0]]} AS SELECT 1 AS x; "
        f"GRANT ALL ON SCHEMA taxiway, taxiway_staging TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA taxiway TO {role}; "
        f"SET ROLE {role}; {mine}; RESET ROLE; CREATE VIEW needs_it AS SELECT * FROM taxiway_staging.{names['needed']}",
    )
    try:
        by_hand(connection, f"SET ROLE {role}")
        reader.execute(f"SELECT * FROM taxiway_staging.{names['locked']}")
        later = datetime.now(timezone.utc) + timedelta(days=400)

        found = trim(PostgresUpkeep(connection, "taxi_postgres", "taxi_maintenance"), KEPT, later, dry_run=False)

        reader.rollback()
        assert found.staging == (names["own"],)
        assert {name: why.partition(" (SQLSTATE")[0] for name, why in found.kept.items()} == {
            names["others"]: f"must be owner of table {names['others']}",
            names["locked"]: "canceling statement due to lock timeout",
            names["needed"]: f"cannot drop table taxiway_staging.{names['needed']} because other objects depend on it",
        }
        assert sorted(staging_tables(admin)) == sorted(names[run_id] for run_id in runs[:3])
        # What comes behind it is done, too.
        assert found.attempts == 3
        assert query(admin, "SELECT run_id FROM taxiway.loads") == [("own",)]
    finally:
        reader.rollback()
        by_hand(admin, f"DROP OWNED BY {role} CASCADE")
