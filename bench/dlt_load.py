"""Loads a month with dlt: Arrow tables out of the file, then its CSV loader, which uses COPY, several files at once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from taxiway.sources.source import Source
from taxiway_local.database import DATABASES, Server

Disposition = Literal["append", "merge"]

DATASET = "dlt_months"
TABLE = "dlt_tripdata"
_FILE_ROWS = 100_000
# In files of so many rows or a few more, dlt loads over several connections; in one, it takes about a fifth longer on
# two cores.
_BLOCK_BYTES = 8 << 20
# Of the unpacked file: 90,000 rows or so. A file that dlt writes ends with a block.


def load(server: Server, database: str, source: Source, path: Path, folder: Path, disposition: Disposition) -> float:
    """Load a month.

    :param server: the server; dlt asks for a password, which its socket doesn't
    :param database: the database
    :param path: the ``.csv.gz``
    :param folder: where dlt keeps its own things
    :param disposition: append, or merge by delete-insert: the file's rows are deleted, then inserted
    :return: seconds
    """
    # Read when dlt is imported: its folders stay in the benchmark's, and it reports to nobody.
    os.environ |= {
        "DLT_DATA_DIR": str(folder),
        "DLT_PROJECT_DIR": str(folder),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "RUNTIME__INTERCEPT_SIGNALS": "false",  # else it finishes its load first, and forgets that it was to stop
        "DATA_WRITER__FILE_MAX_ITEMS": str(_FILE_ROWS),
    }
    import dlt
    from dlt.pipeline import trace

    # Switched off, it makes its reports all the same, and an id for them in a folder that is not ours.
    trace.TRACKING_MODULES = []

    month = dlt.resource(_tables(source, path), name=TABLE, **_write(disposition))
    pipeline = dlt.pipeline(
        pipeline_name=f"{TABLE}_{disposition}",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.postgres(
            {
                "host": quote(str(server.socket_folder), safe=""),
                "database": database,
                "username": DATABASES["taxi"],
                "password": "none",
            }
        ),
        dataset_name=DATASET,
    )
    began = time.perf_counter()
    info = pipeline.run(month, loader_file_format="csv")
    info.raise_on_failed_jobs()
    seconds = time.perf_counter() - began
    pipeline.drop()
    return seconds


def _write(disposition: str) -> dict[str, Any]:
    if disposition == "append":
        return {"write_disposition": "append"}
    return {"write_disposition": {"disposition": "merge", "strategy": "delete-insert"}, "merge_key": "filename"}


def _tables(source: Source, path: Path) -> Iterator[Any]:
    """Read the file block by block into Arrow tables, each row with its file's name."""
    import pyarrow
    import pyarrow.csv

    types = {
        "integer": pyarrow.int64(),
        "numeric": pyarrow.float64(),
        "timestamp": pyarrow.timestamp("us"),
        "text": pyarrow.string(),
    }
    options = pyarrow.csv.ConvertOptions(
        column_types={column.header: types[column.type] for column in source.columns}, strings_can_be_null=True
    )
    with pyarrow.csv.open_csv(
        path, read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES), convert_options=options
    ) as reader:
        for batch in reader:
            names = pyarrow.array([path.name] * batch.num_rows)
            yield pyarrow.Table.from_batches([batch]).append_column("filename", names)
