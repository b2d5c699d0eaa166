"""The DAG taxi: what its form asks for, and that it loads as the DAGs with a schedule do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from taxiway.orchestration.dags import load_dags
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.source import load_sources
from tests.dags import as_stored

SOURCES = load_sources(SOURCES_FOLDER)
ALIKE = ("step", "steps", "warehouse", "conn_id", "deferrable", "poll_interval", "http_conn_id")
ASKED = ("use_cache", "force", "accept_deletions")
ALIKE_TOO = ("is_setup", "is_teardown", "trigger_rule", "ui_color", "template_fields", "_pre_execute_hook")
RETRIES = ("retries", "retry_delay", "max_retry_delay", "retry_exponential_backoff", "execution_timeout")


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    return {dag.dag_id: dag for dag in load_dags()}


@pytest.fixture(scope="module")
def dag(dags: dict[str, Any]) -> Any:
    return dags["taxi"]


@pytest.fixture(scope="module")
def stored(dag: Any) -> Any:
    return as_stored(dag)


def test_nothing_starts_it_but_a_person_or_another_dag(dag: Any, stored: Any) -> None:
    assert stored.timetable.summary == "None"
    assert list(stored.iter_dagrun_infos_between(stored.start_date, stored.start_date.add(years=9))) == []
    # So it needn't be unpaused, and the form has no box for that.
    assert dag.is_paused_upon_creation is False
    assert "unpausing it starts nothing" in dag.doc_md


def test_the_form_asks_for_taxi_year_month_and_warehouse(stored: Any) -> None:
    of_load = ["use_cache", "force", "accept_deletions"]
    assert list(stored.params) == ["taxi", "year", "month", "warehouse", *of_load]
    schemas = {name: stored.params.get_param(name).schema for name in stored.params}
    assert schemas["taxi"]["enum"] == [source.name for source in SOURCES]
    assert schemas["taxi"]["values_display"] == {source.name: source.title for source in SOURCES}
    assert {"2019", "2020", "2021"} <= set(schemas["year"]["examples"])
    assert "enum" not in schemas["year"]
    assert schemas["month"]["enum"] == [f"{number:02d}" for number in range(1, 13)]
    assert schemas["warehouse"]["enum"] == list(WAREHOUSES)
    assert all(stored.params.get_param(name).description for name in stored.params)
    # As it opens, it asks for a month that there is.
    asked = stored.params.validate()
    assert (asked["taxi"], asked["year"], asked["month"], asked["warehouse"]) == ("green", "2019", "01", "postgres")


@pytest.mark.parametrize("year", ["2019", "2026", 2019])
def test_any_year_can_be_written(stored: Any, year: object) -> None:
    assert stored.params.deep_merge({"year": year}).validate()["year"] == year


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"year": "20x9"}, "Invalid input for param year: '20x9' does not match"),
        ({"year": "2019\n"}, "'title': 'Year, as YYYY'"),
        ({"year": "12019"}, "Invalid input for param year: '12019' does not match"),
        ({"year": "{{ ds }}"}, "Invalid input for param year: '{{ ds }}' does not match"),
        ({"year": ""}, "Invalid input for param year: '' does not match"),
        ({"year": 19}, "19 is less than the minimum of 1000"),
        ({"year": None}, "None is not of type 'string', 'integer'"),
        ({"month": "13"}, "Invalid input for param month: '13' is not one of ['01', '02',"),
        ({"month": 3}, "Invalid input for param month: 3 is not of type 'string'"),
        ({"taxi": "lime"}, f"Invalid input for param taxi: 'lime' is not one of {[each.name for each in SOURCES]}"),
        ({"taxi": "../green"}, "Invalid input for param taxi: '../green' is not one of"),
        ({"warehouse": "duckdb"}, "'duckdb' is not one of ['postgres', 'bigquery']"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_what_is_expected(stored: Any, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamValidationError) as refused:
        stored.params.deep_merge(asked).validate()
    assert said in str(refused.value)


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_its_tasks_are_those_of_the_sources_own_dags(dags: dict[str, Any], dag: Any, warehouse: str) -> None:
    own = dags[f"taxi_{SOURCES[0].name}{WAREHOUSES[warehouse].dag_suffix}"]
    for task in own.tasks:
        found = dag.task_dict[f"{warehouse}.{task.task_id}"]
        assert type(found) is type(task)
        for name in (*ALIKE, *ASKED, *ALIKE_TOO, *RETRIES):
            assert getattr(found, name, None) == getattr(task, name, None), (found.task_id, name)
        assert type(found.retry_policy) is type(task.retry_policy)
        for side in ("upstream_task_ids", "downstream_task_ids"):
            inside = {f"{warehouse}.{each}" for each in getattr(task, side)}
            assert getattr(found, side) - {"choose_warehouse"} == inside, (found.task_id, side)
    assert [task.task_id for task in dag.tasks if task.task_id.startswith(f"{warehouse}.")] == [
        f"{warehouse}.{task.task_id}" for task in own.tasks
    ]
    assert dag.task_dict["choose_warehouse"].downstream_task_ids == {f"{each}.download_month" for each in WAREHOUSES}
    # Only a run knows which Asset it updates: tests/integration/test_taxi_form.py looks at it.
    assert dag.task_dict[f"{warehouse}.merge_month"].outlets == []


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_clearing_a_step_runs_again_what_it_needs(stored: Any, warehouse: str) -> None:
    needed = {f"{warehouse}.{name}" for name in ("stage_month", "hash_rows", "merge_month", "drop_staging")}
    for cleared in ("hash_rows", "check_month", "merge_month"):
        subset = stored.partial_subset([f"{warehouse}.{cleared}"], include_downstream=True, include_upstream=False)
        assert needed <= set(subset.task_ids), cleared
        assert {task_id.partition(".")[0] for task_id in subset.task_ids} == {warehouse}


def test_it_retries_and_ends_as_the_others_do(dags: dict[str, Any], dag: Any) -> None:
    other = dags[f"taxi_{SOURCES[0].name}"]
    assert dag.dagrun_timeout == other.dagrun_timeout
    for task in dag.tasks:
        for name in RETRIES:
            assert getattr(task, name) == getattr(other.tasks[0], name), (task.task_id, name)
    assert dag.owner == "taxiway"
    assert set(dag.tags) == {"taxi", *WAREHOUSES}


def test_a_new_source_is_in_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(SOURCES_FOLDER / "green.yaml", tmp_path / "lime.yaml")
    monkeypatch.setattr("taxiway.orchestration.dags.SOURCES_FOLDER", tmp_path)

    taxi, *_ = load_dags()

    assert taxi.params.get_param("taxi").schema["enum"] == ["lime"]
    assert taxi.params.validate()["taxi"] == "lime"


def test_its_tasks_process_reads_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID

    def refuse(*_: Any) -> Any:
        raise AssertionError("a source is read")

    monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, "taxi")  # as Airflow's task runner does
    monkeypatch.setattr("taxiway.orchestration.dags.read_sources", refuse)
    monkeypatch.setattr("taxiway.orchestration.dags.load_source", refuse)

    (taxi,) = load_dags()

    assert taxi.params.get_param("taxi").schema["enum"] == [source.name for source in SOURCES]
