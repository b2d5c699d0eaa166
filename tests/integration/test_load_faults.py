"""What must not happen to a published month, whatever happens to a load."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row, namedtuple_row

from taxiway import errors
from taxiway.download.download import Download
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import digest, unique_row_ids
from taxiway.sources.months import Month
from taxiway.sources.source import Column, Source
from taxiway.warehouses.postgres import ledger
from taxiway.warehouses.postgres.cleanup import sweep_staging
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect, PostgresServer
from tests.integration.airflow_environment import wait_until
from tests.loading import (
    check_month,
    hash_rows,
    ids,
    lines_of,
    load,
    merge_month,
    query,
    source_file,
    stage_month,
    staging_tables,
    table_digest,
    write_gzip,
)

MONTH = Month(2019, 1)


@pytest.fixture
def path(green: Source, tmp_path: Path) -> Path:
    path = tmp_path / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=60)
    return path


@pytest.fixture
def file(path: Path) -> Download:
    return source_file(path)


def tables(source: Source, run_id: str) -> LoadTables:
    return LoadTables(source, MONTH, run_id)


def test_a_staging_table_that_a_crash_has_emptied_is_not_taken_for_an_empty_month(
    connect: Connect, green: Source, path: Path, file: Download, caplog: pytest.LogCaptureFixture
) -> None:
    """Postgres empties unlogged tables when it recovers; the published month must survive that."""
    connection = connect()
    load(connection, green, "2019-01", path)
    before = table_digest(connection, green)
    run = tables(green, "manual__2")
    staged = stage_month(connection, run, file)
    with connection.transaction():
        connection.execute(f"TRUNCATE {run.staging_table}")

    hash_rows(connection, run, staged)

    assert re.search(r"green 2019-01: .*holds 0 rows, expected the 60 .*: staging it again first", caplog.text)
    assert table_digest(connection, green) == before
    check_month(connection, run)
    assert merge_month(connection, run) == Counts(0, 0, 60)


@pytest.mark.parametrize("duplicates", [False, True])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("TRUNCATE {0}", "0 rows"),
        ("DELETE FROM {0} WHERE ctid = '(0,1)'", "59 rows"),
        ("INSERT INTO {0} (vendorid) VALUES (9)", "61 rows"),
        ("INSERT INTO {0} (vendorid, pulocationid) SELECT vendorid, pulocationid FROM {0}", "120 rows"),
    ],
)
def test_a_first_load_has_all_rows_that_were_staged_and_no_other(
    connect: Connect,
    green: Source,
    path: Path,
    caplog: pytest.LogCaptureFixture,
    change: str,
    found: str,
    duplicates: bool,
) -> None:
    """Postgres counts the rows when it indexes their ids; if it has to index them twice, they are counted."""
    path.unlink()
    write_sample_month(green, MONTH, path, rows=60, duplicates=duplicates)
    connection, run = connect(), tables(green, "manual__1")
    staged = stage_month(connection, run, source_file(path))
    with connection.transaction():
        connection.execute(change.format(run.staging_table))

    hash_rows(connection, run, staged)

    assert re.search(rf"green 2019-01: .*holds {found}, expected the 60 .*: staging it again first", caplog.text)
    check_month(connection, run)
    assert merge_month(connection, run) == Counts(60, 0, 0)


def test_what_another_version_has_staged_is_staged_again(
    connect: Connect, green: Source, file: Download, caplog: pytest.LogCaptureFixture
) -> None:
    """An upgrade while a run is between two of its steps."""
    connection, run = connect(), tables(green, "manual__1")
    staged = stage_month(connection, run, file)

    hash_rows(connection, run, {**staged, "stage_month": {"rows_read": 60, "typed": True}})

    assert (
        "green 2019-01: what stage_month left is of another version of Taxiway: found rows_read, typed, expected "
        "rows_read, canonical. The task hash_rows stages the file again by itself: staging it again first"
    ) in caplog.text
    check_month(connection, run)
    assert merge_month(connection, run) == Counts(60, 0, 0)


def test_a_month_with_rows_of_another_file_is_not_published(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    run = tables(green, "manual__1")
    hash_rows(connection, run, stage_month(connection, run, file))
    with connection.transaction():
        connection.execute(f"ALTER TABLE {run.rows_table} DROP CONSTRAINT of_one_file")
        connection.execute(f"UPDATE {run.rows_table} SET filename = 'other' WHERE ctid = '(0,1)'")

    with pytest.raises(errors.BalanceError, match="59 of them of green_tripdata_2019-01"):
        check_month(connection, run)


def fail(connection: psycopg.Connection[Any], run: LoadTables, step: str) -> None:
    """Begin a step and let it fail for a reason that passes."""
    with pytest.raises(errors.TransientWarehouseError), ledger.step(connection, run, step):
        raise errors.TransientWarehouseError("green 2019-01: the server is shutting down")


def test_publishing_is_not_believed_without_looking(connect: Connect, green: Source, file: Download) -> None:
    connection = connect()
    run = tables(green, "manual__1")
    hash_rows(connection, run, stage_month(connection, run, file))
    check_month(connection, run)
    merge_month(connection, run)
    with connection.transaction():
        connection.execute("DROP TABLE public.green_tripdata_2019_01")

    with pytest.raises(
        errors.BalanceError, match=r"green 2019-01: .* already, and .*: public\.green_tripdata has no partition of"
    ):
        merge_month(connection, run)

    # What was published then is still what the ledger says of that attempt, and why its step has failed since.
    ((state, error),) = query(connection, "SELECT state, error FROM taxiway.loads")
    assert state == "published"
    assert error.startswith("merge_month: green 2019-01: ")


def test_a_partition_is_found_by_its_file_whatever_its_name(connect: Connect, green: Source, path: Path) -> None:
    connection = connect()
    load(connection, green, "2019-01", path)
    with connection.transaction():
        connection.execute("CREATE SCHEMA archive")
        connection.execute("ALTER TABLE public.green_tripdata_2019_01 SET SCHEMA archive")
        connection.execute('ALTER TABLE archive.green_tripdata_2019_01 RENAME TO "January 2019"')

    assert load(connection, green, "2019-01", path, run_id="manual__2") == Counts(0, 0, 60)


def test_a_detached_partition_is_an_error_that_says_what_to_do(connect: Connect, green: Source, path: Path) -> None:
    connection = connect()
    load(connection, green, "2019-01", path)
    with connection.transaction():
        connection.execute("ALTER TABLE public.green_tripdata DETACH PARTITION public.green_tripdata_2019_01")

    with pytest.raises(errors.MainTableError, match=r"green 2019-01: found a table .* ATTACH PARTITION"):
        load(connection, green, "2019-01", path, run_id="manual__2")

    assert query(connection, "SELECT count(*) FROM public.green_tripdata_2019_01") == [(60,)]
    assert staging_tables(connection) == []


def test_a_detached_partition_that_was_renamed_has_the_months_index(
    connect: Connect, green: Source, path: Path
) -> None:
    connection = connect()
    load(connection, green, "2019-01", path)
    with connection.transaction():
        connection.execute("ALTER TABLE public.green_tripdata DETACH PARTITION public.green_tripdata_2019_01")
        connection.execute("ALTER TABLE public.green_tripdata_2019_01 RENAME TO old")

    with pytest.raises(
        errors.MainTableError, match=r"found a table public\.old that .* rename it and the index"
    ) as caught:
        load(connection, green, "2019-01", path, "manual__2")

    assert "green_tripdata_2019_01_unique_row_id" in str(caught.value)
    with connection.transaction():
        connection.execute("ALTER INDEX public.green_tripdata_2019_01_unique_row_id RENAME TO old_unique_row_id")
    assert load(connection, green, "2019-01", path, "manual__3").inserted == 60


def test_a_reader_never_sees_half_a_replacement(connect: Connect, green: Source, path: Path, tmp_path: Path) -> None:
    """It looks while the replacement waits: when the first row comes in, and when all have. Others are deleted then."""
    writer, reader = connect(), connect()
    later = write_sample_month(green, MONTH, tmp_path / "1" / path.name, rows=60, revision=1)
    load(writer, green, "2019-01", path)
    table = "public.green_tripdata"
    look = f"SELECT count(*), sum(total_amount) FROM {table}"
    before = query(reader, look)
    with writer.transaction():
        writer.execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM pg_advisory_xact_lock(CASE TG_WHEN WHEN 'BEFORE' THEN 1 ELSE 2 END); RETURN NEW; END $$;"
            f"CREATE TRIGGER first BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION wait();"
            f"CREATE TRIGGER last AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION wait()"
        )
    waits = (
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    query(reader, "SELECT pg_advisory_lock(1), pg_advisory_lock(2)")

    with ThreadPoolExecutor(1) as thread:
        replacing = thread.submit(load, writer, green, "2019-01", later.path, "manual__2")
        for moment in (1, 2):
            wait_until(lambda moment=moment: query(reader, waits, [moment]), timeout=60, what=f"moment {moment}")  # type: ignore[misc]
            assert query(reader, look) == before
            query(reader, f"SELECT pg_advisory_unlock({moment})")
        assert replacing.result() == Counts(later.inserted, later.deleted, later.unchanged)

    assert min(later.inserted, later.deleted) > 0
    after = query(reader, look)
    assert after[0][0] == later.rows
    assert after != before


def test_a_partition_that_was_emptied_is_filled_again_in_seconds(
    connect: Connect, green: Source, tmp_path: Path
) -> None:
    """Its statistics say that it is empty: with a loop over both tables this takes minutes."""
    connection = connect()
    path = tmp_path / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=30_000)
    load(connection, green, "2019-01", path)
    connection.autocommit = True
    connection.execute("DELETE FROM public.green_tripdata")
    connection.execute("VACUUM ANALYZE public.green_tripdata_2019_01")
    connection.execute("SET statement_timeout = '60s'")
    connection.autocommit = False

    assert load(connection, green, "2019-01", path, run_id="manual__2") == Counts(30_000, 0, 0)


def test_an_insert_that_fails_leaves_the_deleted_rows(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    first, second = tmp_path / "1" / green.download_name(MONTH), tmp_path / "2" / green.download_name(MONTH)
    write_sample_month(green, MONTH, first, rows=60)
    write_sample_month(green, MONTH, second, rows=60, revision=1)
    load(connection, green, "2019-01", first)
    before = table_digest(connection, green)
    with connection.transaction():
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no'; END $$; CREATE TRIGGER refuse BEFORE INSERT ON "
            "public.green_tripdata_2019_01 FOR EACH ROW EXECUTE FUNCTION refuse()"
        )

    with pytest.raises(psycopg.Error, match="no"):
        load(connection, green, "2019-01", second, run_id="manual__2")

    assert table_digest(connection, green) == before


def test_staging_that_fails_clears_up_behind_itself(connect: Connect, green: Source, tmp_path: Path) -> None:
    """Airflow's teardown doesn't follow a step that fails."""
    connection = connect()
    header = ",".join(column.header for column in green.columns)
    for rows, error in (([], errors.EmptyMonthError), (["1,2,3"], errors.RejectLimitError)):
        bad = source_file(write_gzip(tmp_path / "x.csv.gz", [header, *rows]))

        with pytest.raises(error):
            stage_month(connection, tables(green, "manual__1"), bad)

        assert staging_tables(connection) == []


def test_rejected_lines_come_from_the_file_that_was_staged(connect: Connect, green: Source, tmp_path: Path) -> None:
    """Another run may have put a newer version into the cache, whose lines are others."""
    connection = connect()
    header = ",".join(column.header for column in green.columns)
    row = "2,2019-01-05 00:44:02,2019-01-05 00:52:23,N,1,42,41,1,1.5,8,0.5,0.5,0,0,,0.3,9.3,1,1,0"
    path = write_gzip(tmp_path / "x.csv.gz", [header, row, row.replace("1.5,8", "word,8")])
    run = tables(green, "manual__1")
    staged = stage_month(connection, run, source_file(path))
    write_gzip(path, [header, row, row.replace("N", "Y")])

    with pytest.raises(errors.MissingInputError, match="changed since it was downloaded"):
        hash_rows(connection, run, staged)


ENDED = {
    "state = 'published', finished_at = now()": True,
    "state = 'failed', finished_at = now() - interval '9 hours'": True,
    "state = 'abandoned', finished_at = now() - interval '9 hours'": True,
    "state = 'failed', finished_at = now() - interval '7 hours'": False,
    "state = 'abandoned', finished_at = now()": False,
    "started_at = now() - interval '25 hours'": True,
    "started_at = now() - interval '23 hours'": False,
}
"""How attempts stand, and whether what they have left is swept."""


def test_what_runs_that_are_over_left_behind_is_swept(connect: Connect, green: Source, file: Download) -> None:
    """A run whose step has failed may only wait for another try."""
    connection = connect()
    for run_id in ("going on", *ENDED):
        stage_month(connection, tables(green, run_id), file)
    with connection.transaction():
        for ended in ENDED:
            connection.execute(f"UPDATE taxiway.loads SET {ended} WHERE run_id = %s", [ended])

    sweep_staging(connection, tables(green, "mine"))

    left = ["going on", *(ended for ended, swept in ENDED.items() if not swept)]
    names = {tables(green, run_id).staging_table.partition(".")[2]: run_id for run_id in ("going on", *ENDED)}
    assert sorted(names[name] for name in staging_tables(connection)) == sorted(left)


def test_a_run_that_waits_for_its_retry_keeps_its_rows(
    connect: Connect, green: Source, path: Path, file: Download
) -> None:
    connection = connect()
    waiting = tables(green, "scheduled__1")
    hash_rows(connection, waiting, stage_month(connection, waiting, file))
    check_month(connection, waiting)
    fail(connection, waiting, "merge_month")

    assert load(connection, green, "2019-01", path, run_id="manual__2") == Counts(60, 0, 0)

    assert merge_month(connection, waiting) == Counts(0, 0, 60)


@pytest.mark.parametrize("row_factory", [dict_row, namedtuple_row])
def test_connections_with_another_kind_of_row_load_too(
    row_factory: object, connect: Connect, green: Source, path: Path
) -> None:
    """Airflow's connection has an extra for this."""
    connection = connect()
    connection.row_factory = row_factory  # type: ignore[assignment]

    assert load(connection, green, "2019-01", path) == Counts(60, 0, 0)


def test_ids_do_not_depend_on_the_databases_settings(connect: Connect, green: Source, path: Path) -> None:
    connection = connect()
    with connection.transaction():
        for setting in ("standard_conforming_strings TO off", "datestyle TO 'German'", "extra_float_digits TO 0"):
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {setting}")
    late = connect()

    load(late, green, "2019-01", path)

    rows = [line.split(",") for line in lines_of(path)[1:]]
    assert table_digest(late, green) == digest(unique_row_ids(green.columns, rows))


WORDS = ("end", "order", "user", "occurrence", "row_address", "line", "numbered", "filename2", "column_name")


def test_a_database_of_another_encoding_is_refused(
    connect: Connect, postgres_server: PostgresServer, green: Source, path: Path
) -> None:
    with postgres_server.connect(autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS latin")
        admin.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with (
            postgres_server.connect("latin") as connection,
            pytest.raises(errors.WarehouseError, match="the encoding LATIN1, expected Postgres 17 or newer and UTF8"),
        ):
            load(connection, green, "2019-01", path)
    finally:
        postgres_server.drop_database("latin")


LAYOUTS = {
    "texts only": [("a", "text"), ("b", "text")],
    "one column": [("a", "text")],
    "one number": [("a", "integer")],
    "words that SQL has for itself": [(word, "integer") for word in WORDS],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_sources_of_any_layout_load(name: str, connect: Connect, green: Source, tmp_path: Path) -> None:
    """With duplicate rows, a value that is looked at closely, and a null."""
    columns = tuple(Column(header=n.upper(), name=n, type=kind, description="x") for n, kind in LAYOUTS[name])
    source = replace(green, columns=columns, checks=())
    values = {"text": ["Ä b", "", "Ä b", '"q, r"'], "integer": ["1.0", "2", "1.0", "+3"]}
    rows = [",".join(values[column.type][number] for column in columns) for number in range(4)]
    if name == "one column":
        rows[1] = '""'  # an empty line is no row
    path = write_gzip(tmp_path / "x.csv.gz", [",".join(column.header for column in columns), *rows])

    counts = load(connect(), source, "2019-01", path)

    connection = connect()
    assert counts == Counts(4, 0, 0)
    assert len(set(ids(connection, source))) == 4
    assert load(connection, source, "2019-01", path, run_id="manual__2") == Counts(0, 0, 4)


def test_rows_that_a_trigger_keeps_out_are_missed(connect: Connect, green: Source, tmp_path: Path) -> None:
    connection = connect()
    first, second = tmp_path / "1" / green.download_name(MONTH), tmp_path / "2" / green.download_name(MONTH)
    write_sample_month(green, MONTH, first, rows=60)
    write_sample_month(green, MONTH, second, rows=60, revision=1)
    load(connection, green, "2019-01", first)
    before = table_digest(connection, green)
    with connection.transaction():
        connection.execute(
            "CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; "
            "CREATE TRIGGER drop_it BEFORE INSERT ON public.green_tripdata_2019_01 FOR EACH ROW "
            "EXECUTE FUNCTION drop_it()"
        )

    with pytest.raises(errors.BalanceError, match=r"green 2019-01: .* would hold 5\d rows .*, expected the 6\d"):
        load(connection, green, "2019-01", second, run_id="manual__2")

    assert table_digest(connection, green) == before
