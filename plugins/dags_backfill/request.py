"""What a call asks for: the command line's options, checked."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from dags_backfill.cli import DEFAULT_MAX_ACTIVE_RUNS
from dags_backfill.dates import DateRange
from dags_backfill.errors import BackfillUsageError
from taxiway.messages import CALL_VARIABLE
from taxiway.program import airflow_command


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
        dates = DateRange.of(arguments.start_date, arguments.end_date)
        return cls(
            dag_id=arguments.dag_id,
            start=dates.start,
            end=dates.end,
            max_active_runs=arguments.max_active_runs,
            reprocess=_reprocess(arguments),
            backwards=arguments.run_backwards,
            conf=_conf(arguments.conf),
            dry_run=arguments.dry_run,
            verbose=arguments.verbose,
            typed_start=dates.typed_start,
            typed_end=dates.typed_end,
        )

    def in_zone(self, zone: tzinfo) -> BackfillRequest:
        """Return the same request in a DAG's time zone: of days, and of moments without an offset.

        :param zone: the DAG's
        """
        dates = DateRange(self.start, self.end, self.typed_start, self.typed_end).in_zone(zone)
        return replace(self, start=dates.start, end=dates.end)

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

    def command(
        self,
        reprocess: str | None = None,
        *,
        first: str | None = None,
        last: str | None = None,
        conf: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the command line that asks for the same again, quoted for a shell.

        The demo names its own call instead: after its end, this command would load from another mirror.

        :param reprocess: another ``--reprocess-behavior`` than that of this call
        :param first: first date that is asked for, instead of the range
        :param last: last date; None for the first one alone
        :param conf: added to that of this call
        """
        if call := os.environ.get(CALL_VARIABLE):
            return call
        reprocess = reprocess or self.reprocess
        words = ["dags", "backfill", "-s", first or self.typed_start, "-e", last or first or self.typed_end]
        if self.max_active_runs != DEFAULT_MAX_ACTIVE_RUNS:
            words += ["--max-active-runs", str(self.max_active_runs)]
        if self.backwards:
            words += ["--run-backwards"]
        if self.conf is not None or conf:
            words += ["--conf", json.dumps({**(self.conf or {}), **(conf or {})})]
        if reprocess != "none":
            words += ["--reprocess-behavior", reprocess]
        if self.verbose:
            words += ["--verbose"]
        return airflow_command(*words, self.dag_id)


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
