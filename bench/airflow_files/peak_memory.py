"""Airflow plugin: every task's process writes down its peak memory when the task has succeeded."""

import os
import resource
import sys
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """Write the peak of this process, in KiB, where the benchmark looks for it."""
    folder = Path(os.environ["AIRFLOW_HOME"]) / "peaks"
    folder.mkdir(exist_ok=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    (folder / f"{task_instance.dag_id}.{task_instance.task_id}.{os.getpid()}").write_text(str(peak))


class PeakMemoryPlugin(AirflowPlugin):
    """Registers this module as the listener."""

    name = "peak_memory"
    listeners: list[object] = [sys.modules[__name__]]  # noqa: RUF012 - so Airflow declares it
