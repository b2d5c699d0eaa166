"""What Taxiway loads: a source is one YAML file in ``include/sources/``.

The file is checked whole when it is read, so that everything behind this module
can rely on it: identifiers are plain words, paths stay
below the mirror's address, and months are months.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from taxiway.errors import InvalidMonthError, SettingError, SourceConfigError
from taxiway.settings import parse_size
from taxiway.sources.checks import Check, read_checks
from taxiway.sources.months import Month
from taxiway.sources.strict_yaml import TEXT, read_strict_yaml, shown

COLUMN_TYPES = ("integer", "numeric", "timestamp", "text")
"""Types that a source's column can have: exact ones only, for ids must not depend on rounding."""

MONTH_COLUMN = "source_month"
"""The column that main tables are partitioned by: the first day of the source month."""

ADDED_COLUMNS = ("unique_row_id", "filename", MONTH_COLUMN)
"""Columns that Taxiway puts in front of the source's own."""

TAKEN_NAMES = (
    *ADDED_COLUMNS,
    "line_number",
    "row_count",
    "unreadable_column",
    "ctid",
    "xmin",
    "xmax",
    "cmin",
    "cmax",
    "tableoid",
)
"""Names that a source's column can't have: ours, in either warehouse, and those of Postgres's system columns."""

TAKEN_TABLES = ("load_events", "loads", "months", "rejected_rows")
"""Names that a main table can't have: BigQuery keeps it in one dataset with the ledger."""

MAX_REJECTED_SHARE = 0.001
"""Share of a month's rows that may be unreadable, where a source doesn't say."""

MAX_FILE_SIZE = "1 GiB"
"""Largest download, where a source doesn't say."""

MAX_UNPACKED_SIZE = "8 GiB"
"""The most that a file may unpack to, where a source doesn't say."""

MAX_IDENTIFIER = 32
"""Longest table or column name, in characters: Postgres keeps 63, and names of
partitions and staging tables append to them."""

MAX_COLUMNS = 1000
"""Most columns of a source: Postgres's tables have 1600 at most, and queries name each more than once."""

_IDENTIFIER = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_IDENTIFIER - 1}}}")
_MONTHLY = re.compile(r"[0-5]?[0-9] (1?[0-9]|2[0-3]) ([1-9]|1[0-9]|2[0-8]) \* \*")
_HEADER_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_IDENTIFIER - 1}}}")
_FILE = re.compile(r"[A-Za-z0-9_.{}-]{1,150}\.csv\.gz")
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_REQUIRED = ("title", "first_month", "schedule", "file", "path", "main_table", "owner", "tags", "columns")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")
_OPTIONAL = (
    "last_month",
    "allow_empty",
    "max_rejected_share",
    "max_file_size",
    "max_unpacked_size",
    "allowed_redirect_hosts",
    "checks",
)


@dataclass(frozen=True)
class Column:
    """One column of a source.

    :param header: its name in the file's header; matched without regard to case
    :param name: its name in the main table: the header's, in lower case
    :param type: one of :data:`COLUMN_TYPES`
    :param description: what it means and its unit, as in the TLC data dictionary
    """

    header: str
    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Source:
    """One source, checked.

    :param name: short name, the YAML file's own; DAG ids and paths are made from it
    :param title: what it is, in words
    :param first_month: first month that is loaded
    :param last_month: last month that there is; None where months go on
    :param schedule: five-field cron expression, UTC
    :param file: name of the file that is downloaded, ``{month}`` standing for ``YYYY-MM``
    :param path: the file's path below the mirror's address, ``{month}`` as above
    :param main_table: name of the main table
    :param owner: owner of its DAGs
    :param tags: tags of its DAGs
    :param allow_empty: whether a header without rows is a valid month
    :param max_rejected_share: share of a month's rows that may be unreadable, 0 to 1
    :param columns: its columns in the order of the main table
    :param allowed_redirect_hosts: hosts, other than the mirror's own, that the mirror may
        redirect to: ``host``, or ``host:port`` where the port isn't the scheme's default
    :param max_file_size: bytes that a file may have as it is downloaded
    :param max_unpacked_size: bytes that it may unpack to
    :param checks: what is checked of a month before it is published
    :param yaml_sha256: SHA-256 of its YAML file, in hexadecimal
    """

    name: str
    title: str
    first_month: Month
    last_month: Month | None
    schedule: str
    file: str
    path: str
    main_table: str
    owner: str
    tags: tuple[str, ...]
    allow_empty: bool
    max_rejected_share: float
    columns: tuple[Column, ...]
    allowed_redirect_hosts: tuple[str, ...] = ()
    max_file_size: int = parse_size(MAX_FILE_SIZE, "max_file_size")
    max_unpacked_size: int = parse_size(MAX_UNPACKED_SIZE, "max_unpacked_size")
    checks: tuple[Check, ...] = ()
    yaml_sha256: str = ""

    def download_name(self, month: Month) -> str:
        """Return the name of a month's file as it is downloaded: ``green_tripdata_2019-01.csv.gz``."""
        return self.file.replace("{month}", str(month))

    def filename(self, month: Month) -> str:
        """Return the name of a month's unpacked file, as the column ``filename`` has it: without ``.gz``."""
        return self.download_name(month).removesuffix(".gz")

    def why_unavailable(self, month: Month) -> str | None:
        """Say why there is no file of a month, or None where there should be one."""
        if self.first_month <= month and (self.last_month is None or month <= self.last_month):
            return None
        return f"{self.name} {month}: not available: {self.months}"

    @property
    def months(self) -> str:
        """Which months there are, and where that is said, in words."""
        return f"include/sources/{self.name}.yaml says that there are the months {self.months_there_are}"

    @property
    def months_there_are(self) -> str:
        """The first and the last month, in words."""
        return f"from {self.first_month} on" if self.last_month is None else f"{self.first_month} to {self.last_month}"

    def file_path(self, month: Month) -> str:
        """Return the path of a month's file below the mirror's address."""
        return self.path.replace("{month}", str(month))


def load_sources(folder: Path) -> tuple[Source, ...]:
    """Read every ``*.yaml`` file of a folder.

    :param folder: usually ``include/sources``
    :return: the sources, ordered by name
    :raises SourceConfigError: names the file, the key, what it holds and what it should hold
    """
    sources = tuple(load_source(path) for path in sorted(folder.glob("*.yaml")))
    if not sources:
        raise SourceConfigError(f"{folder}: no source here: expected at least one *.yaml file")
    tables: dict[str, str] = {}
    for source in sources:
        if source.main_table in tables:
            raise SourceConfigError(
                f"{folder / source.name}.yaml: main_table '{source.main_table}' is that of "
                f"{tables[source.main_table]}.yaml too: give each source a table of its own"
            )
        tables[source.main_table] = source.name
    return sources


def find_source(folder: Path, name: str) -> Source:
    """Read the source of a name.

    :param folder: usually ``include/sources``
    :param name: the YAML file's, without its ending
    :raises SourceConfigError: see :func:`load_sources`
    """
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        raise SourceConfigError(
            f"{shown(name)} is not a source's name: expected lower-case letters, digits, underscores"
        )
    return load_source(folder / f"{name}.yaml")


def load_source(path: Path) -> Source:
    """Read one source from its YAML file.

    :raises SourceConfigError: see :func:`load_sources`
    """
    if not _IDENTIFIER.fullmatch(path.stem):
        raise SourceConfigError(f"{path}: a source's file is named in lower-case letters, digits and underscores")
    document, yaml_sha256 = read_strict_yaml(path)
    if not isinstance(document, Mapping):
        raise SourceConfigError(f"{path}: expected keys and values, found {type(document).__name__}")
    missing = [key for key in _REQUIRED if key not in document]
    unknown = [shown(key).strip("'") for key in document if key not in _REQUIRED + _OPTIONAL][:10]
    if missing or unknown:
        raise SourceConfigError(
            f"{path}: missing keys: {', '.join(missing) or 'none'}; unknown keys: {', '.join(unknown) or 'none'}; "
            f"a source has {', '.join(_REQUIRED)} and may have {', '.join(_OPTIONAL)}"
        )
    reader = _Reader(path, document)
    if "last_month" in document and reader.month("last_month") < reader.month("first_month"):
        raise reader.error("last_month", document["last_month"], "not to be before first_month")
    file = reader.matching(
        "file", _FILE, "a name of letters, digits, dots, underscores and hyphens, {month} and .csv.gz"
    )
    source_path = reader.text("path")
    for key, value in (("file", file), ("path", source_path)):
        if value.count("{month}") != 1 or re.search(r"[{}]", value.replace("{month}", "")):
            raise reader.error(key, value, "to hold {month} once, and no other braces")
    parts = PurePosixPath(source_path).parts
    if source_path.startswith("/") or ".." in parts or not re.fullmatch(r"[A-Za-z0-9_.{}/-]{1,300}", source_path):
        raise reader.error(
            "path",
            source_path,
            "to be a relative path below the mirror's address, of letters, digits, dots, underscores, hyphens and "
            "slashes",
        )
    if parts[-1] != file or source_path != "/".join(parts):
        raise reader.error("path", source_path, f"to end in the name under 'file', {file}")
    columns = reader.columns()
    main_table = reader.matching("main_table", _IDENTIFIER, f"a lower-case name of at most {MAX_IDENTIFIER} characters")
    if main_table in TAKEN_TABLES:
        raise reader.error("main_table", main_table, f"to be none of {', '.join(TAKEN_TABLES)}")
    return Source(
        name=path.stem,
        title=reader.text("title"),
        first_month=reader.month("first_month"),
        last_month=reader.month("last_month") if "last_month" in document else None,
        schedule=reader.matching("schedule", _MONTHLY, "a monthly cron: minute, hour, a day from 1 to 28, * and *"),
        file=file,
        path=source_path,
        main_table=main_table,
        owner=reader.matching("owner", _TAG, "a plain word"),
        tags=reader.tags(),
        allow_empty=reader.flag("allow_empty", default=False),
        max_rejected_share=reader.share("max_rejected_share", default=MAX_REJECTED_SHARE),
        columns=columns,
        allowed_redirect_hosts=reader.hosts(),
        max_file_size=reader.size("max_file_size", default=MAX_FILE_SIZE),
        max_unpacked_size=reader.size("max_unpacked_size", default=MAX_UNPACKED_SIZE),
        checks=read_checks(document.get("checks", []), {column.name: column.type for column in columns}, reader.error),
        yaml_sha256=yaml_sha256,
    )


class _Reader:
    """Reads typed values out of one source's document, with errors that name file and key."""

    def __init__(self, path: Path, document: Mapping[str, Any]) -> None:
        self.path = path
        self.document = document

    def error(self, key: str, value: object, expected: str) -> SourceConfigError:
        return SourceConfigError(f"{self.path}: {key} is {shown(value)}: expected it {expected}")

    def text(self, key: str) -> str:
        value = self.document[key]
        if not isinstance(value, str) or not TEXT.fullmatch(value):
            raise self.error(key, value, "to be a text of at most 1000 characters that isn't empty")
        return value

    def matching(self, key: str, pattern: re.Pattern[str], expected: str) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self.error(key, value, f"to be {expected}")
        return value

    def month(self, key: str) -> Month:
        try:
            return Month.parse(self.document[key])
        except InvalidMonthError:
            raise self.error(key, self.document[key], "to be a month (YYYY-MM)") from None

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.document.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, value, "to be true or false")
        return value

    def share(self, key: str, *, default: float) -> float:
        value = self.document.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.error(key, value, "to be a share between 0 and 1, such as 0.001")
        return float(value)

    def size(self, key: str, *, default: str) -> int:
        value = self.document.get(key, default)
        try:
            size = parse_size(value, key) if isinstance(value, str | int) and not isinstance(value, bool) else 0
        except SettingError:
            size = 0
        if size <= 0:
            raise self.error(key, value, "to be a size, such as 1 GiB")
        return size

    def tags(self) -> tuple[str, ...]:
        tags = self.document["tags"]
        if not isinstance(tags, list) or not tags or not all(isinstance(t, str) and _TAG.fullmatch(t) for t in tags):
            raise self.error("tags", tags, "to be a list of plain words")
        return tuple(tags)

    def hosts(self) -> tuple[str, ...]:
        hosts = self.document.get("allowed_redirect_hosts", [])
        if not isinstance(hosts, list) or not all(isinstance(host, str) and _HOST.fullmatch(host) for host in hosts):
            raise self.error(
                "allowed_redirect_hosts", hosts, "to be a list of lower-case host names without scheme or path"
            )
        return tuple(hosts)

    def columns(self) -> tuple[Column, ...]:
        entries = self.document["columns"]
        if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_COLUMNS:
            raise self.error("columns", entries, f"to be a list of columns, at most {MAX_COLUMNS}")
        columns = tuple(self._column(position, entry) for position, entry in enumerate(entries))
        names = [column.name for column in columns]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise self.error(f"columns[{position}].name", name, "to stand once (case does not count)")
        return columns

    def _column(self, position: int, entry: object) -> Column:
        key = f"columns[{position}]"
        if not isinstance(entry, Mapping) or set(entry) != {"name", "type", "description"}:
            raise self.error(key, entry, "to have name, type and description")
        header, kind, description = entry["name"], entry["type"], entry["description"]
        if not isinstance(header, str) or not _HEADER_NAME.fullmatch(header) or header.lower() in TAKEN_NAMES:
            raise self.error(
                f"{key}.name", header, f"to be letters, digits and underscores, and none of {', '.join(TAKEN_NAMES)}"
            )
        if kind not in COLUMN_TYPES:
            raise self.error(f"{key}.type", kind, f"to be one of {', '.join(COLUMN_TYPES)}")
        if not isinstance(description, str) or not TEXT.fullmatch(description):
            raise self.error(f"{key}.description", description, "to say what the column means")
        return Column(header=header, name=header.lower(), type=kind, description=description)
