"""What a run loads: its source and its month, checked before anything else is done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from taxiway.errors import InvalidMonthError, MissingInputError
from taxiway.loads.load import Load
from taxiway.messages import one_line
from taxiway.orchestration.failures import retry_or_fail
from taxiway.orchestration.load_command import load_command
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID, taxi_command
from taxiway.paths import SOURCES_FOLDER
from taxiway.program import airflow_command
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source, find_source

if TYPE_CHECKING:
    from airflow.sdk import Context

    from taxiway.orchestration.operators.step_operator import StepOperator


def source_and_month(
    source_name: str, month: str, context: Context, warehouse: str = "postgres"
) -> tuple[Source, Month]:
    """Return the source and the month that a task was given.

    :param source_name: a file of ``include/sources`` without its ending
    :param month: the month as ``YYYY-MM``; of a source that stands alone, whatever it is
    :param context: Airflow's context of the task
    :param warehouse: where it is loaded, for what an error advises
    :raises AirflowFailException: the source doesn't exist; the month is not a month, or not the one that the run stands
        for, or it is that of a logical date that nobody has chosen
    """
    asked = one_line(f"{source_name} {month or '(no month)'}", 60)
    with retry_or_fail(context, lambda error: f"{asked}: {error}"):
        source = find_source(SOURCES_FOLDER, source_name)
        if source.stands_alone:
            return source, WHOLE
        if not month:
            found = "neither the parameter month nor a logical date"
            raise _no_month(context["dag_run"], source, warehouse, found)
        parsed = Month.parse(month)
        _refuse_another_month(parsed, source, context, warehouse)
        _refuse_month_of_no_file(parsed, source, context, warehouse)
    return source, parsed


def run_name(dag_id: str, run_id: str) -> str:
    """Return what the ledger calls a run, and what the names of its tables are made of: its id.

    Two DAGs may give their runs the same id. Runs of ``taxi`` and of a source's own DAG must not share a staging table.
    """
    return f"{TAXI_DAG_ID} {run_id}" if dag_id == TAXI_DAG_ID else run_id


def run_of_name(name: str, dag_id: str) -> tuple[str, str]:
    """Return the DAG and the id of a run that the ledger knows by a name: the opposite of :func:`run_name`.

    :param name: as the ledger has it
    :param dag_id: the source's own DAG
    """
    begin = run_name(TAXI_DAG_ID, "")
    return (TAXI_DAG_ID, name.removeprefix(begin)) if name.startswith(begin) else (dag_id, name)


def nothing_for(source_name: str, logical_date: datetime) -> str | None:
    """Say why a run of the schedule or of a backfill would have nothing to load; None if it would load its month."""
    source = find_source(SOURCES_FOLDER, source_name)
    return source.months if source.why_unavailable(source.month_of(logical_date)) else None


def try_number_of(context: Context) -> int:
    """Return which try of the task it is, from 1: ``airflow tasks test`` counts none."""
    return max(1, context["ti"].try_number)


def is_retry(context: Context, retries: int) -> bool:
    """Say whether an earlier try of the task has failed, or was lost; one that was cleared begins anew.

    Airflow adds up the tries of a task that is cleared, and lets as many retries follow.

    :param retries: the task's
    """
    ti = context["ti"]
    return bool(ti.try_number > max(1, getattr(ti, "max_tries", 0) - retries + 1))


def outputs_of(steps: Sequence[str], operator: StepOperator, load: Load, context: Context) -> dict[str, Any]:
    """Return what the steps before have left in XCom, by their names.

    :param steps: those that a step needs; a load that is without one of them has no output of it
    :param operator: the step; its task and theirs may be in a task group
    :param load: the load
    :raises MissingInputError: one has left nothing; says which task has to run first
    """
    group = operator.task_id.rpartition(".")[0]
    found = {}
    for step in steps:
        if step not in load.steps:
            continue
        task_id = f"{group}.{step}" if group else step
        found[step] = context["ti"].xcom_pull(task_ids=task_id)
        if found[step] is None:
            raise _nothing_left(task_id, operator, load)
    return found


def _nothing_left(before: str, operator: StepOperator, load: Load) -> MissingInputError:
    forced: dict[str, Any] = {"dag_id": operator.dag_id, "force": True}
    return MissingInputError(
        f"{load.where}: {operator.task_id}: found nothing that {before} left in the run "
        f"{load.run_id}, expected what it returns: it hasn't run there, somebody marked it as a "
        "success, or the month was published from the same bytes already, and there was nothing to do. Nothing was "
        f"published now: clear the task {before} with its downstream tasks; or, to load a month that is published "
        f"once more, run {load_command(load.source, [load.month], operator.warehouse, **forced)}"
    )


def _no_month(run: Any, source: Source, warehouse: str, found: str) -> InvalidMonthError:
    """Say that a run has no month, and the ways to load one.

    :param found: what it has
    """
    month = source.first_month
    taxi = taxi_command("trigger", source, month, warehouse)
    backfill = load_command(source, [month], warehouse)
    by_conf = airflow_command("dags", "trigger", run.dag_id, "-c", json.dumps({"month": str(month)}))
    moment = datetime(month.year, month.number, 1, tzinfo=source.zone).isoformat()
    by_date = airflow_command("dags", "trigger", run.dag_id, "--logical-date", moment)
    return InvalidMonthError(
        f"the run {run.run_id} has {found}, expected the parameter month or the logical date of a month that there is. "
        f"Nothing was loaded. In the web UI, load a month with the form of the DAG {TAXI_DAG_ID}. On the command line, "
        f"for example for {month}: {taxi}; {backfill}; {by_conf}; {by_date}"
    )


def _refuse_month_of_no_file(month: Month, source: Source, context: Context, warehouse: str) -> None:
    """A form that was left as it is has no month, and the present as its logical date: its month has no file yet."""
    run, params = context["dag_run"], context.get("params") or {}
    if not _is_manual(run) or params.get("month", "none is asked for"):
        return
    why = None if source.why_unavailable(month) is None else source.months
    if month >= source.month_of(datetime.now(timezone.utc)):
        why = "that month isn't over"
    if why is not None:
        raise _no_month(run, source, warehouse, f"no parameter month, and a logical date in {month}: {why}")


def _refuse_another_month(month: Month, source: Source, context: Context, warehouse: str) -> None:
    """A run of the schedule or of a backfill stands for its own month, and would stand for it unloaded."""
    run = context["dag_run"]
    if _is_manual(run) or run.logical_date is None:
        return
    own = source.month_of(run.logical_date)
    if own != month:
        raise InvalidMonthError(
            f"the parameter month is for runs that are triggered by hand: found {month} on the run of {own}, "
            f"expected none. To run it for its own month: {load_command(source, [own], warehouse)}"
        )


def _is_manual(run: Any) -> bool:
    return str(getattr(run.run_type, "value", run.run_type)) == "manual"
