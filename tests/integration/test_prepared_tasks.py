"""What the process has imported that the tasks of a backfill are forked from."""

from __future__ import annotations

import os
import subprocess
import sys

from taxiway.paths import ROOT

OPENS = """
import sys
import airflow.sdk.execution_time.task_runner
from airflow.sdk.execution_time import comms
from dags_backfill import workers
from taxiway.orchestration import dags, gcp_dags, warehouses

def of_google():
    return "google.cloud.bigquery" in sys.modules

def imported_by(module):
    before = set(sys.modules)
    __import__(module)
    return sorted(set(sys.modules) - before)

opens = "taxiway.orchestration.open_{}".format
for dag_id in ("trivial", "taxi_green"):
    warehouses.prepare_tasks(dag_id)
    print(opens("postgres") in sys.modules, of_google())
warehouses.prepare_tasks("taxi_green_gcp")
workers.keep_decoder()
print(comms.CommsDecoder(socket=None).body_decoder is comms.CommsDecoder(socket=None).body_decoder)
hooks = "airflow.providers.google.cloud.hooks."
print([imported_by(name) for name in (opens("postgres"), opens("bigquery"), f"{hooks}bigquery", f"{hooks}gcs")])
"""


def test_a_task_imports_and_builds_nothing_to_open_its_warehouse_and_to_hear_its_supervisor() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run([sys.executable, "-c", OPENS], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    # Google's libraries warn of Python 3.10 meanwhile.
    said = [line for line in done.stdout.splitlines() if line.startswith(("True", "False", "["))]
    assert said == ["False False", "True False", "True", "[[], [], [], []]"]
