"""Drops what a run has left."""

from __future__ import annotations

from taxiway.warehouses.bigquery.bucket import Bucket
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables


def drop_staging(jobs: Jobs, bucket: Bucket, tables: CloudTables) -> None:
    """Drop what a run left, other than the month's rows and its file in the bucket; having nothing to drop is fine."""
    jobs.run(statement("drop_staging", staging_table=tables.staging_table, rows_table=tables.rows_table))
    bucket.delete(tables.clean_object_name)
