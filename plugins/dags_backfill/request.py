"""What a call asks for: the command line's options, checked."""

from __future__ import annotations

import json
import os
import re
from argparse import Namespace
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from dags_backfill.cli import DEFAULT_MAX_ACTIVE_RUNS
from dags_backfill.errors import BackfillUsageError
from taxiway.messages import CALL_VARIABLE, one_line
from taxiway.program import airflow_command

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    rf"{_DAY.pattern}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{3}}([0-9]{{3}})?)?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
"""What ``datetime.fromisoformat`` reads in the same way on every supported Python. From 3.11 on it reads more:
``20190301`` as a moment, week dates, hours without minutes."""


@dataclass(frozen=True)
class BackfillRequest:
    """One call of the command.

    :param dag_id: the DAG to run
    :param start: first logical date that is wanted, in UTC
    :param end: last logical date that is wanted, in UTC, included
    :param max_active_runs: how many runs go on at once
    :param reprocess: ``none``, ``failed`` or ``completed``
    :param backwards: whether the latest run starts first
    :param conf: conf of every run; None leaves the DAG's own
    :param dry_run: whether to change nothing
    :param verbose: whether Airflow's own messages go to the terminal too
    :param typed_start: the start as it was typed, for messages
    :param typed_end: the end as it was typed, for messages
    """

    dag_id: str
    start: datetime
    end: datetime
    max_active_runs: int
    reprocess: str
    backwards: bool
    conf: dict[str, Any] | None
    dry_run: bool
    verbose: bool
    typed_start: str
    typed_end: str

    @classmethod
    def of(cls, arguments: Namespace) -> BackfillRequest:
        """Check the options of a call.

        :raises BackfillUsageError: says which option can't be what it is
        """
        # An empty date, of an unset variable of a script perhaps, is not an absent one.
        given = [date for date in (arguments.start_date, arguments.end_date) if date is not None]
        if not given:
            raise BackfillUsageError("no date given: say which runs with -s YYYY-MM-DD and -e YYYY-MM-DD")
        typed_start, typed_end = given[0], given[-1]
        start = _moment("--start-date", typed_start, end_of_day=False)
        end = _moment("--end-date", typed_end, end_of_day=True)
        if start > end:
            raise BackfillUsageError(f"--start-date {typed_start} is after --end-date {typed_end}: exchange them")
        if start > datetime.now(timezone.utc):
            raise BackfillUsageError(
                f"--start-date {typed_start} lies in the future: nothing can be run before its time has come"
            )
        return cls(
            dag_id=arguments.dag_id,
            start=start,
            end=end,
            max_active_runs=arguments.max_active_runs,
            reprocess=_reprocess(arguments),
            backwards=arguments.run_backwards,
            conf=_conf(arguments.conf),
            dry_run=arguments.dry_run,
            verbose=arguments.verbose,
            typed_start=typed_start,
            typed_end=typed_end,
        )

    def in_zone(self, zone: tzinfo) -> BackfillRequest:
        """Return the same request in a DAG's time zone: of days, and of moments without an offset.

        :param zone: the DAG's
        """
        start = _moment("--start-date", self.typed_start, end_of_day=False, zone=zone)
        return replace(self, start=start, end=_moment("--end-date", self.typed_end, end_of_day=True, zone=zone))

    @property
    def range(self) -> str:
        """The range in words, as it was typed."""
        return self.typed_start if self.typed_start == self.typed_end else f"{self.typed_start} to {self.typed_end}"

    @property
    def reprocess_of_the_rest(self) -> str:
        """The ``--reprocess-behavior`` of a call that finishes what this one has begun, and leaves what is done.

        All that was to be run again counts as interrupted, and is finished by any call. What failed is part of the
        rest if failures were to be run again.
        """
        return "none" if self.reprocess == "none" else "failed"

    def command(self, reprocess: str | None = None, *, first: str | None = None, last: str | None = None) -> str:
        """Return the command line that asks for the same again, quoted for a shell.

        The demo names its own call instead: after its end, this command would load from another mirror.

        :param reprocess: another ``--reprocess-behavior`` than that of this call
        :param first: first date that is asked for, instead of the range
        :param last: last date; None for the first one alone
        """
        if call := os.environ.get(CALL_VARIABLE):
            return call
        reprocess = reprocess or self.reprocess
        words = ["dags", "backfill", "-s", first or self.typed_start, "-e", last or first or self.typed_end]
        if self.max_active_runs != DEFAULT_MAX_ACTIVE_RUNS:
            words += ["--max-active-runs", str(self.max_active_runs)]
        if self.backwards:
            words += ["--run-backwards"]
        if self.conf is not None:
            words += ["--conf", json.dumps(self.conf)]
        if reprocess != "none":
            words += ["--reprocess-behavior", reprocess]
        if self.verbose:
            words += ["--verbose"]
        return airflow_command(*words, self.dag_id)


def _moment(option: str, text: str, *, end_of_day: bool, zone: tzinfo = timezone.utc) -> datetime:
    day = _DAY.fullmatch(text)
    said = f"{option} {one_line(repr(text), 60)}"
    if not (day or _MOMENT.fullmatch(text)):
        raise BackfillUsageError(
            f"{said} is not a date: write a day as YYYY-MM-DD, for example 2019-03-01, "
            "or a moment as YYYY-MM-DDTHH:MM:SS+00:00"
        )
    try:
        whole_day = datetime.fromisoformat(text[:10])
    except ValueError as error:
        raise BackfillUsageError(f"{said}: there is no such day in the calendar ({error})") from None
    try:
        # A later Python may read 24:00. Python 3.10 reads no Z, which is how most people write UTC.
        if not day and text[11:13] > "23":
            raise ValueError("hour must be in 0..23")
        moment = whole_day if day else datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        if day and end_of_day:
            moment += timedelta(days=1)  # by the clock: where clocks change, a day has 23 or 25 hours
        moment = (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise BackfillUsageError(f"{said}: there is no such time of a day ({error})") from None
    return moment - timedelta(microseconds=1) if day and end_of_day else moment


def _reprocess(arguments: Namespace) -> str:
    wanted = {
        "--reprocess-behavior": arguments.reprocess_behavior,
        "--rerun-failed-tasks": "failed" if arguments.rerun_failed_tasks else None,
        "--reset-dagruns": "completed" if arguments.reset_dagruns else None,
    }
    given = {option: value for option, value in wanted.items() if value is not None}
    if len(set(given.values())) > 1:
        raise BackfillUsageError(f"{' and '.join(given)} contradict each other: give one of them")
    return next(iter(given.values()), "none")


def _conf(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        conf = json.loads(text)
    except json.JSONDecodeError as error:
        raise BackfillUsageError(f"--conf is not JSON: {error}") from error
    if not isinstance(conf, dict):
        raise BackfillUsageError(f'--conf is {text}: expected a JSON object, such as \'{{"key": "value"}}\'')
    return conf
