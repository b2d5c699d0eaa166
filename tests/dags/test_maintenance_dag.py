"""The DAG taxi_maintenance: when it runs, what its form offers, and what the Variable may say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError

from taxiway.errors import SettingError, TransientWarehouseError
from taxiway.orchestration.maintenance_dag import maintenance_dag
from taxiway.orchestration.operators.clean_metadata import CleanMetadataOperator
from taxiway.orchestration.retention import Retention, retention
from taxiway.orchestration.warehouses import WAREHOUSES
from tests.dags import as_stored
from tests.integration.airflow_environment import free_port


@pytest.fixture(scope="module")
def stored() -> Any:
    return as_stored(maintenance_dag())


def test_it_runs_once_a_month_and_never_into_the_past(stored: Any) -> None:
    assert stored.timetable.summary == "0 6 1 * *"
    assert (stored.catchup, stored.max_active_runs) == (False, 1)
    assert maintenance_dag().is_paused_upon_creation is not False


def test_no_task_waits_for_another(stored: Any) -> None:
    graph = {task.task_id: set(task.downstream_task_ids) for task in stored.tasks}
    assert graph == {name: set() for name in ("trim_cache", "clean_metadata", *(f"{each}.trim" for each in WAREHOUSES))}


def test_every_task_knows_of_a_dry_run(stored: Any) -> None:
    assert dict(stored.params.deep_merge({}).validate()) == {"dry_run": False}
    with pytest.raises(ParamValidationError, match="dry_run"):
        stored.params.deep_merge({"dry_run": "no"}).validate()
    assert {task.is_dry_run for task in maintenance_dag().tasks} == {"{{ params.dry_run }}"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, Retention()),
        (" ", Retention()),
        ('{"cache": 7, "loads": 3000}', Retention(cache=7, loads=3000)),
        ("30", "the value: "),
        ('{"cache": 6}', "cache: Input should be greater than or equal to 7"),
        ('{"cache": "30"}', "cache: Input should be a valid integer"),
        ('{"chache": 30}', "chache: Extra inputs are not permitted"),
    ],
)
def test_the_variable_says_how_long_things_are_kept(
    text: str | None, found: Retention | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_RETENTION", text)
    if isinstance(found, Retention):
        assert retention() == found
        return
    with pytest.raises(SettingError) as raised:
        retention()
    assert str(raised.value).startswith("taxiway_retention can't be used, and nothing was deleted: ")
    assert found in str(raised.value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        # Nothing listens there now.
        ({"port": free_port()}, TransientWarehouseError),
        # No retry helps.
        ({"extra": {"sqlalchemy_query": {"no_such_option": "1"}}}, AirflowFailException),
    ],
)
def test_a_database_that_is_down_is_asked_again(
    options: dict[str, Any], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "postgres", "host": "127.0.0.1", "login": "airflow", "schema": "airflow", **options}
    monkeypatch.setenv("AIRFLOW_CONN_AIRFLOW_DB", json.dumps(connection))

    with pytest.raises(error, match="airflow db clean ended with 1: "):
        CleanMetadataOperator(task_id="clean_metadata").execute({})
