"""What a warehouse answers about its published months, and how its ledger is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from taxiway.download.look import FileVersion
from taxiway.loads.attempts import LONGEST_RUN
from taxiway.loads.deletions import is_held_back
from taxiway.messages import counted
from taxiway.sources.months import Month
from taxiway.sources.source import Source


@dataclass(frozen=True)
class Recorded:
    """What the ledger of a warehouse says of a published month.

    :param sha256: of its file
    :param rows: that were published
    :param filename: of the unpacked file
    :param rejected: rows of the file that could not be read
    :param unpacked_bytes: size of the unpacked file; None if an earlier version loaded it
    :param layout: name of the file's layout; None if an earlier version loaded it
    """

    sha256: str
    rows: int
    filename: str = ""
    rejected: int = 0
    unpacked_bytes: int | None = None
    layout: str | None = None


@dataclass(frozen=True)
class Verified:
    """A month of the main table, compared with what the ledger says of it.

    :param rows: that the main table holds
    :param recorded: rows that the ledger has; None if it doesn't know the month
    :param difference: how they differ, in words; empty if they don't
    :param rewritten: whether somebody has written the rows again, as they were
    :param changed: ids of rows whose values don't fit them, five at the most
    """

    rows: int
    recorded: int | None
    difference: str = ""
    rewritten: bool = False
    changed: Sequence[str] = ()


def misfits(count: int) -> str:
    """Say how many rows of a month don't have the ids that they should.

    Duplicate rows are numbered, and their ids count the numbers in: if somebody has deleted one, those that are left
    may have the ids of other numbers.
    """
    return (
        f"{counted(count, 'row')} with an id that doesn't fit: changed or added by hand, or left of duplicate rows of "
        f"which some were deleted"
    )


@dataclass(frozen=True)
class MonthState:
    """What the ledger of a warehouse says of a month's published rows and their files.

    :param published_at: when it was published last; None if it isn't published
    :param files: address and version of each download of the published bytes: to publish them, or to find them
        published already
    """

    published_at: datetime | None = None
    files: tuple[tuple[str | None, FileVersion], ...] = ()

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Mapping[Month, MonthState]:
        """Read the rows of ``find_month_states``, which have one row for each download."""
        found = dict[Month, MonthState]()
        for row in rows:
            month = Month.of(row["month"])
            files = found[month].files if month in found else ()
            if row["downloaded"]:
                files += ((row["url"], FileVersion(row["etag"], row["last_modified"], row["bytes"])),)
            found[month] = cls(row["published_at"], files)
        return found


@dataclass(frozen=True)
class LastLoad:
    """How the last attempt of a month ended, and what is published of it, as the ledger has both.

    :param state: of the last attempt
    :param error: why it failed, or was skipped; None if nothing is wrong
    :param rows: that are published; None if nothing is
    :param rejected: rows of the published file that could not be read
    :param warnings: of the published load
    :param run_id: of the last attempt, as the ledger has it
    :param step: that the last attempt began last
    :param started_at: when the last attempt began
    :param filename: of the published file, unpacked
    :param bytes: size of the published file as it was downloaded
    :param layout: name of its layout; None if an earlier version loaded it
    :param seconds: that the attempt took that published it
    :param published_at: when it was published; None if nothing is
    :param confirmed_at: when its file was last found at the source, to publish it or with the published bytes
    """

    state: str
    error: str | None = None
    rows: int | None = None
    rejected: int = 0
    warnings: Sequence[str] = ()
    run_id: str = ""
    step: str = ""
    started_at: datetime | None = None
    filename: str = ""
    bytes: int | None = None
    layout: str | None = None
    seconds: float | None = None
    published_at: datetime | None = None
    confirmed_at: datetime | None = None

    @property
    def is_held_back(self) -> bool:
        """Whether the last attempt has failed because it would delete too many published rows."""
        return is_held_back(self.state, self.error)

    def loading_since(self, now: datetime) -> datetime | None:
        """Return when the last attempt began; None if it has ended, or is too old to go on."""
        if self.state != "running" or self.started_at is None or now - self.started_at >= LONGEST_RUN:
            return None
        return self.started_at

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Mapping[Month, LastLoad]]:
        """Read the rows of ``list_last_loads``, which have one row for each source and month."""
        found = dict[str, dict[Month, LastLoad]]()
        for row in rows:
            found.setdefault(row["source"], {})[Month.of(row["month"])] = cls(
                row["last_state"],
                row["last_error"],
                row["row_count"],
                row["rows_rejected"] or 0,
                tuple(row["warnings"] or ()),
                row["last_run_id"],
                row["last_step"],
                row["last_started_at"],
                row["filename"] or "",
                row["bytes"],
                row["layout"],
                _seconds(row["published_started_at"], row["published_at"]),
                row["published_at"],
                row["confirmed_at"],
            )
        return found


@dataclass(frozen=True)
class LoggedAttempt:
    """An attempt to load a month, as the ledger has it.

    :param load_id: its id
    :param run_id: of its run, as the ledger has it
    :param attempt: which attempt of the run
    :param state: how it ended; ``running`` if it hasn't
    :param step: that it began last
    :param started_at: when it began
    :param finished_at: when it ended; None if it hasn't
    :param rows: of the file that could be read; None if nobody has counted them yet
    :param rejected: rows of the file that could not be read
    :param error: why it failed, or was skipped
    :param warnings: of its checks
    """

    load_id: str
    run_id: str
    attempt: int
    state: str
    step: str
    started_at: datetime
    finished_at: datetime | None
    rows: int | None
    rejected: int | None
    error: str | None
    warnings: Sequence[str]

    @property
    def seconds(self) -> float | None:
        """How long it took; None if it hasn't ended, or nobody knows when it began."""
        return _seconds(self.started_at, self.finished_at)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> LoggedAttempt:
        """Read a row of ``list_attempts``."""
        return cls(
            str(row["load_id"]),
            row["run_id"],
            row["attempt"],
            row["state"],
            row["step"],
            row["started_at"],
            row["finished_at"],
            row["rows_staged"],
            row["rows_rejected"],
            row["error"],
            tuple(row["warnings"] or ()),
        )


def _seconds(began: datetime | None, ended: datetime | None) -> float | None:
    """Return how long an attempt took; of ``airflow dags test`` nobody knows: its runs begin on their logical date."""
    took = ended - began if began and ended else None
    return took.total_seconds() if took is not None and took <= LONGEST_RUN else None


@dataclass(frozen=True)
class RejectedLine:
    """A line of a file that could not be read.

    :param line_number: line of the file; its header is line 1
    :param raw_line: the line as it stands there
    :param reason: why it could not be read
    """

    line_number: int
    raw_line: str
    reason: str


@dataclass(frozen=True)
class PastLoad:
    """What a load that published a month has taken.

    :param source: name of the source
    :param url: address of the file
    :param size: bytes of the file, one at least
    :param rows: that were published
    :param seconds: from the beginning of the attempt to its end
    """

    source: str
    url: str
    size: int
    rows: int
    seconds: float

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Sequence[PastLoad]:
        """Read the rows of ``list_past_loads``; a load is left out if nobody knows how long it took."""
        return [
            cls(row["source"], row["url"], row["size"], row["row_count"], seconds)
            for row in rows
            if (seconds := _seconds(row["started_at"], row["finished_at"])) is not None
        ]


@dataclass(frozen=True)
class Rejected:
    """What the last attempt of a month that has read its file has rejected.

    :param state: of the attempt
    :param sha256: of its file
    :param rows_read: rows in the file
    :param count: how many were rejected
    :param lines: those that are kept, in the file's order
    """

    state: str
    sha256: str
    rows_read: int
    count: int
    lines: Sequence[RejectedLine]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Rejected | None:
        """Read the rows of ``list_rejects``."""
        if not rows:
            return None
        lines = [
            RejectedLine(row["line_number"], row["raw_line"], row["reason"])
            for row in rows
            if row["line_number"] is not None
        ]
        first = rows[0]
        return cls(first["state"], first["sha256"], first["rows_read"], first["rows_rejected"], lines)


@dataclass(frozen=True)
class TableSize:
    """What the published months of a source take up in a warehouse.

    :param size: bytes of the main table with its indexes; None if there is none
    :param folder: where the warehouse keeps its files, if that is on this machine
    """

    size: int | None = None
    folder: Path | None = None


HasEnded = Callable[[Source, str], bool]
"""Says whether a run has ended, of which the ledger doesn't know it: given the source, and what the ledger calls it."""


class ComparedMonth(Protocol):
    """A month, as the comparison reads it."""

    def sums(self) -> Mapping[str, str | None]:
        """Return ``row_count`` and the sum of every numeric column that the month's files have, as decimal numbers."""

    def digests(self) -> Mapping[str, tuple[int, str]]:
        """Return rows and digest of the ids that begin with the same two digits, by these."""

    def ids(self, part: str) -> Sequence[str]:
        """Return the ids that begin with two digits, sorted."""


class PublishedMonth(ABC):
    """A month in a warehouse, as the comparison reads it: by queries that have the same names and columns in each."""

    source: Source
    month: Month

    def sums(self) -> Mapping[str, str | None]:
        """Return ``row_count`` and the sum of every numeric column that the month's files have, as decimal numbers.

        A main table gains the source's newer columns with its next load, and may be without them until then.
        """
        return self._rows("compare_month", columns=self.source.layout_of(self.month).columns)[0]

    def digests(self) -> Mapping[str, tuple[int, str]]:
        """Return rows and digest of the ids that begin with the same two digits, by these."""
        return {row["part"]: (row["row_count"], row["ids_digest"]) for row in self._rows("digest_ids")}

    def ids(self, part: str) -> Sequence[str]:
        """Return the ids that begin with two digits, sorted."""
        return [row["unique_row_id"] for row in self._rows("list_ids", {"part": part})]

    @abstractmethod
    def _rows(self, name: str, values: Mapping[str, Any] | None = None, **names: Any) -> list[dict[str, Any]]:
        """Return the rows of a query, each by the names of its columns.

        :param name: the query's file, without its ending
        :param values: what is bound besides the month
        :param names: parameters of the file
        """


class ComparedMonths(Protocol):
    """A warehouse, or a file, as the comparison asks it."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def months(self, source: Source) -> Mapping[Month, Recorded]:
        """Return the published months of a source, each as the ledger has it."""

    def reading(self, source: Source, month: Month) -> AbstractContextManager[ComparedMonth]:
        """Open a month to read it."""

    def is_loading(self, source: Source, month: Month) -> bool:
        """Say whether a load is under way that may have published rows of which :meth:`months` doesn't know yet."""


class PublishedMonths(ComparedMonths, ABC):
    """A warehouse, as the commands, the board and the watch ask it: its ledger by queries that have the same names,
    bound values and columns in each warehouse.
    """

    def asking(self, has_ended: HasEnded) -> PublishedMonths:
        """Return the same warehouse; if it trusts attempts that go on in the ledger, it asks this of their runs."""
        return self

    def months(self, source: Source) -> Mapping[Month, Recorded]:
        """Return the published months of a source, each as the ledger has it.

        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
        return {
            Month.of(row["month"]): Recorded(
                row["sha256"],
                row["row_count"],
                row["filename"],
                row["rows_rejected"] or 0,
                row["unpacked_bytes"],
                row["layout"],
            )
            for row in self._of_source(source, "find_published_months")
        }

    def states(self, source: Source) -> Mapping[Month, MonthState]:
        """Return what the ledger says of each month of a source that was ever to be loaded.

        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
        return MonthState.of(self._of_source(source, "find_month_states"))

    def held_back(self, source: Source) -> Collection[Month]:
        """Return the months of a source whose last load has failed because it would delete too many published rows.

        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
        return [month for month, load in self.last_loads([source]).get(source.name, {}).items() if load.is_held_back]

    def last_loads(self, sources: Sequence[Source]) -> Mapping[str, Mapping[Month, LastLoad]]:
        """Return how the last attempt of each month ended, by source; a source that nobody has loaded is left out.

        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
        names = [source.name for source in sources]
        return LastLoad.of(self._ask(", ".join(names), "list_last_loads", {"sources": names}))

    def attempts(self, source: Source, month: Month, most: int) -> Sequence[LoggedAttempt]:
        """Return the last attempts to load a month, the latest one first.

        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
        return [LoggedAttempt.of(row) for row in self._of_month(source, month, "list_attempts", {"most": most})]

    def rejected_lines(
        self, source: Source, month: Month, load_id: str, most: int, *, by_reason: bool = False
    ) -> Sequence[RejectedLine]:
        """Return lines that an attempt could not read.

        :param load_id: of the attempt; of one that isn't of this month, there is no line
        :param most: how many lines
        :param by_reason: whether they are sorted by reason, and not by line
        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
        values = {"load_id": load_id, "most": most}
        rows = self._of_month(source, month, "list_rejected_rows", values, by_reason=by_reason)
        return [RejectedLine(**row) for row in rows]

    def past_loads(self, source: Source) -> Sequence[PastLoad]:
        """Return what the last loads have taken that published rows: those of the source first.

        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
        return PastLoad.of(self._of_source(source, "list_past_loads"))

    def rejected(self, source: Source, month: Month) -> Rejected | None:
        """Return what the last attempt of a month that has read its file has rejected; None if there is none.

        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
        return Rejected.of(self._of_month(source, month, "list_rejects", {}))

    @abstractmethod
    def months_of_table(self, source: Source) -> Sequence[Month]:
        """Return the months that the main table has room for, whether the ledger knows them or not."""

    @abstractmethod
    def count_files(self, source: Source, months: Sequence[Month]) -> Mapping[Month, Mapping[str, int]]:
        """Count the rows that the main table holds of months, by the file that they come from; only of what is there.

        :param months: which ones
        """

    @abstractmethod
    def verify(self, source: Source, month: Month) -> Verified:
        """Compare the rows of a month with what the ledger says of them."""

    @abstractmethod
    def table_size(self, source: Source) -> TableSize:
        """Return what the published months of a source take up."""

    def _of_source(self, source: Source, name: str) -> Sequence[Mapping[str, Any]]:
        return self._ask(source.name, name, {"source": source.name})

    def _of_month(
        self, source: Source, month: Month, name: str, values: Mapping[str, Any], **names: Any
    ) -> Sequence[Mapping[str, Any]]:
        asked = {"source": source.name, "month": month.first_day, **values}
        return self._ask(f"{source.name} {month}", name, asked, **names)

    @abstractmethod
    def _ask(self, what: str, name: str, values: Mapping[str, Any], **names: Any) -> Sequence[Mapping[str, Any]]:
        """Ask the ledger, and return rows by the names of their columns; it has none if there is no ledger.

        :param what: what is asked for, for messages
        :param name: the query's file, without its ending
        :param values: what is bound besides the destination
        :param names: parameters of the file
        :raises TransientWarehouseError: the warehouse can't answer now
        :raises WarehouseError: it refuses
        """
