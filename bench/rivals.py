"""What Taxiway is compared with: a bare COPY, the course's flow, pandas, dlt. Each returns its seconds."""

from __future__ import annotations

import gzip
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.contents import Connection
from bench.scale import columns_of
from bench.servers import OWNER, Postgres
from taxiway.files.gzip_file import unpacked_blocks
from taxiway.sources.months import Month
from taxiway.sources.source import Source

CHUNK_ROWS = 100_000
"""Rows that pandas reads at a time, and that dlt writes into a file, or a few more. Of several files, dlt loads some at
once; one file takes it about a fifth longer on two cores."""

BARE, COURSE, COURSE_STAGING = "public.bare", "public.course_tripdata", "public.course_staging"
PANDAS, DLT = "public.pandas_tripdata", "dlt_months.dlt_tripdata"

_KEY = (
    *("VendorID", "tpep_pickup_datetime", "tpep_dropoff_datetime", "PULocationID", "DOLocationID"),
    *("fare_amount", "trip_distance"),
)  # the course's: the columns whose texts, one after another, make a row's id
_COURSE_TYPES = {"integer": "text", "numeric": "double precision", "timestamp": "timestamp", "text": "text"}
_LOCALES = """
SELECT collcollate FROM pg_collation
WHERE collprovider = 'c' AND lower(replace(collcollate, '-', '')) IN ('en_us.utf8', 'c.utf8')
ORDER BY lower(collcollate) LIKE 'en%' DESC, collcollate LIMIT 1
"""
_PANDAS_TYPES = {"integer": "Int64", "numeric": "float64", "text": "object"}
_BLOCK_BYTES = 8 << 20  # of the unpacked file: 90,000 rows or so; a file that dlt writes ends with a block


def copy_bare(postgres: Postgres, source: Source, path: Path, _: Path) -> float:
    """Stream a file into a bare table of the source's types, logged, without id and without index: the limit."""
    columns = ", ".join(f"{column.name} {column.type}" for column in columns_of(source))
    with postgres.connect() as connection:
        began = time.perf_counter()
        with connection.transaction():
            connection.execute(f"CREATE TABLE {BARE} ({columns})")
            _copy(connection, f"COPY {BARE} FROM STDIN WITH (FORMAT csv, HEADER)", unpacked_blocks(path))
        return time.perf_counter() - began


def course_locale(postgres: Postgres) -> str | None:
    """Return the locale of the course's database, by which it sorts its ids: they are texts.

    The course runs on the official image, whose databases have the C library's ``en_US.utf8``; or the C library's
    ``C.utf8``. None if the machine has neither, for the server's own, which is Postgres's and sorts faster.
    """
    found = postgres.query(_LOCALES)
    return str(found[0][0]) if found else None


def make_course_tables(connection: Connection, source: Source) -> None:
    """Make the course's shared staging table and its main table, neither of them indexed."""
    columns = ", ".join(f"{column.name} {_COURSE_TYPES[column.type]}" for column in columns_of(source))
    for table in (COURSE_STAGING, COURSE):
        connection.execute(f"CREATE TABLE {table} (unique_row_id text, filename text, {columns})")


def load_course(connection: Connection, source: Source, month: Month, path: Path, folder: Path) -> float:
    """Load a month as the course does, written anew: a file on disk, one shared staging table, UPDATE, MERGE.

    :param connection: commits each statement
    """
    names = [column.name for column in columns_of(source)]
    listed, staged = ", ".join(names), ", ".join(f"staged.{name}" for name in names)
    key = " || ".join(f"coalesce({name}::text, '')" for name in _KEY)
    began = time.perf_counter()
    unpacked = folder / path.stem
    with gzip.open(path, "rb") as packed, unpacked.open("wb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
    connection.execute(f"TRUNCATE {COURSE_STAGING}")
    with unpacked.open("rb") as file:
        blocks = iter(lambda: file.read(1 << 20), b"")
        _copy(connection, f"COPY {COURSE_STAGING} ({listed}) FROM STDIN WITH (FORMAT csv, HEADER)", blocks)
    values = [source.filename(month)]
    connection.execute(f"UPDATE {COURSE_STAGING} SET unique_row_id = md5({key}), filename = %s", values)
    connection.execute(
        f"MERGE INTO {COURSE} AS main USING {COURSE_STAGING} AS staged ON main.unique_row_id = staged.unique_row_id "
        f"WHEN NOT MATCHED THEN INSERT (unique_row_id, filename, {listed}) "
        f"VALUES (staged.unique_row_id, staged.filename, {staged})"
    )
    unpacked.unlink()
    return time.perf_counter() - began


def load_pandas(postgres: Postgres, source: Source, path: Path, _: Path) -> float:
    """Load a month with pandas: read_csv in chunks, to_sql."""
    import pandas
    import sqlalchemy

    dtypes = {column.header: _PANDAS_TYPES[column.type] for column in columns_of(source) if column.type != "timestamp"}
    times = [column.header for column in columns_of(source) if column.type == "timestamp"]
    schema, table = PANDAS.split(".")
    engine = sqlalchemy.create_engine(postgres.url("postgresql+psycopg2"))
    began = time.perf_counter()
    with pandas.read_csv(path, dtype=dtypes, parse_dates=times, chunksize=CHUNK_ROWS) as chunks:
        for chunk in chunks:
            chunk.to_sql(table, engine, schema=schema, if_exists="append", index=False)
    seconds = time.perf_counter() - began
    engine.dispose()
    return seconds


def load_dlt(postgres: Postgres, source: Source, path: Path, folder: Path) -> float:
    """Load a month with dlt: Arrow tables out of the file, then its CSV loader, which uses COPY, several files at once.

    The rows of the file's name are deleted, then inserted.
    """
    # Read when dlt is imported: its folders stay in the benchmark's, and it reports to nobody.
    os.environ |= {
        "DLT_DATA_DIR": str(folder),
        "DLT_PROJECT_DIR": str(folder),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "RUNTIME__INTERCEPT_SIGNALS": "false",  # else it finishes its load first, and forgets that it was to stop
        "DATA_WRITER__FILE_MAX_ITEMS": str(CHUNK_ROWS),
    }
    import dlt
    from dlt.pipeline import trace

    # Switched off, it makes its reports all the same, and an id for them in a folder that is not ours.
    trace.TRACKING_MODULES = []

    # It asks for a password, which the socket doesn't.
    host = quote(str(postgres.server.socket_folder), safe="")
    login = {"host": host, "database": postgres.name, "username": OWNER, "password": "none"}
    dataset, table = DLT.split(".")
    to = dlt.destinations.postgres(login)
    pipeline = dlt.pipeline(table, pipelines_dir=str(folder / "pipelines"), destination=to, dataset_name=dataset)
    how: Any = {"disposition": "merge", "strategy": "delete-insert"}
    month = dlt.resource(_arrow_tables(source, path), name=table, write_disposition=how, merge_key="filename")
    began = time.perf_counter()
    pipeline.run(month, loader_file_format="csv").raise_on_failed_jobs()
    seconds = time.perf_counter() - began
    pipeline.drop()
    return seconds


def _arrow_tables(source: Source, path: Path) -> Iterator[Any]:
    """Read the file block by block into Arrow tables, each row with its file's name."""
    import pyarrow
    from pyarrow import csv

    numbers = {"integer": pyarrow.int64(), "numeric": pyarrow.float64()}
    types = {**numbers, "timestamp": pyarrow.timestamp("us"), "text": pyarrow.string()}
    columns = {column.header: types[column.type] for column in columns_of(source)}
    convert = csv.ConvertOptions(column_types=columns, strings_can_be_null=True)
    with csv.open_csv(path, read_options=csv.ReadOptions(block_size=_BLOCK_BYTES), convert_options=convert) as batches:
        for batch in batches:
            names = pyarrow.array([path.name] * batch.num_rows)
            yield pyarrow.Table.from_batches([batch]).append_column("filename", names)


def _copy(connection: Connection, statement: str, blocks: Iterator[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in blocks:
            copy.write(block)


ONE_GO: dict[str, tuple[str, Callable[[Postgres, Source, Path, Path], float]]] = {
    "copy": (BARE, copy_bare),
    "pandas": (PANDAS, load_pandas),
    "dlt_merge": (DLT, load_dlt),
}
"""Rivals that load a file in one go: the table, and the function that loads it. The function takes a database, a
source, its file and a folder for its own things, and returns seconds."""
