"""The folder of reports: each file is replaced whole, and lies below the folder of its source."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from taxiway.errors import ReportError
from taxiway.paths import REPORTS_FOLDER
from taxiway.reports.figures import Period
from taxiway.settings import parse_folder
from taxiway.sources.source import Source

FOLDER_VARIABLE = "taxiway_reports_folder"
"""The Variable of Airflow that names the folder."""

GIVEN_UP_SECONDS = 3600.0
"""Age of a half-written file whose writer was killed: one that lives takes less than a second."""


def reports_folder(value: object) -> Path:
    """Return the folder of all reports.

    :param value: of the Variable, None if there is none; a relative path starts at the repository's root
    :raises SettingError: it is below an unknown user's home
    """
    return parse_folder(str(value), FOLDER_VARIABLE) if value and str(value).strip() else REPORTS_FOLDER


def write_report(folder: Path, source: Source, period: Period, page: str, pictures: Mapping[str, bytes]) -> Path:
    """Write the page and the pictures of a report; pictures that an earlier report had, and this one hasn't, go.

    What a killed process has left half written in the folder of the source goes, too.

    :param folder: of all reports; made if it is absent
    :param source: whose name, letters and digits, is the name of a folder there
    :param period: whose name begins the names of the files
    :param page: HTML
    :param pictures: PNG files by the names of their charts
    :return: the page
    :raises ReportError: the folder can't be written to
    """
    own = folder / source.name
    names = {f"{period.name}_{name}.png": content for name, content in pictures.items()}
    path = own / f"{period.name}.html"
    try:
        own.mkdir(parents=True, exist_ok=True)
        for name, content in names.items():
            _replace(own / name, content)
        # The page comes last: who sees it finds its pictures.
        _replace(path, page.encode())
        gone = [other for other in own.glob(f"{period.name}_*.png") if other.name not in names]
        for other in (*gone, *filter(_is_given_up, own.glob(".*.part"))):
            other.unlink(missing_ok=True)
    except OSError as error:
        raise ReportError(
            f"{source.name} {period.name}: the report can't be written: {error.strerror} ({error.filename}). Expected "
            f"a folder that Airflow's user may write to: give {folder} to that user, or name another folder in the "
            f"Variable taxiway_reports_folder, and clear the task with its downstream tasks"
        ) from error
    return path


def find_reports(folder: Path) -> dict[str, list[str]]:
    """Return the periods of all reports by source, the latest first; a year comes before its months.

    :param folder: of all reports, which may be absent
    """
    found: dict[str, list[str]] = {}
    for path in folder.glob("*/*.html"):
        if re.fullmatch(r"[12][0-9]{3}(-[0-9]{2})?", path.stem):
            found.setdefault(path.parent.name, []).append(path.stem)
    return {
        source: sorted(found[source], key=lambda name: (name[:4], name[4:] or "~"), reverse=True)
        for source in sorted(found)
    }


def read_report(folder: Path, source: str, period: str) -> bytes | None:
    """Return the page of a report; None if there is none that can be read.

    :param folder: of all reports
    :param source: a source's name: letters, digits and underscores
    :param period: the name of a month or a year
    """
    try:
        return (folder / source / f"{period}.html").read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _is_given_up(part: Path) -> bool:
    try:
        return part.stat().st_mtime < time.time() - GIVEN_UP_SECONDS
    except FileNotFoundError:
        return False  # another process has just put it in its place


def _replace(path: Path, content: bytes) -> None:
    """Give a file new content at once: a reader sees the old file or the new one."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        part.chmod(0o644)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
