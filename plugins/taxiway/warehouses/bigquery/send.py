"""Sends a downloaded month to the lake: looks through its lines first, and keeps those that are no rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from taxiway.warehouses.bigquery import ledger, rejects
from taxiway.warehouses.bigquery.file_order import is_later, require_latest
from taxiway.warehouses.bigquery.load import Load
from taxiway.warehouses.bigquery.month_file import examine
from taxiway.warehouses.bigquery.tables import CloudTables
from taxiway.warehouses.bigquery.upload import Lake, Uploaded
from taxiway.warehouses.bigquery.warehouse import Warehouse


def send_month(
    warehouse: Warehouse, lake: Lake, tables: CloudTables, load: Load, entered: Callable[[Load], None]
) -> tuple[Load, Uploaded]:
    """Upload a month's file as it is; if BigQuery can't read it so, a copy that it can read beside the lake, too.

    :param entered: is told the load as soon as its rows are counted
    :return: the load, with the object that it goes on with, and the file's own object
    :raises RejectLimitError: more lines are no rows than the source allows
    :raises SupersededError: a later file of the month is published, or in the lake
    :raises TaxiwayError: what :func:`~taxiway.warehouses.bigquery.month_file.examine` and the upload raise
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-") as folder:
        clean_copy = Path(folder) / tables.filename
        found = examine(load.download, tables.source, tables.month, clean_copy)
        load = replace(
            load,
            rows_read=found.rows_read,
            rows_rejected=found.rows_rejected,
            file_columns=tuple(column.name for column in found.columns),
            unnamed=found.unnamed,
        )
        entered(load)
        rejects.keep(warehouse, tables, load.load_id, found.rejects)
        rejects.check_limit(tables, found.rows_rejected, found.rows_read, found.rejects)
        require_latest(tables, load, ledger.find_loads(warehouse, tables))

        def is_theirs_later(fetched_load_id: str) -> bool:
            return is_later(load, fetched_load_id, ledger.find_loads(warehouse, tables))

        path = Path(load.download.path)
        loaded = uploaded = lake.upload(path, tables.object_name, load.fetched_load_id, is_theirs_later)
        if not found.sound:
            loaded = lake.upload(clean_copy, tables.clean_object_name, load.fetched_load_id)
    load = replace(load, uri=tables.uri(loaded.name), object_name=loaded.name, generation=loaded.generation)
    return load, uploaded
