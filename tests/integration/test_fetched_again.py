"""A task on a machine without the downloaded file fetches it by the connection and the settings that are in force."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.orchestration.load_tasks import OPERATORS
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.sources.strict_yaml import read_yaml
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import Connect
from tests.faults.task_runner import context_of
from tests.integration.gcp_airflow import gcp_variables, stand_ins
from tests.mirror_faults import FaultyMirror

MONTH = Month(2019, 1)
ROWS = 40


@dataclass
class Tasks:
    """The tasks of a run, each on a machine of its own.

    :param body: the month's file
    :param path: its address at the mirror
    :param left: what the tasks have left in XCom, by their ids
    """

    mirror: FaultyMirror
    body: bytes
    path: str
    folder: Path
    patch: pytest.MonkeyPatch
    warehouse: str
    left: dict[str, Any]

    def execute(self, task_id: str, machine: int, **arguments: Any) -> Any:
        """Run a task on a machine, whose cache is empty unless it has downloaded the file before."""
        self.patch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", str(self.folder / f"cache {machine}"))
        operator: Any = OPERATORS[task_id](
            task_id=task_id, source_name="green", month=str(MONTH), warehouse=self.warehouse, **arguments
        )
        self.left[task_id] = operator.execute(context_of("manual__1", 1, self.left))
        return self.left[task_id]


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyMirror]:
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    with FaultyMirror() as mirror:
        monkeypatch.setenv("AIRFLOW_CONN_TLC_MIRROR", json.dumps({"conn_type": "http", "host": mirror.url}))
        yield mirror


@pytest.fixture(params=sorted(WAREHOUSES))
def tasks(
    mirror: FaultyMirror,
    green: Source,
    connect: Connect,
    bigquery: StandIn,
    cloud_storage: CloudStorage,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Tasks:
    made = connect().info
    postgres = {
        "conn_type": "postgres",
        "host": made.host,
        "login": made.user,
        "schema": made.dbname,
        "port": made.port,
    }
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(postgres))
    cloud = Cloud.connect().set_up()
    for name, value in {**gcp_variables(cloud.settings), **stand_ins(bigquery, cloud_storage)}.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=ROWS)
    mirror.put(f"/{green.file_path(MONTH)}", path.read_bytes())
    return Tasks(mirror, path.read_bytes(), f"/{green.file_path(MONTH)}", tmp_path, monkeypatch, request.param, left={})


def steps_of(tasks: Tasks) -> list[str]:
    return [name for name in OPERATORS if name not in WAREHOUSES[tasks.warehouse].without]


def test_each_task_may_run_on_a_machine_of_its_own(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """And reads the source's file once."""
    read: list[str] = []

    def counted(path: Path) -> bytes:
        read.append(task_id)
        return read_yaml(path)

    monkeypatch.setattr("taxiway.sources.source.read_yaml", counted)
    for machine, task_id in enumerate(steps_of(tasks)):
        shutil.rmtree(tasks.folder / f"cache {machine - 1}", ignore_errors=True)
        tasks.execute(task_id, machine)

    assert tasks.left["merge_month"].items() >= {"inserted": ROWS, "deleted": 0, "unchanged": 0}.items()
    assert [seen.status for seen in tasks.mirror.seen] == [200, 200]
    assert read == steps_of(tasks)


def test_a_task_fetches_by_the_connection_that_it_is_given(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyMirror() as other:
        other.put(tasks.path, tasks.body)
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "http", "host": other.url}))
        reading = steps_of(tasks)[1]
        tasks.execute("download_month", 1, http_conn_id="other")
        shutil.rmtree(tasks.folder / "cache 1")
        tasks.execute(reading, 2, http_conn_id="other")

        assert [seen.status for seen in other.seen] == [200, 200]
    assert tasks.mirror.seen == []


def test_another_file_at_the_source_fails_the_task_at_once(tasks: Tasks, green: Source) -> None:
    tasks.execute("download_month", 1)
    shutil.rmtree(tasks.folder / "cache 1")
    changed = tasks.folder / "changed.csv.gz"
    write_sample_month(green, MONTH, changed, rows=ROWS + 1)
    tasks.mirror.put(tasks.path, changed.read_bytes())

    with pytest.raises(AirflowFailException, match=r"green 2019-01: .*The source serves another file now"):
        tasks.execute(steps_of(tasks)[1], 2)
    # What the error advises.
    for task_id in steps_of(tasks):
        tasks.execute(task_id, 2)

    assert tasks.left["merge_month"].items() >= {"inserted": ROWS + 1, "deleted": 0, "unchanged": 0}.items()
