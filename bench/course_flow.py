"""The course's way of loading a month, written anew: a file on disk, one shared staging table, UPDATE, MERGE."""

from __future__ import annotations

import gzip
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from bench.warehouse import Warehouse
from taxiway.sources.months import Month
from taxiway.sources.source import Source

KEY = (
    *("VendorID", "tpep_pickup_datetime", "tpep_dropoff_datetime", "PULocationID", "DOLocationID"),
    *("fare_amount", "trip_distance"),
)
"""The seven columns whose texts, one after another, make a row's id."""

STAGING = "public.course_staging"
MAIN = "public.course_tripdata"
_LOCALES = """
SELECT collcollate
FROM pg_collation
WHERE collprovider = 'c' AND lower(replace(collcollate, '-', '')) IN ('en_us.utf8', 'c.utf8')
ORDER BY lower(collcollate) LIKE 'en%' DESC, collcollate
LIMIT 1
"""
_TYPES = {"integer": "text", "numeric": "double precision", "timestamp": "timestamp", "text": "text"}


def locale(server: Warehouse) -> str | None:
    """Return the locale of the course's database, by which it sorts its ids: they are texts.

    The course runs on the official image, whose databases have the C library's ``en_US.utf8``.

    :return: that, or the C library's ``C.utf8``, whichever the machine has; None where it has neither, for the
        server's own, which is Postgres's and sorts faster
    """
    found = server.query(_LOCALES)
    return str(found[0][0]) if found else None


def make_tables(connection: psycopg.Connection[Any], source: Source) -> None:
    """Make the shared staging table and the main table, neither of them indexed."""
    columns = ", ".join(f"{column.name} {_TYPES[column.type]}" for column in source.columns)
    with connection.transaction():
        for table in (STAGING, MAIN):
            _execute(connection, f"CREATE TABLE {table} (unique_row_id text, filename text, {columns})")


def load(connection: psycopg.Connection[Any], source: Source, month: Month, path: Path, folder: Path) -> float:
    """Load a month.

    :param path: the ``.csv.gz``
    :param folder: where it is unpacked
    :return: seconds
    """
    names = [column.name for column in source.columns]
    listed = ", ".join(names)
    key = " || ".join(f"coalesce({name}::text, '')" for name in KEY)
    began = time.perf_counter()
    unpacked = folder / path.stem
    with gzip.open(path, "rb") as packed, unpacked.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    with connection.transaction():
        _execute(connection, f"TRUNCATE {STAGING}")
    statement: Any = f"COPY {STAGING} ({listed}) FROM STDIN WITH (FORMAT csv, HEADER)"
    with (
        connection.transaction(),
        connection.cursor() as cursor,
        unpacked.open("rb") as plain,
        cursor.copy(statement) as copy,
    ):
        while block := plain.read(1 << 20):
            copy.write(block)
    with connection.transaction():
        _execute(
            connection, f"UPDATE {STAGING} SET unique_row_id = md5({key}), filename = %s", [source.filename(month)]
        )
    with connection.transaction():
        _execute(
            connection,
            f"MERGE INTO {MAIN} AS main USING {STAGING} AS staged ON main.unique_row_id = staged.unique_row_id "
            f"WHEN NOT MATCHED THEN INSERT (unique_row_id, filename, {listed}) "
            f"VALUES (staged.unique_row_id, staged.filename, {', '.join(f'staged.{name}' for name in names)})",
        )
    unpacked.unlink()
    return time.perf_counter() - began


def _execute(connection: psycopg.Connection[Any], statement: Any, values: Sequence[object] | None = None) -> None:
    connection.execute(statement, values)
