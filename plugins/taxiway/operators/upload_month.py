"""Operator: bring a downloaded month to Cloud Storage."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxiway.bigquery import rejects
from taxiway.bigquery.month_file import examine
from taxiway.bigquery.step import Step
from taxiway.operators.gcp_month_operator import GcpMonthOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class UploadMonthOperator(GcpMonthOperator):
    """Look through a downloaded month's lines, and upload the file as it is, unless the lake has it.

    Where lines can't be read as rows, they are kept as rejects, and a copy without them is uploaded for the load,
    beside the lake, as long as the run lasts.
    """

    def run_step(self, step: Step, context: Context) -> dict[str, Any]:
        """Upload the file."""
        tables, load = step.tables, step.load
        with tempfile.TemporaryDirectory(prefix="taxiway-") as folder:
            clean_copy = Path(folder) / tables.filename
            found = examine(load.download, tables.source, tables.month, clean_copy)
            load = step.known_load = replace(
                load,
                rows_read=found.rows_read,
                rows_rejected=len(found.rejects),
                file_columns=tuple(column.name for column in found.columns),
            )
            rejects.keep(step.warehouse, tables, load.load_id, found.rejects)
            rejects.check_limit(tables, found.rejects, found.rows_read)
            loaded = uploaded = step.lake.upload(Path(load.download.path), tables.object_name)
            if not found.sound:
                loaded = step.lake.upload(clean_copy, tables.clean_object_name)
        self.log.info(
            "%s: %s %s: %d rows, %d lines rejected",
            tables.where,
            tables.uri(uploaded.name),
            "is there already" if uploaded.skipped else "uploaded",
            found.rows_read,
            len(found.rejects),
        )
        return replace(
            load, uri=tables.uri(loaded.name), object_name=loaded.name, generation=loaded.generation
        ).to_dict()
