"""Stages a month: the object's rows, as text, in a table of this run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taxiway.errors import BalanceError, TransientWarehouseError
from taxiway.loads.attempts import Attempt
from taxiway.messages import counted
from taxiway.sources.source import Column
from taxiway.warehouses.bigquery.bucket import Bucket
from taxiway.warehouses.bigquery.jobs import Jobs, Started, first_usable_job
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Uploaded


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


def start_staging(jobs: Jobs, tables: CloudTables, attempt: Attempt, uploaded: Uploaded) -> Any:
    """Create the staging table, and start the job that loads the object into it.

    If a lost worker had started the job, it is found again, and its table is left alone.

    :param attempt: the step's
    :param uploaded: the object
    :return: the job
    """
    columns, uri = uploaded.columns_of(tables.source), tables.uri(uploaded.object_name)

    def start(job_id: str) -> Started:
        jobs.run(statement("create_staging_table", staging_table=tables.staging_table, file_columns=columns))
        return jobs.start_load(uri, tables.staging_table, load_configuration(columns), job_id)

    return first_usable_job(
        jobs,
        start,
        staging_job_name(attempt, uploaded),
        lambda job: _rows_there(jobs, tables) == int(job.output_rows or 0),
    )


def staging_job_name(attempt: Attempt, uploaded: Uploaded) -> str:
    """Return the beginning of the ids of a file's staging jobs; every attempt on the file has the same."""
    return f"taxiway_{attempt.fetched_load_id}_stage_month_{uploaded.generation}"


def finish_staging(jobs: Jobs, bucket: Bucket, tables: CloudTables, uploaded: Uploaded, job: Any) -> None:
    """Make sure that the staging table holds every row of the file that was uploaded.

    :raises BalanceError: it holds more or fewer
    :raises TransientWarehouseError: another try of the task has made the table anew meanwhile
    :raises MissingInputError: another run has changed the object meanwhile
    """
    jobs.require_success(job)
    bucket.require_generation(uploaded.object_name, uploaded.generation)
    staged = int(job.output_rows or 0)
    if staged != uploaded.rows:
        raise BalanceError(
            f"{tables.where}: BigQuery has staged {counted(staged, 'row')} of {uploaded.object_name}, expected the "
            f"{uploaded.rows} that it has. Nothing was published: clear the task stage_month with its downstream "
            f"tasks to stage the file again"
        )
    there = _rows_there(jobs, tables)
    if there != staged:
        found = "is gone" if there is None else f"holds {counted(there, 'row')}"
        raise TransientWarehouseError(
            f"{tables.where}: the table {tables.staging_table} {found}, expected the {staged} that the job "
            f"{job.job_id} has staged: another try of the task has made it anew. Nothing was published; the task is "
            f"tried again"
        )


def _rows_there(jobs: Jobs, tables: CloudTables) -> int | None:
    """How many rows the staging table has; None if it is gone."""
    table = jobs.find_table(tables.staging_table)
    return None if table is None else int(table.num_rows or 0)
