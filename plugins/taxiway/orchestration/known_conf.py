"""What a run's conf may name: the params of its DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxiway.errors import SettingError
from taxiway.messages import unknown_conf

if TYPE_CHECKING:
    from airflow.sdk import Context


def refuse_unknown_conf(context: Context) -> None:
    """Fail a task if its run's conf has a key that isn't one of the DAG's params; to be given as ``pre_execute``.

    Airflow checks the values of params when a run is created, and takes any other key silently.

    :param context: Airflow's context of the task
    :raises AirflowFailException: names the keys, and those that there are
    """
    from taxiway.orchestration.failures import retry_or_fail  # not while a DAG that loads nothing is parsed

    dag, run = context["dag"], context["dag_run"]
    known = sorted(dag.params)
    unknown = unknown_conf(run.conf or {}, known)
    if unknown:
        with retry_or_fail(context):
            raise SettingError(
                f"DAG {dag.dag_id!r}, run {run.run_id}: its conf has {unknown}. "
                f"Expected: {', '.join(known) or 'no key'}. Nothing was loaded: start a new run without it"
            )
