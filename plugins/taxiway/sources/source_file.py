"""What a source's YAML file may say: its keys, and what each may hold.

pydantic checks a file against these classes, and ``include/sources/source.schema.json`` is made from them, for editors.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError

from taxiway.errors import InvalidMonthError, SettingError
from taxiway.messages import one_line
from taxiway.settings import parse_size
from taxiway.sources.checks import MAX_BOUND, MEASURES, MEASURES_OF_MONTHS, SEVERITIES
from taxiway.sources.months import MONTH_PATTERN, PERIODS, WHOLE, Month
from taxiway.sources.release import FORMATS
from taxiway.sources.report import PARTS
from taxiway.sources.strict_yaml import TEXT, shown

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

SUMMARY_TABLE = "monthly_zone_summary"
"""The table of the monthly reports, which no main table can be."""

MAX_REJECTED_SHARE = 0.001
"""Share of a month's rows that may be unreadable, unless a source says otherwise."""

MAX_DELETED_SHARE = 0.2
"""Share of a month's published rows that a corrected file may delete, unless a source says otherwise."""

MAX_FILE_SIZE = "1 GiB"
"""Largest download, unless a source says otherwise."""

MAX_UNPACKED_SIZE = "8 GiB"
"""The most that a file may unpack to, unless a source says otherwise."""

PUBLICATION_LAG_DAYS = 90
"""Days after a month's end within which its file may be absent, where a source doesn't say.

The TLC published the months from 2022-12 to 2024-05 47 to 78 days after their end.
"""

MAX_LAG_DAYS = 3660
"""The largest publication_lag_days: ten years."""

MAX_IDENTIFIER = 32
"""Longest table or column name, in characters: Postgres keeps 63, and names of
partitions and staging tables append to them."""

ON_NEW_COLUMN = ("error", "ignore")
"""What may become of a file with a column that its source doesn't know: it fails, or is loaded without the column."""

MAX_OPTIONAL = 8
"""Most columns of a source that a file may lack: a month's file has one of 2**8 layouts then."""

MAX_COLUMNS = 1000
"""Most columns of a source: Postgres's tables have 1600 at most, and queries name each more than once."""

IDENTIFIER = rf"[a-z][a-z0-9_]{{0,{MAX_IDENTIFIER - 1}}}"
"""A table's or a source's name, as a regular expression."""

Place = tuple[str | int, ...]
"""Where a value stands in a file: keys, and positions in lists, from outside to inside."""

Problem = tuple[Place, object, str]
"""A place, the value there, None if it has none, and what was expected, as :func:`expected` takes it."""


def expected(phrase: str) -> WrapValidator:
    """Say in our words what a value should be; a key without a value is none.

    :param phrase: goes on from "expected it"
    """

    def validate(value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            if value is not None:
                return check(value)
        except ValidationError as error:
            if any(found["loc"] for found in error.errors(include_url=False)):
                raise  # what lies within the value says more
        raise PydanticCustomError("expected", "expected it {phrase}", {"phrase": phrase})

    return WrapValidator(validate)


def _words(value: str) -> str:
    if not TEXT.fullmatch(value):
        raise ValueError
    return value


def _month(value: object) -> Month:
    try:
        if value == str(WHOLE):
            raise ValueError
        return Month.parse(value)  # type: ignore[arg-type]  # it looks itself
    except InvalidMonthError as error:
        raise ValueError from error


def _size(value: object) -> int:
    try:
        size = parse_size(value, "") if isinstance(value, str | int) and not isinstance(value, bool) else 0
    except SettingError:
        size = 0
    if size <= 0:
        raise ValueError
    return size


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:  # a folder of zones is no zone
        raise ValueError from error
    return name


def _below(path: str) -> str:
    if {"", ".", ".."} & set(path.split("/")):
        raise ValueError
    return path


def _header(name: str) -> str:
    if not TEXT.fullmatch(name) or not name.isprintable() or name != name.strip() or set(name) & {",", '"'}:
        raise ValueError
    return name


def _not_one_of(values: Sequence[str]) -> AfterValidator:
    def validate(value: str) -> str:
        if value.lower() in values:
            raise ValueError
        return value

    return AfterValidator(validate)


def _one_of(values: Sequence[str]) -> AfterValidator:
    def validate(value: str) -> str:
        if value not in values:
            raise ValueError
        return value

    return AfterValidator(validate)


def _matching(pattern: str) -> StringConstraints:
    return StringConstraints(pattern=f"^({pattern})$")


def _enum(values: Sequence[str]) -> WithJsonSchema:
    return WithJsonSchema({"enum": [*values]})


_SOME_WORDS = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_words)]
_AMonth = Annotated[
    Month,
    BeforeValidator(_month),
    WithJsonSchema({"type": "string", "pattern": MONTH_PATTERN}),
    expected("to be a month (YYYY-MM)"),
]
_Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1}]}),
    expected("to be a size, such as 1 GiB"),
]
_Word = Annotated[str, _matching(r"[A-Za-z0-9_.-]{1,40}"), expected("to be a plain word")]
_Host = Annotated[
    str,
    _matching(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?"),
    expected("to be a lower-case host name without scheme or path"),
]
_Header = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(_header),
    expected("to be a name as in a header, of at most 100 characters, without a comma or quotation marks"),
]
_Bound = Annotated[float, Field(ge=0, le=MAX_BOUND, allow_inf_nan=False)]
_BOUND_IS = f"to be a number from 0 to 1, such as 0.01, or up to {MAX_BOUND:g} for rows_to_neighbours"
_A_BOUND = expected(_BOUND_IS)


class _Keys(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ColumnEntry(_Keys):
    """One column of a source."""

    name: Annotated[
        str,
        _matching(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_IDENTIFIER - 1}}}"),
        _not_one_of(TAKEN_NAMES),
        expected(f"to be letters, digits and underscores, and none of {', '.join(TAKEN_NAMES)}"),
    ] = Field(description="its name in a file's header, and in lower case that in the main table")
    type: Annotated[
        str, _one_of(COLUMN_TYPES), _enum(COLUMN_TYPES), expected(f"to be one of {', '.join(COLUMN_TYPES)}")
    ] = Field(description="exact types only")
    description: Annotated[_SOME_WORDS, expected("to say what the column means")] = Field(
        description="what it means, and its unit"
    )
    headers: Annotated[list[_Header], expected("to be a list of names")] = Field(
        default=[], description="other names that it has in the headers of some files; case does not count"
    )
    since: Annotated[_AMonth | None, expected("to be a month (YYYY-MM)")] = Field(
        default=None, description="the first month whose files have it, YYYY-MM; without it, the source's first one"
    )
    until: Annotated[_AMonth | None, expected("to be a month (YYYY-MM)")] = Field(
        default=None, description="the last month whose files have it, YYYY-MM; without it, the source's last one"
    )
    optional: Annotated[bool, expected("to be true or false")] = Field(
        default=False, description="whether a file may lack it"
    )


class ReleaseEntry(_Keys):
    """Months that come from one place in one format."""

    first: Annotated[_AMonth | None, expected("to be a month (YYYY-MM)")] = Field(
        default=None, alias="from", description="the first month, YYYY-MM; not for period: none"
    )
    connection: Annotated[str, _matching(r"[A-Za-z0-9_.-]{1,100}"), expected("to be the id of a connection")] = Field(
        description="HTTP connection whose address the path is below, for example tlc_mirror"
    )
    path: Annotated[
        str,
        _matching(r"[A-Za-z0-9_.{}/-]{1,300}"),
        AfterValidator(_below),
        expected(
            "to be a relative path below the connection's address, of letters, digits, dots, underscores, hyphens and "
            "slashes"
        ),
    ] = Field(
        description="path of a file below that address, {month} standing for YYYY-MM; period: none has no {month}"
    )
    format: Annotated[str, _one_of(FORMATS), _enum(FORMATS), expected(f"to be one of {', '.join(FORMATS)}")] = Field(
        description="format of the file, as its name ends"
    )
    last: Annotated[_AMonth | None, expected("to be a month (YYYY-MM)")] = Field(
        default=None, alias="to", description="the last month, YYYY-MM; without it, months go on"
    )

    def problems(self, period: str) -> Iterator[Problem]:
        """Find what doesn't go together.

        :param period: the source's
        """
        if period == "none":
            for key, month in (("from", self.first), ("to", self.last)):
                if month is not None:
                    yield (key,), month, "not to be there: with period: none, a file is of no month"
        elif self.first is None:
            yield (), {"path": self.path}, "to have from, the first month"
        elif self.first <= WHOLE:
            phrase = f"to be {WHOLE.next()} or later: {WHOLE.year_and_month} stands for a file of no month"
            yield ("from",), self.first, phrase
        elif self.last is not None and self.last < self.first:
            yield ("to",), self.last, "not to be before from"
        if (should := self._path_should(period)) is not None:
            yield ("path",), self.path, should

    def _path_should(self, period: str) -> str | None:
        """Say what the path should be, if it isn't."""
        if period == "none" and re.search(r"[{}]", self.path):
            return "to have no {month} and no braces: with period: none, a file is of no month"
        if period != "none":
            if self.path.count("{month}") != 1 or re.search(r"[{}]", self.path.replace("{month}", "")):
                return "to hold {month} once, and no other braces"
            if "{month}" not in self.path.rpartition("/")[2]:
                return "to hold {month} in the file's name, behind the last slash"
        return None if self.path.endswith(f".{self.format}") else f"to end in .{self.format}, as its format says"


class CheckEntry(_Keys):
    """One check of a month before it is published: a measure with bounds."""

    name: Annotated[str, _matching(r"[a-z][a-z0-9_]{0,40}"), expected("to be a lower-case name")] = Field(
        description="its name, which no other check of the source has"
    )
    measure: Annotated[str, _one_of([*MEASURES]), _enum([*MEASURES]), expected(f"to be one of {', '.join(MEASURES)}")]
    column: Annotated[str | None, expected("to be one of the source's columns")] = Field(
        default=None, description="the column that is measured; none for rows_to_neighbours"
    )
    at_least: Annotated[_Bound | None, _A_BOUND] = Field(default=None, description="lower bound")
    at_most: Annotated[_Bound | None, _A_BOUND] = Field(default=None, description="upper bound")
    severity: Annotated[
        str, _one_of(SEVERITIES), _enum(SEVERITIES), expected(f"to be one of {', '.join(SEVERITIES)}")
    ] = Field(description="outside the bounds, nothing is published (fail), or the load carries a warning (warn)")
    message: Annotated[_SOME_WORDS, expected("to say what it means and what to look at")] = Field(
        description="what it means, and what to look at"
    )

    def problems(self, column_types: Mapping[str, str]) -> Iterator[Problem]:
        """Find what doesn't go together.

        :param column_types: type of each column of the source, by its name
        """
        types = MEASURES[self.measure]
        if self.at_least is None and self.at_most is None:
            yield (), self.model_dump(exclude_unset=True), "to have at_least, at_most or both"
        elif self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            yield (), self.model_dump(exclude_unset=True), "to have an at_least that isn't above its at_most"
        for name in ("at_least", "at_most"):
            bound = getattr(self, name)
            if types and bound is not None and bound > 1:
                yield (name,), bound, _BOUND_IS
        if not types and self.column is not None:
            yield ("column",), self.column, f"not to be there: {self.measure} is measured on the month"
        elif types and column_types.get((self.column or "").lower()) not in types:
            yield ("column",), self.column, f"to be one of the source's columns, of the type {' or '.join(types)}"


_AColumn = Annotated[str | None, expected("to be one of the source's columns")]


class ReportEntry(_Keys):
    """Which columns the monthly report is made from."""

    pickup_time: Annotated[str, expected("to be one of the source's columns")] = Field(
        description="when a trip began: of the type timestamp"
    )
    pickup_zone: _AColumn = Field(default=None, description="the zone that a trip began in: of the type integer")
    payment_type: _AColumn = Field(default=None, description="how the passenger paid: of the type integer")
    revenue: _AColumn = Field(default=None, description="what a trip brought, US dollars: of the type numeric")
    distance: _AColumn = Field(default=None, description="how long a trip was, miles: of the type numeric")
    tips: _AColumn = Field(default=None, description="US dollars: of the type numeric")

    def problems(self, column_types: Mapping[str, str]) -> Iterator[Problem]:
        """Find what doesn't go together.

        :param column_types: type of each column of the source, by its name
        """
        for part, type_name in PARTS.items():
            column = getattr(self, part)
            if column is not None and column_types.get(column.lower()) != type_name:
                yield (part,), column, f"to be one of the source's columns, of the type {type_name}"


_MONTHLY = r"[0-5]?[0-9] (1?[0-9]|2[0-3]) ([1-9]|1[0-9]|2[0-8]) \* \*"
_CRON = r"([0-5]?[0-9]|\*) (1?[0-9]|2[0-3]|\*) ([1-9]|1[0-9]|2[0-8]|\*) ([1-9]|1[0-2]|\*) ([0-6]|\*)"
_SCHEDULES = {
    "month": (_MONTHLY, "to be a monthly cron: minute, hour, a day from 1 to 28, * and *"),
    "none": (
        rf"{_CRON}|@once",
        "to be @once, or a cron whose fields are each a number or *: minute, hour, a day from 1 to 28, month and day "
        "of the week",
    ),
}
# What a schedule looks like by the source's period: as a regular expression, and in words.


def _schedule(value: object, info: ValidationInfo) -> object:
    """Check a schedule by the period: a field before it, so that it is known here."""
    pattern, phrase = _SCHEDULES[info.data.get("period", "month")]
    if isinstance(value, str) and re.fullmatch(pattern, value):
        return value
    raise PydanticCustomError("expected", "expected it {phrase}", {"phrase": phrase})


class SourceFile(_Keys):
    """A source of Taxiway: what is loaded, from where, and how it is checked. See docs/sources.md."""

    title: Annotated[_SOME_WORDS, expected("to be a text of at most 1000 characters that isn't empty")] = Field(
        description="what it is, in words: the description of its DAGs and of its main table"
    )
    releases: Annotated[list[ReleaseEntry], Field(min_length=1), expected("to be a list of releases")] = Field(
        description="which months come from where; each month from exactly one release"
    )
    period: Annotated[str, _one_of(PERIODS), _enum(PERIODS), expected(f"to be one of {', '.join(PERIODS)}")] = Field(
        default="month", description="what a file covers: a month; or none, for one file that stands alone"
    )
    schedule: Annotated[
        str | None,
        BeforeValidator(_schedule),
        WithJsonSchema({"type": "string", "pattern": f"^({_SCHEDULES['none'][0]})$"}),
    ] = Field(
        default=None,
        description="monthly cron expression, in the time zone of the key timezone; with period: none, @once, or five "
        "fields that are each a number or *, or no schedule at all",
    )
    main_table: Annotated[
        str, _matching(IDENTIFIER), expected(f"to be a lower-case name of at most {MAX_IDENTIFIER} characters")
    ] = Field(description="name of the main table")
    owner: _Word = Field(description="owner of its DAGs")
    tags: Annotated[list[_Word], Field(min_length=1), expected("to be a list of plain words")] = Field(
        description="tags of its DAGs"
    )
    columns: Annotated[
        list[ColumnEntry],
        Field(min_length=1, max_length=MAX_COLUMNS),
        expected(f"to be a list of columns, at most {MAX_COLUMNS}"),
    ] = Field(description="the columns, in the order of the main table")
    timezone: Annotated[
        str,
        _matching(r"[A-Za-z0-9_+/-]{1,64}"),
        AfterValidator(_zone),
        expected("to be the name of a time zone, such as America/New_York"),
    ] = Field(default="UTC", description="IANA name of the time zone of the schedule")
    on_new_column: Annotated[
        str,
        _one_of(ON_NEW_COLUMN),
        _enum(ON_NEW_COLUMN),
        expected(f"to be one of {', '.join(ON_NEW_COLUMN)}"),
    ] = Field(default="error", description="what becomes of a file's column that the source doesn't know")
    publication_lag_days: Annotated[
        int, Field(ge=0, le=MAX_LAG_DAYS), expected(f"to be a number of days from 0 to {MAX_LAG_DAYS}, such as 90")
    ] = Field(
        default=PUBLICATION_LAG_DAYS,
        description="days after a month's end within which its file may still be absent; not for period: none",
    )
    allow_empty: Annotated[bool, expected("to be true or false")] = Field(
        default=False, description="whether a header without rows is a valid month"
    )
    max_rejected_share: Annotated[
        float,
        Field(ge=0, le=1, allow_inf_nan=False),
        expected("to be a share between 0 and 1, such as 0.001"),
    ] = Field(default=MAX_REJECTED_SHARE, description="share of a month's rows that may be unreadable")
    max_deleted_share: Annotated[
        float,
        Field(ge=0, le=1, allow_inf_nan=False),
        expected("to be a share between 0 and 1, such as 0.2"),
    ] = Field(
        default=MAX_DELETED_SHARE, description="share of a month's published rows that a corrected file may delete"
    )
    approval: Annotated[bool, expected("to be true or false")] = Field(
        default=False, description="whether a file that would delete more waits for a person to approve that"
    )
    max_file_size: _Size = Field(
        default=parse_size(MAX_FILE_SIZE, "max_file_size"), description=f"the largest download; {MAX_FILE_SIZE}"
    )
    max_unpacked_size: _Size = Field(
        default=parse_size(MAX_UNPACKED_SIZE, "max_unpacked_size"),
        description=f"the most that a file may unpack to; {MAX_UNPACKED_SIZE}",
    )
    allowed_redirect_hosts: Annotated[
        list[_Host], expected("to be a list of lower-case host names without scheme or path")
    ] = Field(default=[], description="hosts that a download may be redirected to")
    checks: Annotated[list[CheckEntry], expected("to be a list of checks")] = Field(
        default=[], description="what is checked of a month before it is published"
    )
    report: Annotated[ReportEntry | None, expected("to be keys and values: columns of the source")] = Field(
        default=None,
        description="which columns the monthly report is made from; without it, there is none. Not for period: none",
    )

    def problems(self) -> Iterator[Problem]:
        """Find what doesn't go together, though each value alone is allowed."""
        for position, release in enumerate(self.releases):
            for place, value, phrase in release.problems(self.period):
                yield ("releases", position, *place), value, phrase
        yield from self._of_no_month() if self.period == "none" else self._of_months()
        if self.main_table in (taken_tables := (*TAKEN_TABLES, SUMMARY_TABLE)):
            yield ("main_table",), self.main_table, f"to be none of {', '.join(taken_tables)}"
        for position in _repeated([column.name.lower() for column in self.columns]):
            name = self.columns[position].name.lower()
            yield ("columns", position, "name"), name, "to be unique (case does not count)"
        taken = {column.name.lower() for column in self.columns}
        for position, column in enumerate(self.columns):
            for number, header in enumerate(column.headers):
                if header.lower() in taken:
                    place = ("columns", position, "headers", number)
                    yield place, header, "to be a name that no other column has (case does not count)"
                taken.add(header.lower())
        optional = [position for position, column in enumerate(self.columns) if column.optional]
        for position in optional[MAX_OPTIONAL:]:
            yield ("columns", position, "optional"), True, f"to be true for at most {MAX_OPTIONAL} columns"
        for position in _repeated([check.name for check in self.checks]):
            yield ("checks", position, "name"), self.checks[position].name, "to be unique"
        column_types = {column.name.lower(): column.type for column in self.columns}
        for position, check in enumerate(self.checks):
            for place, value, phrase in check.problems(column_types):
                yield ("checks", position, *place), value, phrase
        for place, value, phrase in self.report.problems(column_types) if self.report else ():
            yield ("report", *place), value, phrase

    def in_order(self) -> list[ReleaseEntry]:
        """Return the releases in the order of their months."""
        return sorted(self.releases, key=lambda release: release.first or WHOLE)

    def _of_months(self) -> Iterator[Problem]:
        if self.schedule is None:
            yield ("schedule",), None, _SCHEDULES["month"][1]
        if all(release.first is not None for release in self.releases):
            yield from self._gaps_and_overlaps()
            yield from self._columns_of_no_month()

    def _of_no_month(self) -> Iterator[Problem]:
        """Find what only months have."""
        if "publication_lag_days" in self.model_fields_set:
            phrase = "not to be there: with period: none, a file is of no month"
            yield ("publication_lag_days",), self.publication_lag_days, phrase
        if self.report is not None:
            phrase = "not to be there: with period: none, there is no month to report"
            yield ("report",), self.report.model_dump(exclude_unset=True), phrase
        if len(self.releases) > 1:
            phrase = "to be one release: with period: none, a file is of no month"
            yield ("releases",), f"{len(self.releases)} releases", phrase
        for position, column in enumerate(self.columns):
            for key, month in (("since", column.since), ("until", column.until)):
                if month is not None:
                    place = ("columns", position, key)
                    yield place, month, "not to be there: with period: none, a file is of no month"
        for position, check in enumerate(self.checks):
            if check.measure in MEASURES_OF_MONTHS:
                others = ", ".join(name for name in MEASURES if name not in MEASURES_OF_MONTHS)
                place = ("checks", position, "measure")
                yield place, check.measure, f"to be one of {others}: with period: none, a file is of no month"

    def _columns_of_no_month(self) -> Iterator[Problem]:
        first, last = self.in_order()[0].first or WHOLE, self.in_order()[-1].last
        for position, column in enumerate(self.columns):
            if column.since and column.until and column.until < column.since:
                yield ("columns", position, "until"), column.until, "not to be before since"
            elif column.since and last and column.since > last:
                yield ("columns", position, "since"), column.since, f"not to be after the last month, {last}"
            elif column.until and column.until < first:
                yield ("columns", position, "until"), column.until, f"not to be before the first month, {first}"
        if all(column.since and column.since > first for column in self.columns):
            yield ("columns",), "of later months alone", f"to have a column of the first month, {first}"

    def _gaps_and_overlaps(self) -> Iterator[Problem]:
        for before, after in itertools.pairwise(self.in_order()):
            first, second = (f"releases[{self.releases.index(each)}]" for each in (before, after))
            place = ("releases", self.releases.index(after), "from")
            next_month = before.last.next() if before.last else None
            if after.first is None:
                continue
            if next_month is None or next_month > after.first:
                months = "goes on" if before.last is None else f"goes to {before.last}"
                yield (
                    place,
                    after.first,
                    (
                        f"to come after the last month of {first}, which {months}: {first} and {second} overlap, and a "
                        f"month comes from one release"
                    ),
                )
            elif next_month < after.first:
                yield (
                    place,
                    after.first,
                    (
                        f"to be {next_month}, the month after {first} ends: between {first} and {second} is a gap, and "
                        f"each month comes from a release"
                    ),
                )


def _repeated(names: Sequence[str]) -> Iterator[int]:
    """Find the positions of names that are there before."""
    return (position for position, name in enumerate(names) if name in names[:position])


class WrongDocumentError(Exception):
    """A document says what a source can't have.

    :param complaints: each with the place where it belongs
    """

    def __init__(self, complaints: Sequence[tuple[Place, str]]) -> None:
        """Assign the parameters."""
        super().__init__("; ".join(text for _, text in complaints))
        self.complaints = complaints


def check_document(document: Mapping[Any, Any]) -> SourceFile:
    """Check what a YAML file holds.

    :param document: its keys and values
    :raises WrongDocumentError: says everything that is wrong
    """
    try:
        file = SourceFile.model_validate(document)
    except ValidationError as error:
        raise WrongDocumentError(list(_complaints(error, document))) from error
    problems = [_complaint(place, _found(value), phrase) for place, value, phrase in file.problems()]
    if problems:
        raise WrongDocumentError(problems)
    return file


def json_schema() -> str:
    """Return the JSON Schema of a source's YAML file, as it is checked in."""
    schema = SourceFile.model_json_schema(schema_generator=_Schema)
    return json.dumps({"$schema": _Schema.schema_dialect, **schema}, indent=2, ensure_ascii=False) + "\n"


class _Schema(GenerateJsonSchema):
    """Makes a schema without titles, which only repeat the keys, and without defaults that no file can have."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Say that no key gets a title."""
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        """Say that a key has a value: one without is left out."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """Leave out a default of None."""
        return (
            self.generate_inner(schema["schema"]) if schema.get("default") is None else super().default_schema(schema)
        )


def _complaints(error: ValidationError, document: Mapping[Any, Any]) -> Iterator[tuple[Place, str]]:
    """Say in our words what pydantic found: first which keys a mapping lacks and which ones nobody knows."""
    found = error.errors(include_url=False)
    missing, unknown = dict[Place, list[str]](), dict[Place, list[str]]()
    for each in found:
        for kinds, names in ((("missing",), missing), (("extra_forbidden", "invalid_key"), unknown)):
            if each["type"] in kinds:
                names.setdefault(each["loc"][:-1], []).append(shown(each["loc"][-1]).strip("'"))
    for place in {**missing, **unknown}:
        wrong = [
            f"{kind} keys: {', '.join(names[place][:10])}"
            for kind, names in (("missing", missing), ("unknown", unknown))
            if place in names
        ]
        if not place and "releases" in missing.get(place, ()) and (advice := _as_releases(document)):
            wrong.append(advice)
        where = f"{key_of(place)}: " if place else ""
        yield (*place, unknown[place][0]) if place in unknown else place, f"{where}{'; '.join(wrong)}; {_keys(place)}"
    for each in found:
        if each["type"] == "model_type":
            yield _complaint(each["loc"], shown(each["input"]), f"to be keys and values: {_keys(each['loc'])}")
        elif each["type"] not in ("missing", "extra_forbidden", "invalid_key"):
            phrase = each["ctx"]["phrase"] if each["type"] == "expected" else f"otherwise: {each['msg']}"
            yield _complaint(each["loc"], shown(each["input"]), phrase)


def _as_releases(document: Mapping[Any, Any]) -> str | None:
    """Return what an earlier version's keys are now, as lines of YAML in one."""
    if not {"first_month", "path"} <= set(document):
        return None
    last = f", to: {document['last_month']}" if "last_month" in document else ""
    return one_line(
        "first_month, last_month, file and path have become releases: write in their place "
        f"'releases: [{{from: {document['first_month']}{last}, connection: tlc_mirror, "
        f'path: "{document["path"]}", format: csv.gz}}]\'',
        600,
    )


def _found(value: object) -> str:
    """Say what a place has: a month as the file has it, or nothing."""
    return "missing" if value is None else shown(value.year_and_month if isinstance(value, Month) else value)


def _complaint(place: Place, found: str, phrase: str) -> tuple[Place, str]:
    return place, f"{key_of(place)} is {found}: expected it {phrase}"


def key_of(place: Place) -> str:
    """Write a place as people do: ``columns[0].name``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _keys(place: Place) -> str:
    """Say which keys a mapping has."""
    title, model = _MAPPINGS[place[0] if place else ""]
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    required = [name for name, field in fields.items() if field.is_required()]
    optional = [name for name in fields if name not in required]
    return f"{title} has {', '.join(required)}" + (f" and may have {', '.join(optional)}" if optional else "")


_MAPPINGS: dict[str | int, tuple[str, type[BaseModel]]] = {
    "": ("a source", SourceFile),
    "releases": ("a release", ReleaseEntry),
    "columns": ("a column", ColumnEntry),
    "checks": ("a check", CheckEntry),
    "report": ("a report", ReportEntry),
}


if __name__ == "__main__":
    print(json_schema(), end="")
