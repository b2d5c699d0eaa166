"""Brings a downloaded month to the bucket: looks through its lines first, and keeps those that aren't rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from taxiway.download.download import Download
from taxiway.errors import MissingInputError
from taxiway.files.formats import FORMATS, format_of
from taxiway.files.new_columns import ignored_column
from taxiway.loads.attempts import Attempt
from taxiway.loads.publication import require_few_rejects, require_rows, with_left_out
from taxiway.sources.source import Column, Source
from taxiway.warehouses.bigquery import ledger, rejects
from taxiway.warehouses.bigquery.bucket import Bucket, Stored
from taxiway.warehouses.bigquery.cleanup import sweep_copies
from taxiway.warehouses.bigquery.file_order import is_later, require_latest
from taxiway.warehouses.bigquery.jobs import Jobs
from taxiway.warehouses.bigquery.month_file import examine
from taxiway.warehouses.bigquery.tables import CloudTables


@dataclass(frozen=True)
class Uploaded:
    """The object that a month is loaded from.

    :param object_name: its name in the bucket
    :param generation: which version it is
    :param columns: names of the columns in the order of the file
    :param rows: how many it has
    :param rejected: how many lines of the file aren't rows, and left out of it
    """

    object_name: str
    generation: int
    columns: tuple[str, ...]
    rows: int
    rejected: int

    def columns_of(self, source: Source) -> list[Column]:
        """Return the source's columns in the order of the file, and one for each that is left out."""
        columns = {column.name: column for column in source.columns}
        return [columns.get(name) or ignored_column(place) for place, name in enumerate(self.columns)]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, as they travel between tasks."""
        return {**asdict(self), "columns": list(self.columns)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], where: str) -> Uploaded:
        """Read back what :meth:`to_dict` gave.

        :param where: source and month, for the message
        :raises MissingInputError: another version of Taxiway gave it
        """
        try:
            return cls(**{**document, "columns": tuple(document["columns"])})
        except (KeyError, TypeError):
            raise MissingInputError(
                f"{where}: what upload_month left is of another version of Taxiway: found {', '.join(document)}, "
                f"expected {', '.join(field.name for field in fields(cls))}. Nothing was published: clear the task "
                f"download_month with its downstream tasks"
            ) from None


def upload_month(
    jobs: Jobs,
    bucket: Bucket,
    tables: CloudTables,
    attempt: Attempt,
    file: Download,
    record: Callable[..., None],
) -> tuple[Uploaded, Stored]:
    """Upload a month's file as it is; if BigQuery can't read it so, also a copy that it can read.

    :param attempt: the step's
    :param file: the downloaded file
    :param record: records in the ledger how many rows the file has
    :return: the object that is loaded, and the file's own
    :raises EmptyMonthError: no rows, for a source that doesn't allow it
    :raises RejectLimitError: more lines aren't rows than the source allows
    :raises SupersededError: a later file of the month is published, or in the bucket
    :raises TaxiwayError: what :func:`~taxiway.warehouses.bigquery.month_file.examine` and the upload raise
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-") as folder:
        clean_copy = Path(folder) / tables.clean_name
        found = examine(file, tables.source, tables.month, clean_copy)
        require_rows(tables, found.rows_read)
        layout = tables.source.layout_of(tables.month, {column.name for column in found.columns})
        record(
            rows_read=found.rows_read,
            rows_rejected=found.rows_rejected,
            layout=layout.name,
            warnings=with_left_out(attempt.warnings, found.left_out),
        )
        rejects.keep(jobs, tables, attempt.load_id, found.rejects)
        require_few_rejects(tables, found.rows_rejected, found.rows_read, found.rejects)
        entries = ledger.find_loads(jobs, tables)
        require_latest(tables, attempt, entries)

        def is_theirs_later(fetched_load_id: str) -> bool:
            return is_later(attempt, fetched_load_id, ledger.find_loads(jobs, tables))

        loaded = stored = bucket.upload(
            Path(file.path),
            tables.object_name,
            attempt.fetched_load_id,
            is_theirs_later,
            content_type=format_of(tables.source, tables.month).content_type,
            sha256=file.sha256,
        )
        if not found.sound:
            sweep_copies(bucket, tables, entries)
            loaded = bucket.upload(
                clean_copy,
                tables.clean_object_name,
                attempt.fetched_load_id,
                content_type=FORMATS["csv.gz"].content_type,
            )
    columns = tuple(column.name for column in found.columns)
    rows = found.rows_read - found.rows_rejected
    return Uploaded(loaded.name, loaded.generation, columns, rows, found.rows_rejected), stored
