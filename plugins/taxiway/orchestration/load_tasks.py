"""Makes the tasks of a load: one for each of its steps, in their order, and a teardown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.bases.operator import chain

from taxiway.loads.step_names import DOWNLOAD, PUBLISH
from taxiway.loads.steps import DROP_STAGING, Step
from taxiway.orchestration.alerts.taxi_alert import TaxiAlert
from taxiway.orchestration.dag_template import USE_CACHE
from taxiway.orchestration.operators.check_month import CheckMonthOperator
from taxiway.orchestration.operators.create_main_table import CreateMainTableOperator
from taxiway.orchestration.operators.download_month import DownloadMonthOperator
from taxiway.orchestration.operators.drop_staging import DropStagingOperator
from taxiway.orchestration.operators.file_step import FileStepOperator
from taxiway.orchestration.operators.hash_rows import HashRowsOperator
from taxiway.orchestration.operators.merge_month import MergeMonthOperator
from taxiway.orchestration.operators.stage_month import StageMonthOperator
from taxiway.orchestration.operators.step_operator import StepOperator
from taxiway.orchestration.operators.upload_month import UploadMonthOperator
from taxiway.orchestration.retry_after import RetryAfterPolicy
from taxiway.orchestration.warehouses import WAREHOUSES

OPERATORS: dict[str, type[StepOperator]] = {
    operator.step.name: operator
    for operator in (
        DownloadMonthOperator,
        UploadMonthOperator,
        CreateMainTableOperator,
        StageMonthOperator,
        HashRowsOperator,
        CheckMonthOperator,
        MergeMonthOperator,
        DropStagingOperator,
    )
}
"""The operators by the names of their steps; any other step's is :class:`StepOperator`."""

FAILED, LOADED = TaxiAlert("failed"), TaxiAlert("loaded")
"""Tell people how a load has ended: docs/alerts.md."""


def add_tasks(
    warehouse: str,
    steps: Sequence[Step],
    *,
    source_name: str,
    month: str,
    outlets: Sequence[Asset],
    must_exist: bool | str,
) -> None:
    """Make the tasks of a load in the DAG, or the task group, that is being built.

    :param warehouse: one of :data:`~taxiway.orchestration.warehouses.WAREHOUSES`
    :param steps: the load's steps, in their order
    :param source_name: what is loaded: a name, or a template of one
    :param month: the month: a text, or a template of one
    :param outlets: the Asset that the load updates; none if only a run knows it
    :param must_exist: whether a month that isn't there fails the load, or a template of that; else it is skipped
    """
    steps = [step for step in steps if step.name not in WAREHOUSES[warehouse].without]
    of_load: dict[str, Any] = {
        "source_name": source_name,
        "month": month,
        "warehouse": warehouse,
        "steps": [step.name for step in steps],
    }
    of_step: dict[str, dict[str, Any]] = {
        DOWNLOAD: {
            "use_cache": USE_CACHE,
            "force": "{{ params.force }}",
            "must_exist": must_exist,
        },
        PUBLISH: {
            "accept_deletions": "{{ params.accept_deletions }}",
            "outlets": list(outlets),
        },
    }
    for step_name in (DOWNLOAD, PUBLISH):
        of_step[step_name] |= {"on_success_callback": LOADED, "on_skipped_callback": LOADED}
    tasks = []
    for step in steps:
        operator = OPERATORS.get(step.name, StepOperator)
        fetches: dict[str, Any] = {"retry_policy": RetryAfterPolicy()} if issubclass(operator, FileStepOperator) else {}
        of_task = {**of_load, **of_step.get(step.name, {}), **fetches}
        tasks.append(operator(task_id=step.name, step=step, on_failure_callback=FAILED, **of_task))
    drop = DropStagingOperator(task_id=DROP_STAGING.name, **of_load)
    chain(*tasks, drop.as_teardown(setups=[task for task in tasks if task.step.leaves_tables]))
