"""Drops what a run has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from taxiway.loads.attempts import LONGEST_RUN
from taxiway.warehouses.bigquery.bucket import Bucket
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.ledger import Entry
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import STAGING_FOLDER, CloudTables


def drop_staging(jobs: Jobs, bucket: Bucket, tables: CloudTables) -> None:
    """Drop what a run left, other than the month's rows and its file in the bucket; having nothing to drop is fine."""
    jobs.run(statement("drop_staging", staging_table=tables.staging_table, rows_table=tables.rows_table))
    bucket.delete(tables.clean_object_name)


def sweep_copies(bucket: Bucket, tables: CloudTables, entries: Sequence[Entry]) -> None:
    """Delete copies of files that other runs of the month have left, and that are over.

    A run deletes its own copy, unless it is cut off: by its timeout, or with its worker and every retry.

    :param entries: the month's attempts
    """
    left = bucket.names(f"{STAGING_FOLDER}/{tables.month_name}_")
    if not left:
        return
    last = {entry.run_id: entry for entry in entries if entry.run_id != tables.run_id}
    for run_id, entry in last.items():
        is_old = datetime.now(timezone.utc) - entry.started_at > LONGEST_RUN
        if is_old or entry.state in ("published", "unchanged", "skipped"):
            folder = replace(tables, run_id=run_id).clean_folder
            for name in left:
                if name.startswith(folder):
                    bucket.delete(name)
