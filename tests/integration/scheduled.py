"""A real Airflow with its scheduler, as tests start runs and wait for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.integration.airflow_environment import wait_until
from tests.integration.taxi_airflow import TaxiAirflow


@dataclass
class Scheduled:
    """Airflow, whose scheduler runs.

    :param taxi: Airflow and Postgres
    """

    taxi: TaxiAirflow

    def pause(self, dag_id: str, paused: bool) -> None:
        self.taxi.airflow.rest(f"/dags/{dag_id}", "PATCH", {"is_paused": paused})

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], logical_date: str | None = None) -> None:
        body = {"dag_run_id": run_id, "logical_date": logical_date, "conf": conf}
        self.taxi.airflow.rest(f"/dags/{dag_id}/dagRuns", "POST", body)

    def ended(self, run_id: str) -> str:
        """Wait until a run has ended; return its state."""
        statement = "SELECT state FROM dag_run WHERE run_id = %s AND state IN ('success', 'failed')"
        ((state,),) = wait_until(
            lambda: self.taxi.airflow.query(statement, run_id), timeout=400, what=f"{run_id} to end", interval=0.5
        )
        return str(state)

    def error(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the last error that the last try of a task has logged."""
        folder = self.taxi.airflow.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        log = max(folder.glob("attempt=*.log"), key=lambda path: int(path.stem.partition("=")[2]))
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        return str([entry["error_detail"][0]["exc_value"] for entry in entries if entry.get("error_detail")][-1])
