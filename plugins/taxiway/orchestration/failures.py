"""Decides whether a task that failed is tried again, and gives its error the words for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from taxiway.errors import (
    DestructiveCorrectionError,
    DownloadError,
    MissingInputError,
    TaxiwayError,
    TransientWarehouseError,
)
from taxiway.loads.deletions import ACCEPT_DELETIONS
from taxiway.next_try import last_try
from taxiway.orchestration.load_command import load_command
from taxiway.orchestration.taxi_conf import TAXI_DAG_ID, taxi_command
from taxiway.program import airflow_command

if TYPE_CHECKING:
    from airflow.sdk import Context

    from taxiway.loads.load import Load
    from taxiway.orchestration.operators.step_operator import StepOperator

TRANSIENT_ERRORS = (DownloadError, TransientWarehouseError)
"""What a retry may fix, of all that Taxiway reports."""

TEMPORARY_RUN = "__airflow_temporary_run_"
"""What the id of a run begins with that ``airflow tasks test`` makes, and removes when the task has ended."""


@contextmanager
def retry_or_fail(context: Context, words: Callable[[TaxiwayError], str] = str) -> Iterator[None]:
    """Let Airflow try a transient error again, and fail the task at once if a retry can't fix its error.

    :param context: Airflow's context of the task
    :param words: gives the message of an error that fails the task
    :raises AirflowFailException: a retry can't fix it; its context is Taxiway's own exception
    """
    try:
        with last_try_of(context):
            yield
    except TRANSIENT_ERRORS:
        raise
    except TaxiwayError as error:
        # Not from the error itself: the task's log would have all of the message twice.
        raise AirflowFailException(words(error)) from error.__cause__


def last_try_of(context: Context) -> AbstractContextManager[None]:
    """Have errors say what comes next, if this is the task's last try; ``airflow tasks test`` knows no other."""
    ti, run = context.get("ti"), context.get("dag_run")
    counted_out = ti is not None and ti.try_number > getattr(ti, "max_tries", ti.try_number)
    return last_try(counted_out or (run is not None and run.run_id.startswith(TEMPORARY_RUN)))


def message_of(error: TaxiwayError, operator: StepOperator, load: Load, context: Context) -> str:
    """Return what an error says, and commands that only the DAG knows: to load the month with the conf that the error
    advises, and in a run of ``airflow tasks test`` to get the output of the steps before.

    :param error: of a step
    :param operator: the step
    :param load: the load
    """
    if isinstance(error, DestructiveCorrectionError):
        accept: dict[str, Any] = {"dag_id": operator.dag_id, ACCEPT_DELETIONS: True}
        return f"{error}: {load_command(load.source, [load.month], operator.warehouse, **accept)}"
    if not isinstance(error, MissingInputError) or not context["dag_run"].run_id.startswith(TEMPORARY_RUN):
        return str(error)
    if operator.dag_id == TAXI_DAG_ID:
        test, trigger = (
            taxi_command(command, load.source, load.month, operator.warehouse) for command in ("test", "trigger")
        )
    else:
        # In the DAG's time zone, which decides the month of a date.
        month = load.month
        moment = datetime(month.year, month.number, 1, tzinfo=context["dag"].timezone).isoformat()
        test = airflow_command("dags", "test", operator.dag_id, moment)
        trigger = airflow_command("dags", "trigger", operator.dag_id, "--logical-date", moment)
    return (
        f"{error}. airflow tasks test makes a run of its own for each call unless the month has one: run all steps "
        f"with {test}; or make a run with {trigger}, and test its tasks in their order"
    )
