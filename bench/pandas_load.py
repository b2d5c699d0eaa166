"""Loads a month with pandas: read_csv in chunks, to_sql."""

from __future__ import annotations

import time
from pathlib import Path

import pandas
import sqlalchemy

from taxiway.sources.source import Source

TABLE = "pandas_tripdata"
CHUNK_ROWS = 100_000
_DTYPES = {"integer": "Int64", "numeric": "float64", "text": "object"}


def load(url: str, source: Source, path: Path) -> float:
    """Load a month.

    :param url: the database's address, as SQLAlchemy wants it
    :param path: the ``.csv.gz``
    :return: seconds
    """
    dtypes = {column.header: _DTYPES[column.type] for column in source.columns if column.type != "timestamp"}
    times = [column.header for column in source.columns if column.type == "timestamp"]
    engine = sqlalchemy.create_engine(url)
    try:
        began = time.perf_counter()
        with pandas.read_csv(path, dtype=dtypes, parse_dates=times, chunksize=CHUNK_ROWS) as chunks:
            for chunk in chunks:
                chunk.to_sql(TABLE, engine, schema="public", if_exists="append", index=False)
        return time.perf_counter() - began
    finally:
        engine.dispose()
