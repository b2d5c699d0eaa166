"""``airflow taxi rejects``: lines of a month that could not be read, and its file to mend them in."""

from __future__ import annotations

import shlex
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

from taxiway.cli.lines import source_of
from taxiway.cli.output import FINDINGS, FINE, command, say, show
from taxiway.cli.warehouses import published_months
from taxiway.download.month_file import unpacked_month
from taxiway.errors import ChangedFileError, InvalidArgumentError
from taxiway.files.mending import rejects_first
from taxiway.loads.published_months import Rejected
from taxiway.messages import counted, one_line
from taxiway.orchestration.downloads import download
from taxiway.orchestration.load_command import how_to_load, load_command
from taxiway.sources.months import WHOLE, WHOLE_TEXT, Month
from taxiway.sources.source import Source

PURPOSE = "rejects"
"""What the lines are read for, for messages."""

LONGEST_SHOWN = 60
"""Characters of a line that a table shows; the other formats have all of it."""

PORT = 8800
"""Where the advice serves a mended file."""


@command
def rejects(arguments: Namespace) -> int:
    """Run the command.

    :return: the exit code
    :raises InvalidArgumentError: an option can't be used
    :raises ChangedFileError: the source serves another file than the one whose lines were rejected
    """
    source = source_of(arguments.source, "SOURCE")
    month = _month(source, arguments.month)
    with published_months(arguments.warehouse, PURPOSE) as warehouse:
        found = warehouse.rejected(source, month)
    if found is None:
        again = how_to_load(source, [month], arguments.warehouse, say="To load it")
        say(f"{source.name} {month}: the ledger has no load that has read its file. {again}")
        return FINDINGS
    short = arguments.output == "table"
    records: list[dict[str, Any]] = [
        {
            "line": line.line_number,
            "reason": line.reason,
            "text": one_line(line.raw_line, LONGEST_SHOWN) if short else line.raw_line,
        }
        for line in found.lines
    ]
    if records or not short:
        show(records, arguments.output)
    say(_summary(source, month, found))
    if not found.count:
        if arguments.csv is not None:
            say("There is nothing to write")
        return FINE
    if arguments.csv is None:
        say(f"To mend them: give the command again with --csv FOLDER, which writes {source.filename(month)} there")
    else:
        again = load_command(source, [month], arguments.warehouse)
        say(_advice(source, month, found, _write(source, month, found, Path(arguments.csv), again), arguments))
    return FINDINGS


def _month(source: Source, text: str) -> Month:
    month = Month.parse(text)
    if month.is_whole != source.stands_alone:
        expected = f"{WHOLE_TEXT}, for it is one file" if source.stands_alone else "a month, such as 2019-03"
        raise InvalidArgumentError(f"MONTH {month}: expected of {source.name} {expected}")
    return WHOLE if source.stands_alone else month


def _summary(source: Source, month: Month, found: Rejected) -> str:
    kept = f" The first {len(found.lines)} are kept." if len(found.lines) < found.count else ""
    published = "the rest is published" if found.state == "published" else f"the load ended as {found.state}"
    how = f"; {published}" if found.count else ""
    rows = counted(found.rows_read, "row")
    return f"{source.name} {month}: {found.count} of {rows} of its file can't be read{how}.{kept}"


def _write(source: Source, month: Month, found: Rejected, folder: Path, again: str) -> Path:
    """Write the month's file, its rejected lines first; return its path."""
    path = folder / _csv_path(source, month)
    if path.exists():
        raise InvalidArgumentError(f"--csv {folder}: {path} exists already: move it away, or name another folder")
    file = download(source, month)
    if file.sha256 != found.sha256:
        raise ChangedFileError(
            f"{source.name} {month}: the source serves another file now: fetched SHA-256 {file.sha256}, expected "
            f"{found.sha256}, whose lines were rejected. Nothing was written. Load the file that is served now: {again}"
        )
    numbers = {line.line_number for line in found.lines}
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as written:
            written.writelines(rejects_first(lambda: unpacked_month(source, month, file), numbers))
        part.replace(path)
    except OSError as error:
        raise InvalidArgumentError(f"--csv {folder}: {path} can't be written: {error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def _csv_path(source: Source, month: Month) -> str:
    """Return the path of a month's unpacked file, as its release has it; of another format, with the ending of CSV."""
    path = source.file_path(month).removesuffix(".gz")
    return path if path.endswith(".csv") else f"{path.rpartition('.')[0]}.csv"


def _advice(source: Source, month: Month, found: Rejected, path: Path, arguments: Namespace) -> str:
    """Say how the file is mended and loaded."""
    more = len(found.lines) > 1
    lines, were = (f"lines 2 to {len(found.lines) + 1}", "these were") if more else ("line 2", "this one was")
    said = f"{source.name} {month}: wrote {path}. Mend {lines} of it: {were} rejected. "
    release = source.release_of(month)
    if release.format == "parquet":
        return f"{said}Then load it by a release of its own, of the format csv: docs/commands.md#loading-a-mended-file"
    pack = f"gzip {shlex.quote(str(path))}; " if release.format == "csv.gz" else ""
    serve = f"python3 -m http.server {PORT} --bind 127.0.0.1 --directory {shlex.quote(arguments.csv)}"
    load = load_command(source, [month], arguments.warehouse)
    own = f"AIRFLOW_CONN_{release.connection.upper()}=http://127.0.0.1:{PORT}"
    return f"{said}Then: {pack}{serve} & {own} {load}"
