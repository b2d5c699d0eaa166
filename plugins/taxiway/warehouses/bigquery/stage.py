"""Stages a month: the object's rows, as text, in a table of this run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taxiway.errors import BalanceError, TransientWarehouseError
from taxiway.sources.source import Column
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Lake
from taxiway.warehouses.bigquery.warehouse import Started, Warehouse, first_usable_job


def load_configuration(columns: Sequence[Column]) -> Mapping[str, Any]:
    """Return the configuration of the load job (REST resource JobConfigurationLoad): every field a text.

    :param columns: the source's columns in the order of the file
    """
    return {
        "sourceFormat": "CSV",
        "encoding": "UTF-8",
        "fieldDelimiter": ",",
        "quote": '"',
        "skipLeadingRows": "1",
        "allowJaggedRows": False,
        "allowQuotedNewlines": True,
        "ignoreUnknownValues": False,
        "preserveAsciiControlCharacters": True,
        "maxBadRecords": 0,
        "createDisposition": "CREATE_NEVER",
        "writeDisposition": "WRITE_EMPTY",
        "schema": {"fields": [{"name": column.name, "type": "STRING", "mode": "NULLABLE"} for column in columns]},
    }


def file_columns(tables: CloudTables, load: Load) -> list[Column]:
    """Return the source's columns in the order of the file."""
    columns = {column.name: column for column in tables.source.columns}
    return [columns[name] for name in load.file_columns]


def start_staging(warehouse: Warehouse, tables: CloudTables, load: Load) -> Any:
    """Create the staging table, and start the job that loads the object into it.

    Where a worker was lost that had started it, the job is found again, and its table left alone.

    :return: the job
    """
    columns = file_columns(tables, load)

    def start(job_id: str) -> Started:
        warehouse.run(statement("create_staging_table", staging_table=tables.staging_table, file_columns=columns))
        return warehouse.start_load(load.uri, tables.staging_table, load_configuration(columns), job_id)

    return first_usable_job(
        warehouse,
        start,
        staging_job_name(load),
        lambda job: _rows_there(warehouse, tables) == int(job.output_rows or 0),
    )


def staging_job_name(load: Load) -> str:
    """Return what the ids of a file's staging jobs begin with, whichever attempt goes on with the file."""
    return f"taxiway_{load.fetched_load_id}_stage_month_{load.generation}"


def finish_staging(warehouse: Warehouse, lake: Lake, tables: CloudTables, load: Load, job: Any) -> None:
    """Make sure that the staging table holds every row of the file that was uploaded.

    :raises BalanceError: it holds more or fewer
    :raises TransientWarehouseError: another try of the task has made the table anew meanwhile
    :raises MissingInputError: another run has changed the object meanwhile
    """
    warehouse.require_success(job)
    lake.require_generation(load.object_name, load.generation)
    expected = (load.rows_read or 0) - (load.rows_rejected or 0)
    staged = int(job.output_rows or 0)
    if staged != expected:
        raise BalanceError(
            f"{tables.where}: BigQuery has staged {staged} rows of {load.uri}, expected the {expected} that the file "
            f"has. Nothing was published: clear the task stage_month with its downstream tasks to stage the "
            f"file again"
        )
    there = _rows_there(warehouse, tables)
    if there != staged:
        found = "is gone" if there is None else f"holds {there} rows"
        raise TransientWarehouseError(
            f"{tables.where}: the table {tables.staging_table} {found}, expected the {staged} that the job "
            f"{job.job_id} has staged: another try of the task has made it anew. Nothing was published; the task is "
            f"tried again"
        )


def _rows_there(warehouse: Warehouse, tables: CloudTables) -> int | None:
    """How many rows the staging table has; None where it is gone."""
    table = warehouse.find_table(tables.staging_table)
    return None if table is None else int(table.num_rows or 0)
