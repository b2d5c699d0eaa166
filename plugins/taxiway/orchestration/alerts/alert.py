"""What a message says: which months, what has become of them and why, and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, get_args

import jinja2

from taxiway.errors import InvalidMonthError, SourceConfigError
from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.messages import printable, without_digits
from taxiway.orchestration.load_command import how_to_load
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.paths import ALERT_TEMPLATES, SOURCES_FOLDER
from taxiway.program import airflow_command
from taxiway.sources.months import WHOLE_TEXT, Month, ranges
from taxiway.sources.source import find_source

Kind = Literal["failed", "recovered", "warnings", "late", "approval"]

KINDS: tuple[Kind, ...] = get_args(Kind)

TEST: Literal["test"] = "test"
"""The kind of a message that tries the settings: everybody gets it."""

WHAT: Mapping[str, str] = {
    "failed": "failed",
    "recovered": "recovered",
    "warnings": "published with warnings",
    "late": "late",
    "approval": "needs approval",
    TEST: "test message",
}

LONGEST_REASON = 1000
"""Characters of a reason; what is cut out is its middle, for an error ends with advice."""

MOST_RANGES = 3
"""Ranges of months whose commands a message gives."""

MOST_MONTHS = 24
"""Months that a message names; it counts the others."""


@dataclass(frozen=True)
class Alert:
    """What has become of months, for one cause.

    :param kind: one of :data:`KINDS`, or :data:`TEST`
    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`; empty if it isn't known
    :param source: its name; empty for a task that loads none, and if it isn't known
    :param months: as ``YYYY-MM``, in the order in which it happened; an empty text if the month isn't known
    :param reason: why, in words; of several months, of one of them
    :param run: the run's id; likewise
    :param dag_id: its DAG
    :param log: address of the task's log
    :param board: address of the board
    :param task: the task's id
    """

    kind: Kind | Literal["test"]
    warehouse: str
    source: str
    months: tuple[str, ...]
    reason: str
    run: str = ""
    dag_id: str = ""
    log: str = ""
    board: str = ""
    task: str = ""

    @property
    def subject(self) -> str:
        """Name what it is about: a source in a warehouse, or a DAG that loads none."""
        return f"{self.warehouse} {self.source}" if self.source else self.dag_id

    @property
    def cause(self) -> str:
        """Name the cause: the same for months of one source whose reasons differ in words with digits alone.

        Likewise for the tasks of a DAG that loads no source.
        """
        found = self.kind, self.subject, without_digits(self.reason)
        return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]

    @property
    def places(self) -> tuple[str, ...]:
        """Name each month, or the task if it isn't of one, together with what it is about."""
        return tuple(f"{self.subject} {month or self.task}" for month in self.months)

    @property
    def into(self) -> str:
        """What people call the warehouse; empty if it isn't known."""
        return WAREHOUSES[self.warehouse].title.partition(",")[0] if self.warehouse in WAREHOUSES else ""

    @property
    def where(self) -> str:
        """Say which months, in a few words."""
        if not self.source:
            return ", ".join(filter(None, (self.dag_id, self.task)))
        months = f"{len(self.months)} months" if len(self.months) > 1 else self.months[0].removeprefix(WHOLE_TEXT)
        return f"{self.source} {months}".strip() + f", {self.into}"

    @property
    def title(self) -> str:
        """The subject of a mail."""
        return printable(f"Taxiway: {self.where}: {WHAT[self.kind]}", 200)

    @property
    def said(self) -> str:
        """The reason, fit for a message."""
        return printable(self.reason, LONGEST_REASON)

    @property
    def advice(self) -> str:
        """What to do."""
        if self.kind in ("recovered", TEST):
            return "Nothing."
        status = airflow_command("taxi", "status", "--warehouse", self.warehouse, "--source", self.source)
        if self.kind == "warnings":
            return f"See whether the rows are as expected: {status}"
        if self.kind == "late":
            return (
                "Nothing, if the publisher takes longer. If it does so as a rule, raise publication_lag_days in "
                f"include/sources/{self.source}.yaml. taxi_watch loads the file once it is there. "
                f"{self._load('Without it')}"
            )
        if self.kind == "approval":
            return "Approve or reject it in Airflow's web UI: the run waits for that, at the link of the log."
        if ACCEPTING_CONF in self.reason:
            return self._load("To load again")
        is_load = self.source or self.dag_id == TAXI_DAG_ID
        return f"Put right what the reason names. {self._load('Then load again' if is_load else 'Then run it again')}"

    def _load(self, say: str) -> str:
        try:
            months = [Month.parse(month) for month in self.months]
            source = find_source(SOURCES_FOLDER, self.source)
            if len(ranges(months)) > MOST_RANGES:
                status = airflow_command("taxi", "status", "--warehouse", self.warehouse, "--source", self.source)
                return f"{say}: {status} has the command for each month"
            held_back = months if ACCEPTING_CONF in self.reason else ()
            # In any case: their own runs may have succeeded, and runs of taxi have failed after them.
            return how_to_load(source, months, self.warehouse, say=say, held_back=held_back)
        except (InvalidMonthError, SourceConfigError):
            # Another run would lack what this one has from its conf, or from the Asset that has started it.
            return f"{say}: clear the run in Airflow's web UI"

    @property
    def lines(self) -> Mapping[str, str]:
        """What a message says, by name."""
        more = len(self.months) - MOST_MONTHS
        found = {
            "Source": self.source,
            "Task": "" if self.source else self.task,
            "Month" if len(self.months) == 1 else "Months": ", ".join(self.months[:MOST_MONTHS])
            + (f" and {more} more" if more > 0 else ""),
            "Warehouse": self.into,
            "Reason": self.said,
            "What to do": self.advice,
            "Run": f"{self.dag_id} {self.run}".strip(),
            "Log": self.log,
            "Board": self.board,
        }
        return {name: printable(value) for name, value in found.items() if value}

    @property
    def text(self) -> str:
        """The message as plain text."""
        return "\n".join([self.title, *(f"{name}: {value}" for name, value in self.lines.items())])

    @property
    def html(self) -> str:
        """The message as a page that stands alone."""
        return _environment().get_template("alert.html").render(title=self.title, lines=self.lines)

    @property
    def json(self) -> Mapping[str, Any]:
        """The message for a program."""
        months = [month for month in self.months if month]
        return {**asdict(self), "months": months, "reason": self.said, "title": self.title, "advice": self.advice}


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(ALERT_TEMPLATES), undefined=jinja2.StrictUndefined, autoescape=True
    )
