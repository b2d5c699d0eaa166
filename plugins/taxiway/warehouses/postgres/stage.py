"""Stages a month: its file's rows go into a table of this run, typed if whole columns can be checked, else as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import psycopg

from taxiway.download.download import Download
from taxiway.download.month_file import month_rows, typed_rows
from taxiway.errors import MissingInputError
from taxiway.files.arrow_memory import take_little_memory
from taxiway.files.canonical_csv import CanonicalRows
from taxiway.files.csv_header import RowShape
from taxiway.files.csv_lines import numbered_lines, row_of, whole_lines, without_unnamed
from taxiway.files.file_format import NotOfTypeError
from taxiway.files.new_columns import is_ignored
from taxiway.files.rejects import RejectedLines
from taxiway.loads.attempts import Attempt
from taxiway.loads.publication import require_few_rejects, require_rows, with_left_out
from taxiway.loads.row_identity import with_ids
from taxiway.sources.source import Column, Layout
from taxiway.warehouses.postgres import ledger, rejects
from taxiway.warehouses.postgres.cleanup import drop_staging, sweep_staging
from taxiway.warehouses.postgres.main_table import ensure_tables
from taxiway.warehouses.postgres.main_table_objects import require_no_obstacle
from taxiway.warehouses.postgres.parallel_copy import copy_in_parallel
from taxiway.warehouses.postgres.partition import find_partition
from taxiway.warehouses.postgres.session import transaction
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.postgres.text_rows import TextRows
from taxiway.warehouses.sql import render

if TYPE_CHECKING:
    from taxiway.files.csv_columns import ColumnRows

_WHOLE_NUMBER = re.compile(r"(?<![0-9.])[0-9]+[.]0*(?![0-9])")
# What a message of Postgres quotes, in any language.

_MOST_ARGUMENTS = 100
"""Most arguments of a Postgres function: the one that gives a typed row its id takes every column."""


@dataclass(frozen=True)
class Staged:
    """A staged month.

    :param rows_read: rows in the file, without its header
    :param canonical: whether the rows have their types and ids already. Else the staging table holds text, and its
        fields must be checked
    """

    rows_read: int
    canonical: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, as they travel between tasks."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], where: str) -> Staged:
        """Read back what :meth:`to_dict` gave.

        :param where: source and month, for the message
        :raises MissingInputError: another version of Taxiway gave it
        """
        try:
            return cls(**document)
        except TypeError:
            raise MissingInputError(
                f"{where}: what stage_month left is of another version of Taxiway: found {', '.join(document)}, "
                f"expected {', '.join(field.name for field in fields(cls))}. The task hash_rows stages the file again "
                f"by itself"
            ) from None


def stage_month(
    connection: psycopg.Connection[Any], tables: LoadTables, attempt: Attempt, file: Download, sessions: int
) -> Staged:
    """Stream a downloaded month into its staging table.

    The quick way is tried first: rows go into typed columns over several sessions at once, and get their ids. That is
    for canonical CSV, and for CSV whose columns can be checked one by one. If it fails, the file is staged as text. If
    that fails too, its lines are read one by one: lines that can't be read are rejected, and the rest is staged.

    :param connection: the warehouse, with no transaction open
    :param tables: the load's tables
    :param attempt: the step's
    :param file: the downloaded file
    :param sessions: how many copy at once, the connection's among them
    :return: what was staged
    :raises MissingFileError: the file is gone, or isn't the downloaded one
    :raises InvalidFileError: not of its format, cut off, or no CSV
    :raises FileTooLargeError: it unpacks to more than the source allows
    :raises HeaderError: a column is missing, repeated or unknown
    :raises RejectLimitError: more lines that can't be read than the source allows
    :raises EmptyMonthError: no rows, for a source that doesn't allow it
    :raises MainTableError: the main table is another one, or something keeps it from taking the month
    """
    with transaction(connection) as cursor:
        ensure_tables(cursor, tables.source)
        # What keeps a published month from being changed, merge_month finds if it has to be.
        if find_partition(cursor, tables) is None:
            require_no_obstacle(cursor, tables)
        ledger.record(cursor, attempt, file=file)
    sweep_staging(connection, tables)
    try:
        return _stage(connection, tables, file, attempt, sessions)
    except BaseException:
        # Airflow's teardown follows only a step that succeeded, so a failed one drops its tables itself.
        with suppress(psycopg.Error):
            drop_staging(connection, tables)
        raise


def _stage(
    connection: psycopg.Connection[Any], tables: LoadTables, file: Download, attempt: Attempt, sessions: int
) -> Staged:
    staged = (
        _copy_with_ids(connection, tables, file, attempt, sessions)
        or _stage_typed(connection, tables, file, attempt, sessions)
        or _stage_text(connection, tables, file, attempt)
        or _stage_lines(connection, tables, file, attempt)
    )
    require_rows(tables, staged.rows_read)
    return staged


def _copy_with_ids(
    connection: psycopg.Connection[Any], tables: LoadTables, file: Download, attempt: Attempt, sessions: int
) -> Staged | None:
    """Copy rows with their ids, if the file's values have their columns' types; None, and nothing to use, if not.

    The text of a row is its line for ``COPY``, so the client writes it once for both. Otherwise the server writes it
    anew.
    """
    count = 0

    def counted(lines: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal count
        for block in lines:
            rows = block.split(b"\n")[:-1]
            count += len(rows)
            yield with_ids(rows)

    try:
        shape, lines = typed_rows(tables.source, tables.month, file)
        layout = _layout(tables, shape)
        _create_typed(connection, tables, layout, has_ids=True)
        statement = _copy_statement(tables, layout.columns, has_ids=True)
        copied = copy_in_parallel(connection, statement, counted(lines), sessions)
    except (NotOfTypeError, *_STUMBLED):
        return None
    if copied != count:
        return None
    with transaction(connection) as cursor:
        _record(cursor, tables, attempt, shape, rows_read=copied)
    return Staged(rows_read=copied, canonical=True)


def _create_typed(
    connection: psycopg.Connection[Any],
    tables: LoadTables,
    layout: Layout,
    *,
    by_column: bool = False,
    has_ids: bool = False,
) -> None:
    with transaction(connection) as cursor:
        cursor.execute(
            render(
                "postgres/create_canonical_staging_table.sql",
                staging_table=tables.staging_table,
                columns=tables.source.columns,
                id_columns=layout.columns,
                by_column=by_column,
                has_ids=has_ids,
            ),
            {"filename": tables.filename, "month": tables.month.first_day},
        )


def _stage_typed(
    connection: psycopg.Connection[Any], tables: LoadTables, file: Download, attempt: Attempt, sessions: int
) -> Staged | None:
    """Stage the file with types and ids; None, and nothing to use, if a row of it needs a closer look."""
    for by_column in (False, True):
        try:
            return _copy_typed(connection, tables, file, attempt, sessions, by_column=by_column)
        except _ByColumnError:
            continue
        except _STUMBLED as error:
            if by_column or not _is_of_a_column(error):
                return None
    return None


def _is_of_a_column(error: Exception) -> bool:
    """Say whether ``COPY`` stumbled over ``1.0`` for an integer, or over a text as long as a timestamp."""
    whole = isinstance(error, psycopg.errors.InvalidTextRepresentation) and _WHOLE_NUMBER.search(str(error))
    return bool(whole) or isinstance(error, psycopg.errors.StringDataRightTruncation)


def _copy_typed(
    connection: psycopg.Connection[Any],
    tables: LoadTables,
    file: Download,
    attempt: Attempt,
    sessions: int,
    *,
    by_column: bool,
) -> Staged:
    """Copy the rows into typed columns.

    :param by_column: whether each column is checked, or blocks are, which is quicker, and for canonical CSV only
    :raises _ByColumnError: a block isn't canonical CSV, but its columns can be checked
    """
    _, shape, blocks = month_rows(tables.source, tables.month, file)
    layout = _layout(tables, shape)
    if len(layout.columns) > _MOST_ARGUMENTS or any(map(is_ignored, shape.columns)):
        raise _StumbledError
    _create_typed(connection, tables, layout, by_column=by_column)
    canonical, checked = CanonicalRows(shape.columns), _column_rows(shape) if by_column else None

    def rows_of(block: bytes) -> bytes | None:
        if checked is not None:
            return checked.rows_of(block)
        if canonical.add(block):
            return block
        if _column_rows(shape).rows_of(block) is None:
            return None
        raise _ByColumnError

    copied = copy_in_parallel(
        connection,
        _copy_statement(tables, shape.columns, plain=not by_column),
        _rows_alone(blocks, shape, rows_of),
        sessions,
    )
    if copied != (checked or canonical).count:
        raise _StumbledError
    with transaction(connection) as cursor:
        _record(cursor, tables, attempt, shape, rows_read=copied)
    return Staged(rows_read=copied, canonical=True)


def _column_rows(shape: RowShape) -> ColumnRows:
    # Imported for files that need it: Arrow takes time and memory.
    take_little_memory()
    from taxiway.files.csv_columns import ColumnRows

    return ColumnRows(shape.columns)


def _rows_alone(blocks: Iterator[bytes], shape: RowShape, rows_of: Callable[[bytes], bytes | None]) -> Iterator[bytes]:
    """Yield whole lines without the fields after the last column, as long as each is a row.

    :param rows_of: counts the rows of a block, and returns them; None if a line isn't one
    """
    for block in whole_lines(blocks):
        lines = without_unnamed(block, shape.unnamed)
        rows = None if lines is None else rows_of(lines)
        if rows is None:
            raise _StumbledError
        yield rows


def _copy_statement(
    tables: LoadTables,
    columns: tuple[Column, ...],
    *,
    numbered: bool = False,
    has_ids: bool = False,
    plain: bool = False,
) -> str:
    return render(
        "postgres/stage_month.sql",
        staging_table=tables.staging_table,
        file_columns=columns,
        numbered=numbered,
        has_ids=has_ids,
        plain=plain,
    )


def _begin(cursor: psycopg.Cursor[Any], tables: LoadTables, shape: RowShape, *, numbered: bool) -> str:
    """Create the staging table for text; return the COPY statement for the file."""
    columns = (*tables.source.columns, *filter(is_ignored, shape.columns))
    cursor.execute(render("postgres/create_staging_table.sql", staging_table=tables.staging_table, columns=columns))
    return _copy_statement(tables, shape.columns, numbered=numbered)


def _stage_text(
    connection: psycopg.Connection[Any], tables: LoadTables, file: Download, attempt: Attempt
) -> Staged | None:
    """Stage the file's fields as text, in its order; None, and nothing staged, if a line isn't one row of it."""
    try:
        with transaction(connection) as cursor:
            _, shape, blocks = month_rows(tables.source, tables.month, file)
            rows = TextRows(len(shape.columns))
            with cursor.copy(_begin(cursor, tables, shape, numbered=False)) as copy:
                for block in _rows_alone(blocks, shape, lambda block: block if rows.add(block) else None):
                    copy.write(block)
            if cursor.rowcount != rows.count:
                raise _StumbledError
            _record(cursor, tables, attempt, shape, rows_read=rows.count)
    except _STUMBLED:
        return None
    return Staged(rows_read=rows.count, canonical=False)


def _record(
    cursor: psycopg.Cursor[Any],
    tables: LoadTables,
    attempt: Attempt,
    shape: RowShape,
    *,
    rows_read: int,
    rows_rejected: int = 0,
) -> None:
    """Record in the ledger what the file holds."""
    ledger.record(
        cursor,
        attempt,
        rows_read=rows_read,
        rows_rejected=rows_rejected,
        layout=_layout(tables, shape).name,
        warnings=with_left_out(attempt.warnings, shape.left_out),
    )


def _layout(tables: LoadTables, shape: RowShape) -> Layout:
    return tables.source.layout_of(tables.month, {column.name for column in shape.columns})


def _stage_lines(connection: psycopg.Connection[Any], tables: LoadTables, file: Download, attempt: Attempt) -> Staged:
    """Stage the lines that can be read, and reject the rest."""
    rejected = RejectedLines()
    rows_read = 0
    with transaction(connection) as cursor:
        _, shape, blocks = month_rows(tables.source, tables.month, file)
        with cursor.copy(_begin(cursor, tables, shape, numbered=True)) as copy:
            for number, line in numbered_lines(blocks, first=2):
                if not line:
                    continue  # an empty line isn't a row: editors leave such lines behind
                rows_read += 1
                row, reason = row_of(line, len(shape.columns), shape.unnamed)
                if reason is None:
                    copy.write(b"%d,%s\n" % (number, row))
                else:
                    rejected.add(number, line, reason)
    with transaction(connection) as cursor:
        rejects.keep(cursor, tables, attempt, rejected.kept)
        _record(cursor, tables, attempt, shape, rows_read=rows_read, rows_rejected=rejected.count)
    require_few_rejects(tables, rejected.count, rows_read, rejected.kept)
    return Staged(rows_read=rows_read, canonical=False)


class _StumbledError(Exception):
    """A field or a line needs a closer look."""


class _ByColumnError(Exception):
    """The file isn't canonical CSV, but its columns can be checked one by one."""


_STUMBLED = (_StumbledError, psycopg.errors.DataError, psycopg.errors.ProgramLimitExceeded)
"""What sends a file on to the next, slower way of staging it."""
