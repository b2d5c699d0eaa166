"""Operator: ask mirrors which files they have, and decide which months are loaded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from taxiway.download.look import Look, Presence
from taxiway.download.mirror_client import MAX_RETRY_AFTER
from taxiway.errors import DownloadError, DownloadRefusedError, RetryAfterTooLongError, SettingError, SourceConfigError
from taxiway.loads.watch import NEEDS_A_LOOK, Decision, Verdict, decide, limited, question
from taxiway.messages import counted
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.load_command import how_to_load
from taxiway.orchestration.mirrors import Mirrors
from taxiway.orchestration.open_postgres import connected
from taxiway.orchestration.standing import Loads, cut_off, has_ended, running_runs
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID, taxi_command, taxi_conf
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.paths import SOURCES_FOLDER
from taxiway.program import airflow_command
from taxiway.sources.months import Month
from taxiway.sources.source import Source, read_sources
from taxiway.warehouses.postgres.published_months import in_our_words
from taxiway.warehouses.postgres.watched_files import record_decisions

if TYPE_CHECKING:
    from airflow.sdk import Context

    from taxiway.loads.published_months import MonthState

_Months = Mapping[Source, Mapping[Month, "MonthState"]]


class WatchFilesOperator(BaseOperator):
    """Ask by HEAD which files there are of the sources that a warehouse has, and decide which months are loaded.

    Returns ``trigger_run_id`` and ``conf`` of each run of ``taxi`` that is to be started. What was decided, and why, is
    in the task's log and in ``taxiway.watched_files``.

    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param only_look: whether no run is to be started (templated)
    :param most_runs: most runs that one look starts (templated)
    :param catch_up: most months behind the last published one that are loaded (templated)
    :param postgres_conn_id: the connection of the Postgres that keeps the decisions
    """

    template_fields: Sequence[str] = ("only_look", "most_runs", "catch_up")

    def __init__(
        self,
        *,
        warehouse: str,
        only_look: bool | str = False,
        most_runs: int | str = 10,
        catch_up: int | str = 6,
        postgres_conn_id: str = "taxi_postgres",
        **kwargs: Any,
    ) -> None:
        """Assign the parameters; all else waits for :meth:`execute`."""
        super().__init__(**kwargs)
        self.warehouse = warehouse
        self.only_look = only_look
        self.most_runs = most_runs
        self.catch_up = catch_up
        self.postgres_conn_id = postgres_conn_id
        self.late: list[tuple[str, str, str]] = []

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Ask, decide, and record the decisions.

        :raises AirflowFailException: no file could be asked for, or the DAG ``taxi`` is paused and has work
        :raises AirflowSkipException: the warehouse has no published month, or nobody has set it up
        """
        now = datetime.now(timezone.utc)
        with retry_or_fail(context):
            months, loads = self._months(context["ti"])
            asked, wait = self._look(months, now)
            decisions = self._decide(months, loads, asked, now, context["ti"])
            started, obstacle = self._to_start(decisions, context["ti"])
            self.late = [
                (each.source.name, str(each.month), each.reason) for each in started if each.verdict is Verdict.OVERDUE
            ]
            self._say(started)
            self._record(started, now)
            self._require_answers([look for looks in asked.values() for look in looks.values()], wait)
            if obstacle:
                raise SettingError(obstacle)
        return [
            {
                "trigger_run_id": each.run_id,
                "conf": json.loads(taxi_conf(each.source, each.month, self.warehouse)),
            }
            for each in started
            if each.loads and each.run_id
        ]

    def _months(self, ti: Any) -> tuple[_Months, Loads]:
        """Return what the ledger says of the months of each source that has a published one; and how the last loads of
        all sources have ended, by the ledger and by Airflow.
        """
        kind = WAREHOUSES[self.warehouse]
        sources, errors = read_sources(SOURCES_FOLDER)
        if not sources:
            raise errors[0] if errors else SourceConfigError(f"{SOURCES_FOLDER} has no source: expected YAML files")
        with kind.months(kind.conn_id, self._where) as warehouse:
            if warehouse is None:
                raise AirflowSkipException(f"{kind.title} isn't set up, so nothing is watched for it")
            loads = warehouse.last_loads(sources)
            ended = [run for run in running_runs(loads, self.warehouse) if has_ended(ti, *run)]
            if ended:  # meanwhile, perhaps: then they have told the ledger how
                loads = warehouse.last_loads(sources)
            # Asked after that: a run that has ended by then has published its month, or never will.
            found = {source: warehouse.states(source) for source in sources}
        found = {
            source: states for source, states in found.items() if any(state.published_at for state in states.values())
        }
        if not found:
            example = taxi_command("trigger", sources[0], sources[0].first_month, self.warehouse)
            raise AirflowSkipException(
                f"{kind.title} has no published month, so nothing is watched for it. Load a month first, for example: "
                f"{example}"
            )
        return found, cut_off(loads, self.warehouse, ended)

    def _look(self, months: _Months, now: datetime) -> tuple[dict[Source, dict[Month, Look]], float | None]:
        """Ask for the files; return also how many seconds a mirror asked to wait, if one did."""
        looks = dict[Source, dict[Month, Look]]()
        with Mirrors() as mirrors:
            for source, states in months.items():
                asked = question(source, states, now, int(self.catch_up))
                looks[source] = {month: mirrors.look(source, month) for month in (*asked.published, *asked.following)}
        return looks, mirrors.retry_after

    def _decide(
        self, months: _Months, loads: Loads, looks: Mapping[Source, Mapping[Month, Look]], now: datetime, ti: Any
    ) -> list[Decision]:
        catch_up = int(self.catch_up)
        found = []
        for source, states in months.items():

            def how(months: Sequence[Month], source: Source = source) -> str:
                return how_to_load(source, months, self.warehouse, say="To load " + ("them" if months[1:] else "it"))

            found += decide(
                source,
                question(source, states, now, catch_up),
                states,
                loads.get(source.name, {}),
                looks[source],
                now,
                warehouse=self.warehouse,
                catch_up=catch_up,
                state_of=lambda run_id: state_of_run(ti, run_id),
                how_to_load=how,
            )
        return limited(found, int(self.most_runs))

    def _to_start(self, decisions: Sequence[Decision], ti: Any) -> tuple[list[Decision], str]:
        """Take the runs from the decisions if none is to be started, and say why that is an error, if it is one."""
        loads = [each for each in decisions if each.loads]
        why = obstacle = ""
        if str(self.only_look) == "True":
            why = "only looked: no run is started"
        elif loads and ti.get_dag(TAXI_DAG_ID).is_paused:
            why = f"the DAG {TAXI_DAG_ID} is paused: no run is started"
            commands = (
                airflow_command("dags", "unpause", TAXI_DAG_ID),
                airflow_command("dags", "trigger", "taxi_watch"),
            )
            obstacle = (
                f"{self._where}: months to load: {len(loads)}, and the DAG taxi is paused; expected it to be "
                f"unpaused, which starts nothing by itself. No run was started: {commands[0]}; then look again: "
                f"{commands[1]}"
            )
        if not why:
            return list(decisions), ""
        return [
            replace(each, reason=f"{each.reason}; {why}", run_id=None) if each.loads else each for each in decisions
        ], obstacle

    def _say(self, decisions: Sequence[Decision]) -> None:
        for each in decisions:
            if each.verdict in NEEDS_A_LOOK:
                self.log.warning("%s", each)
            elif each.verdict is not Verdict.UNCHANGED:
                self.log.info("%s", each)
        counts = Counter((each.source.name, each.verdict.value) for each in decisions)
        said = ", ".join(f"{source}: {count} {verdict}" for (source, verdict), count in sorted(counts.items()))
        self.log.info("%s: %s", self._where, said)

    def _record(self, decisions: Sequence[Decision], now: datetime) -> None:
        where, conn_id = f"{self._where}, taxiway.watched_files", self.postgres_conn_id
        with connected(where, conn_id) as connection, in_our_words(where, conn_id):
            record_decisions(connection, self.warehouse, decisions, now)

    def _require_answers(self, looks: Sequence[Look], wait: float | None) -> None:
        """Make sure that a mirror has answered for one file at least."""
        if not looks or any(look.presence in (Presence.THERE, Presence.ABSENT) for look in looks):
            return
        files = counted(len(looks), "file")
        found = f"{self._where}: none of {files} could be asked for: {looks[0].in_full}"
        if any(look.presence is Presence.HIDDEN for look in looks):
            raise DownloadRefusedError(
                f"{found}; expected the published ones to be there. Look at the address in a browser: the mirror may "
                f"refuse this machine, or the connection's address is wrong"
            )
        if wait is not None and wait > MAX_RETRY_AFTER:
            raise RetryAfterTooLongError(f"{found}; expected an answer. The next look asks again")
        raise DownloadError(
            f"{found}; expected an answer. The task is tried again, and the next look asks, too. If that goes on "
            f"failing, check the mirror's connection, and whether the mirror works",
            retry_after=wait,
        )

    @property
    def _where(self) -> str:
        """What messages begin with."""
        return f"taxi_watch, {WAREHOUSES[self.warehouse].title}"


def state_of_run(ti: Any, run_id: str) -> str | None:
    """Return how a run of ``taxi`` stands, in a word of Airflow's such as ``queued``; None if there is none.

    :param ti: Airflow's task instance, which asks
    """
    if not ti.get_dr_count(TAXI_DAG_ID, run_ids=[run_id]):
        return None
    state = ti.get_dagrun_state(TAXI_DAG_ID, run_id)
    # An Enum of the task SDK: as a text, it would be DagRunState.QUEUED.
    return str(getattr(state, "value", state))
