"""Runs tasks of the DAG one by one; as a program, each in a process of its own, as a line of JSON orders it.

The program answers with a line for the process's id, and one for what the task leaves, or its error.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import DownstreamTasksSkipped
from airflow.sdk.execution_time.context import OutletEventAccessors

from taxiway.orchestration import month_of_run
from taxiway.orchestration.load_tasks import OPERATORS
from taxiway.orchestration.warehouses import prepare_tasks
from taxiway.warehouses.sql import compile_all


def execute_task(task_id: str, source: str, month: str, run_id: str, try_number: int, outputs: dict[str, Any]) -> Any:
    """Run one task of the DAG in this process.

    :param outputs: what the tasks before it have left in XCom, by their ids
    """
    operator: Any = OPERATORS[task_id](task_id=task_id, source_name=source, month=month)
    return operator.execute(context_of(run_id, try_number, outputs))


def context_of(run_id: str, try_number: int = 1, outputs: dict[str, Any] | None = None) -> Any:
    """Return Airflow's context of a task, as far as the project's tasks look.

    :param outputs: what the tasks before it have left in XCom, by their ids
    """
    run = SimpleNamespace(run_id=run_id, run_type="manual", logical_date=None, start_date=datetime.now(timezone.utc))
    ti = SimpleNamespace(try_number=try_number, xcom_pull=lambda task_ids: (outputs or {}).get(task_ids))
    return {"dag_run": run, "ti": ti, "outlet_events": OutletEventAccessors()}


def _run_task(order: list[Any]) -> dict[str, Any]:
    try:
        return {"result": execute_task(*order)}
    except DownstreamTasksSkipped as skipped:
        return {"skipped": list(skipped.tasks)}
    except Exception as error:
        return {"error": [type(error).__name__, str(error)]}


def _answer_order(settings: dict[str, str], sources: str, order: list[Any], answers: Any) -> None:
    reading, writing = os.pipe()
    task = os.fork()
    if task == 0:
        os.close(reading)
        os.environ.update(settings)
        month_of_run.SOURCES_FOLDER = Path(sources)
        with os.fdopen(writing, "w") as pipe:
            json.dump(_run_task(order), pipe)
        os._exit(0)
    os.close(writing)
    print(task, file=answers, flush=True)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(task, 0)
    print(answer or "null", file=answers, flush=True)


def main() -> None:
    """Run tasks until there are no more orders."""
    # Its output is for answers; what tasks print goes elsewhere.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ExecutorSafeguard.test_mode = True
    # What every task needs, as a backfill imports it before it forks its workers.
    compile_all()
    prepare_tasks("taxi_green")
    for line in sys.stdin:
        _answer_order(*json.loads(line), answers)


if __name__ == "__main__":
    main()
