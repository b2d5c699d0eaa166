"""The project's Airflow DAG of green months, once for every way to fail, each with connections of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from airflow.sdk import get_parsing_context

from taxiway.orchestration.dags import load_dag
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_source

CASES = {
    # DAG: the mirror's connection, the warehouse's connection
    "succeeds": ("mirror_good", "warehouse_good"),
    "refused_by_mirror": ("mirror_wrong_password", "warehouse_good"),
    "broken_mirror": ("mirror_fails", "warehouse_good"),
    "slow_mirror": ("mirror_hangs", "warehouse_good"),
    "out_of_time": ("mirror_hangs_long", "warehouse_good"),
    "mirror_not_there": ("mirror_gone", "warehouse_good"),
    "key_in_address": ("mirror_query", "warehouse_good"),
    "password_in_address": ("mirror_address", "warehouse_good"),
    "refused_by_warehouse": ("mirror_good", "warehouse_wrong_password"),
    "warehouse_not_there": ("mirror_good", "warehouse_gone"),
    "no_right": ("mirror_good", "warehouse_without_rights"),
}

green = load_source(SOURCES_FOLDER / "green.yaml")
wanted = get_parsing_context().dag_id
for name, (mirror, warehouse) in CASES.items():
    if wanted not in (None, f"taxi_{name}"):
        continue  # a task needs its own DAG alone
    dag = load_dag(replace(green, name=name, schedule=None), "postgres")  # type: ignore[arg-type]  # by hand only
    dag.is_paused_upon_creation = False
    for task in dag.tasks:
        task.source_name = green.name
        task.conn_id = warehouse
        task.retries = 0
        if name == "succeeds":
            # A rendered field that has the mirror's address, so that the search has something to find there.
            task.mirror = f"{{{{ conn.{mirror}.host }}}}"
            task.template_fields = (*task.template_fields, "mirror")
        if task.task_id == "download_month":
            task.http_conn_id = mirror
        if name == "out_of_time":
            task.execution_timeout = timedelta(seconds=3)
    globals()[dag.dag_id] = dag
