"""What Taxiway loads: a source is one YAML file in ``include/sources/``.

The whole file is checked when it is read, so that other modules can rely on it: identifiers are letters, digits and
underscores, paths stay below a connection's address, and months are months.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from taxiway.errors import SourceConfigError
from taxiway.settings import parse_size
from taxiway.sources.checks import Check
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.release import Release
from taxiway.sources.report import Report
from taxiway.sources.source_file import (
    IDENTIFIER,
    MAX_DELETED_SHARE,
    MAX_FILE_SIZE,
    MAX_UNPACKED_SIZE,
    PUBLICATION_LAG_DAYS,
    CheckEntry,
    SourceFile,
    WrongDocumentError,
    check_document,
)
from taxiway.sources.strict_yaml import parse_strict_yaml, read_yaml, shown

MOST_NAMED = 5
"""Most mistakes of one file that an error names."""


@dataclass(frozen=True)
class Column:
    """One column of a source.

    :param header: its name in the file's header; matched without regard to case
    :param name: its name in the main table: the header's, in lower case
    :param type: one of :data:`~taxiway.sources.source_file.COLUMN_TYPES`
    :param description: what it means and its unit, as in the TLC data dictionary
    :param since: first month whose files have it; None for the first one of all
    :param until: last month whose files have it; None for the last one of all
    :param headers: other names that it may have in a header
    :param optional: whether a file may lack it
    """

    header: str
    name: str
    type: str
    description: str
    since: Month | None = None
    until: Month | None = None
    headers: tuple[str, ...] = ()
    optional: bool = False

    def is_of(self, month: Month) -> bool:
        """Say whether the files of a month have the column."""
        return (self.since is None or self.since <= month) and (self.until is None or month <= self.until)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name that it may have in a header, in lower case."""
        return (self.name, *(header.lower() for header in self.headers))

    @property
    def months(self) -> str:
        """Which months have it, in words that follow its name."""
        words = [f"since {self.since}"] if self.since else []
        return " ".join([*words, f"until {self.until}"] if self.until else words)


@dataclass(frozen=True)
class Layout:
    """Which columns a file has. The ids of its rows are made from these, in the source's order.

    :param columns: the columns, in the source's order
    """

    columns: tuple[Column, ...]

    @functools.cached_property
    def name(self) -> str:
        """Its name in the ledger: from names and types of the columns, 12 lower-case hexadecimal digits.

        Two files of one layout, and one version of the rules of row identity, have the same ids for the same rows.
        """
        text = "\n".join(f"{column.name} {column.type}" for column in self.columns)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Source:
    """One source, checked.

    :param name: short name, the YAML file's own; DAG ids and paths are made from it
    :param title: what it is, in words
    :param releases: where its files come from, in the order of their months, one after another without a gap
    :param schedule: five-field cron expression, in the time zone; ``@once``, or None, for a file that stands alone
    :param main_table: name of the main table
    :param owner: owner of its DAGs
    :param tags: tags of its DAGs
    :param allow_empty: whether a header without rows is a valid month
    :param max_rejected_share: share of a month's rows that may be unreadable, 0 to 1
    :param columns: its columns in the order of the main table
    :param max_deleted_share: share of a month's published rows that a corrected file may delete, 0 to 1
    :param approval: whether a file that would delete more waits for a person to approve that
    :param allowed_redirect_hosts: hosts, other than the mirror's own, that the mirror may
        redirect to: ``host``, or ``host:port`` if the port isn't the scheme's default
    :param max_file_size: bytes that a file may have as it is downloaded
    :param max_unpacked_size: bytes that it may unpack to
    :param checks: what is checked of a month before it is published
    :param on_new_column: what becomes of a column that the source doesn't know: ``error``, or ``ignore``: left out
    :param timezone: name of the time zone of its schedule, for example ``America/New_York``
    :param period: what one file covers: one of :data:`~taxiway.sources.months.PERIODS`
    :param publication_lag_days: days after a month's end within which its file may still be absent
    :param report: which columns the monthly report is made from; None for a source without one
    :param yaml_sha256: SHA-256 of its YAML file, in hexadecimal
    """

    name: str
    title: str
    releases: tuple[Release, ...]
    schedule: str | None
    main_table: str
    owner: str
    tags: tuple[str, ...]
    allow_empty: bool
    max_rejected_share: float
    columns: tuple[Column, ...]
    max_deleted_share: float = MAX_DELETED_SHARE
    approval: bool = False
    allowed_redirect_hosts: tuple[str, ...] = ()
    max_file_size: int = parse_size(MAX_FILE_SIZE, "max_file_size")
    max_unpacked_size: int = parse_size(MAX_UNPACKED_SIZE, "max_unpacked_size")
    checks: tuple[Check, ...] = ()
    on_new_column: str = "error"
    timezone: str = "UTC"
    period: str = "month"
    publication_lag_days: int = PUBLICATION_LAG_DAYS
    report: Report | None = None
    yaml_sha256: str = ""

    @property
    def stands_alone(self) -> bool:
        """Whether it is one file, of no month."""
        return self.period == "none"

    @property
    def first_month(self) -> Month:
        """First month that is loaded."""
        return self.releases[0].first

    @property
    def last_month(self) -> Month | None:
        """Last month that there is; None if months go on."""
        return self.releases[-1].last

    @property
    def zone(self) -> tzinfo:
        """The time zone of its schedule; UTC in Python's own class, as Airflow writes it."""
        return timezone.utc if self.timezone == "UTC" else ZoneInfo(self.timezone)

    def month_of(self, moment: datetime) -> Month:
        """Return the month that a moment lies in, in the source's time zone; of a file that stands alone, its period.

        :param moment: with its time zone
        """
        if self.stands_alone:
            return WHOLE
        return Month.of(moment.astimezone(self.zone))

    def release_of(self, month: Month) -> Release:
        """Return the release that has a month; of a month that none has, the one before it, else the first."""
        return next((release for release in reversed(self.releases) if release.first <= month), self.releases[0])

    def download_name(self, month: Month) -> str:
        """Return the name of a month's file as it is downloaded: ``green_tripdata_2019-01.csv.gz``."""
        return self.release_of(month).file.replace("{month}", str(month))

    def filename(self, month: Month) -> str:
        """Return the name of a month's unpacked file, as the column ``filename`` has it: without ``.gz``."""
        return self.download_name(month).removesuffix(".gz")

    def file_path(self, month: Month) -> str:
        """Return the path of a month's file below the address of its release's connection."""
        return self.release_of(month).file_path(month)

    def why_unavailable(self, month: Month) -> str | None:
        """Say why there is no file of a month, or None if there should be one."""
        if self.release_of(month).has(month):
            return None
        return f"{self.name} {month}: not available: {self.months}"

    def due(self, month: Month) -> date:
        """Return the day from which on a month's file should be there; until then, it may not be published yet."""
        return month.next().first_day + timedelta(days=self.publication_lag_days)

    def today(self, now: datetime | None = None) -> date:
        """Return the day in the source's time zone. It begins at the hour of the schedule, when runs start.

        :param now: a moment with its time zone; the present one unless given
        """
        fields = [*(self.schedule or "").split(), "*", "*"]
        minute, hour = (int(field) if field.isdecimal() else 0 for field in fields[:2])
        return ((now or datetime.now(self.zone)).astimezone(self.zone) - timedelta(hours=hour, minutes=minute)).date()

    def is_due(self, month: Month) -> bool:
        """Say whether a month's file should be there by now."""
        return self.today() >= self.due(month)

    def layout_of(self, month: Month, names: Collection[str] | None = None) -> Layout:
        """Return the layout of a month's file.

        :param names: of the columns that the file has; None for all that it may have
        """
        columns = (column for column in self.columns if column.is_of(month))
        return Layout(tuple(column for column in columns if names is None or column.name in names))

    def layouts_of(self, month: Month) -> dict[str, Layout]:
        """Return every layout that a month's file may have, by its name: it may lack optional columns."""
        columns = self.layout_of(month).columns
        optional = [column.name for column in columns if column.optional]
        found = dict[str, Layout]()
        for lacking in itertools.product((False, True), repeat=len(optional)):
            absent = set(itertools.compress(optional, lacking))
            layout = Layout(tuple(column for column in columns if column.name not in absent))
            found[layout.name] = layout
        return found

    @property
    def months(self) -> str:
        """Which months there are, and where that is said, in words."""
        if self.stands_alone:
            return f"include/sources/{self.name}.yaml says that there is one file, of no month"
        return f"include/sources/{self.name}.yaml says that there are the months {self.months_there_are}"

    @property
    def months_there_are(self) -> str:
        """The first and the last month, in words."""
        if self.stands_alone:
            return "one file"
        return f"from {self.first_month} on" if self.last_month is None else f"{self.first_month} to {self.last_month}"


def read_sources(folder: Path) -> tuple[tuple[Source, ...], tuple[SourceConfigError, ...]]:
    """Read every ``*.yaml`` file of a folder; a wrong one leaves the others usable.

    :param folder: usually ``include/sources``
    :return: the sources, ordered by name; and what is wrong: file, line, key, what was found, what was expected
    """
    sources, errors = list[Source](), list[SourceConfigError]()
    for path in sorted(folder.glob("*.yaml")):
        try:
            sources.append(load_source(path))
        except SourceConfigError as error:
            errors.append(error)
    if not sources and not errors:
        errors.append(SourceConfigError(f"{folder}: no source here: expected at least one *.yaml file"))
    tables = Counter(source.main_table for source in sources)
    for source in sources:
        if tables[source.main_table] > 1:
            others = (
                f"{each.name}.yaml" for each in sources if each.main_table == source.main_table and each != source
            )
            errors.append(
                SourceConfigError(
                    f"{folder / source.name}.yaml: main_table '{source.main_table}' is that of {', '.join(others)} "
                    f"too: give each source a table of its own"
                )
            )
    return tuple(source for source in sources if tables[source.main_table] == 1), tuple(errors)


def load_sources(folder: Path) -> tuple[Source, ...]:
    """Read every ``*.yaml`` file of a folder.

    :param folder: usually ``include/sources``
    :return: the sources, ordered by name
    :raises SourceConfigError: a file is wrong; says of each such file what :func:`read_sources` does
    """
    sources, errors = read_sources(folder)
    if errors:
        raise SourceConfigError("; ".join(map(str, errors))) from errors[0]
    return sources


def find_source(folder: Path, name: str) -> Source:
    """Read the source of a name.

    :param folder: usually ``include/sources``
    :param name: the YAML file's, without its ending
    :raises SourceConfigError: see :func:`load_sources`
    """
    if not isinstance(name, str) or not re.fullmatch(IDENTIFIER, name):
        raise SourceConfigError(
            f"{shown(name)} is not a source's name: expected lower-case letters, digits, underscores"
        )
    return load_source(folder / f"{name}.yaml")


def load_source(path: Path) -> Source:
    """Read one source from its YAML file.

    :raises SourceConfigError: see :func:`load_sources`
    """
    if not re.fullmatch(IDENTIFIER, path.stem):
        raise SourceConfigError(f"{path}: a source's file is named in lower-case letters, digits and underscores")
    if path.stem in ("compare", "monthly_report", "year_report", "watch", "maintenance") or path.stem.endswith("_gcp"):
        raise SourceConfigError(f"{path}: taxi_{path.stem} is the id of another DAG: give the file another name")
    return _parse_source(path, read_yaml(path))


# Parsing takes ten times as long as reading. A task reads its source twice: for its DAG, and for its step.
@functools.lru_cache(maxsize=64)
def _parse_source(path: Path, content: bytes) -> Source:
    yaml = parse_strict_yaml(path, content)
    if not isinstance(yaml.document, Mapping):
        raise SourceConfigError(f"{path}: expected keys and values, found {type(yaml.document).__name__}")
    try:
        file = check_document(yaml.document)
    except WrongDocumentError as error:
        (line, first), *others = sorted((yaml.line_of(place), text) for place, text in error.complaints)
        named = "".join(f"; line {line}: {text}" for line, text in others[: MOST_NAMED - 1])
        more = f"; and {len(others) + 1 - MOST_NAMED} more" if len(others) >= MOST_NAMED else ""
        raise SourceConfigError(f"{path}:{line}: {first}{named}{more}") from error
    return _source(path.stem, file, yaml.sha256)


def _source(name: str, file: SourceFile, yaml_sha256: str) -> Source:
    values = dict(file) | {
        "releases": tuple(
            Release(each.first or WHOLE, each.last if each.first else WHOLE, each.connection, each.path, each.format)
            for each in file.in_order()
        ),
        "tags": tuple(file.tags),
        "allowed_redirect_hosts": tuple(file.allowed_redirect_hosts),
        "columns": tuple(
            Column(header=each.name, **dict(each) | {"name": each.name.lower(), "headers": tuple(each.headers)})
            for each in file.columns
        ),
        "checks": tuple(Check(**_normal(check)) for check in file.checks),
        "report": file.report
        and Report(**{part: column and column.lower() for part, column in file.report.model_dump().items()}),
    }
    return Source(name=name, yaml_sha256=yaml_sha256, **values)


def _normal(check: CheckEntry) -> dict[str, Any]:
    column = check.column and check.column.lower()
    return dict(check) | {"column": column, "message": " ".join(check.message.split())}
