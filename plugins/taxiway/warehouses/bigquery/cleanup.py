"""Clears up behind a run."""

from __future__ import annotations

from taxiway.warehouses.bigquery.statements import statement
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Lake
from taxiway.warehouses.bigquery.warehouse import Warehouse


def drop_staging(warehouse: Warehouse, lake: Lake, tables: CloudTables) -> None:
    """Drop what a run left beside the main table and the lake; nothing there is fine."""
    warehouse.run(statement("drop_staging", staging_table=tables.staging_table, rows_table=tables.rows_table))
    lake.delete(tables.clean_object_name)
