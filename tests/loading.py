"""Loads months by the project's own steps, without Airflow, and says what is in the main table."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from taxiway.download.download import Download
from taxiway.loads import month as steps
from taxiway.loads.load import Counts
from taxiway.loads.row_identity import digest, unique_row_ids
from taxiway.loads.step_names import DOWNLOAD
from taxiway.loads.warehouse import Warehouse
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.cleanup import drop_staging
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.postgres.warehouse import PostgresWarehouse


def source_file(path: Path, url: str = "") -> Download:
    return Download(
        path=str(path),
        url=url or f"http://mirror.test/{path.name}",
        etag=None,
        last_modified=None,
        size=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        from_cache=False,
        unpacked_bytes=unpacked_bytes(path),
    )


def unpacked_bytes(path: Path) -> int | None:
    """Measure what a file unpacks to; None if it is damaged."""
    body = path.read_bytes()
    try:
        return len(gzip.decompress(body)) if path.suffix == ".gz" else len(body)
    except (EOFError, OSError, zlib.error):
        return None


def begin_load(
    connection: psycopg.Connection[Any],
    tables: LoadTables,
    download: Callable[[], Download],
    *,
    force: bool = False,
) -> steps.Downloaded:
    """Begin a load into Postgres."""
    return steps.download_month(PostgresWarehouse(connection, tables), download, force=force)


def downloaded(file: Download | None) -> dict[str, Any]:
    """Return what the steps after the download need."""
    assert file is not None
    return {DOWNLOAD: file.to_dict()}


def publish(warehouse: Warehouse, *, accept_deletions: bool = False) -> Counts:
    """Publish a month by a warehouse that waits for its jobs itself."""
    counts = steps.merge_month(warehouse, accept_deletions=accept_deletions)
    assert isinstance(counts, dict)
    return Counts(counts["inserted"], counts["deleted"], counts["unchanged"])


def stage_month(connection: psycopg.Connection[Any], tables: LoadTables, file: Download) -> dict[str, Any]:
    """Stage a downloaded month; return what the steps after it need."""
    outputs = downloaded(file)
    outputs["stage_month"] = steps.stage_month(PostgresWarehouse(connection, tables), outputs)
    return outputs


def hash_rows(connection: psycopg.Connection[Any], tables: LoadTables, outputs: Mapping[str, Any]) -> None:
    """Give staged rows their ids.

    :param outputs: what :func:`stage_month` returned
    """
    steps.hash_rows(PostgresWarehouse(connection, tables), outputs)


def check_month(connection: psycopg.Connection[Any], tables: LoadTables) -> None:
    """Check a month."""
    steps.check_month(PostgresWarehouse(connection, tables))


def merge_month(connection: psycopg.Connection[Any], tables: LoadTables, *, accept_deletions: bool = False) -> Counts:
    """Publish a month."""
    return publish(PostgresWarehouse(connection, tables), accept_deletions=accept_deletions)


def load(
    connection: psycopg.Connection[Any],
    source: Source,
    month: str,
    path: Path,
    run_id: str = "manual__1",
    *,
    accept_deletions: bool = False,
    url: str = "",
) -> Counts:
    """Run all steps of a load, and drop the staging tables whatever happened.

    :param url: where the file comes from; a mirror that nobody serves by default
    """
    tables = LoadTables(source, Month.parse(month), run_id)
    try:
        hash_rows(connection, tables, stage_month(connection, tables, source_file(path, url)))
        check_month(connection, tables)
        return merge_month(connection, tables, accept_deletions=accept_deletions)
    finally:
        drop_staging(connection, tables)


def write_gzip(path: Path, lines: Iterable[str], line_end: str = "\n") -> Path:
    """Write a CSV file of the given lines, each with its line end."""
    path.write_bytes(gzip.compress("".join(line + line_end for line in lines).encode()))
    return path


def lines_of(path: Path) -> list[str]:
    """Return the lines of a gzip file, header first, without line ends."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def specified_ids(source: Source, *paths: Path) -> list[str]:
    """Return the ids of files' rows as the specification gives them, computed outside of any warehouse.

    :param source: whose columns the files have, or some of them, in the source's order
    """
    found = list[str]()
    for path in paths:
        header, *rows = lines_of(path)
        columns = [column for column in source.columns if column.name in map(str.strip, header.lower().split(","))]
        found += unique_row_ids(columns, [row.split(",") for row in rows])
    return found


def table_digest(connection: psycopg.Connection[Any], source: Source, filename: str | None = None) -> str:
    """Sum up the ids of the main table, or of one of its files, by the name of the downloaded or the unpacked file."""
    return digest(ids(connection, source, filename))


def ids(connection: psycopg.Connection[Any], source: Source, filename: str | None = None) -> list[str]:
    if query(connection, f"SELECT to_regclass('public.{source.main_table}')") == [(None,)]:
        return []
    filename = filename and filename.removesuffix(".gz")
    rows = query(
        connection,
        f"SELECT unique_row_id::text FROM public.{source.main_table} WHERE %s::text IS NULL OR filename = %s",
        [filename, filename],
    )
    return [row[0] for row in rows]


def staging_tables(connection: psycopg.Connection[Any]) -> list[str]:
    return [row[0] for row in query(connection, "SELECT tablename FROM pg_tables WHERE schemaname = 'taxiway_staging'")]


def query(connection: psycopg.Connection[Any], statement: str, values: list[Any] | None = None) -> list[Any]:
    with connection.transaction():
        return connection.execute(statement, values).fetchall()


def by_hand(connection: psycopg.Connection[Any], statements: str) -> None:
    """Run what somebody types in, as psql does: each statement by itself, unless one holds a function's body."""
    connection.autocommit = True
    try:
        for each in [statements] if "$$" in statements else statements.split("; "):
            connection.execute(each)  # type: ignore[arg-type]
    finally:
        connection.autocommit = False
