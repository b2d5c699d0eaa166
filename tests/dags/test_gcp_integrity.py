"""The DAGs of Google Cloud import, are what their sources imply, and keep the project's policy."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.source import Source, load_sources
from tests.dags import as_stored

SOURCES = load_sources(SOURCES_FOLDER)
STEPS = [
    "download_month",
    "upload_month",
    "create_main_table",
    "stage_month",
    "hash_rows",
    "check_month",
    "merge_month",
    "drop_staging",
]


@pytest.fixture
def dag(bag: Any, source: Source) -> Any:
    return bag.dags[f"taxi_{source.name}_gcp"]


def test_the_tasks_follow_each_other(dag: Any) -> None:
    chain = dict(itertools.pairwise(STEPS))
    for task in dag.tasks:
        following = chain.get(task.task_id)
        if following is not None:
            assert following in task.downstream_task_ids, task.task_id
        assert task.downstream_task_ids <= {following, "drop_staging"}
    assert [task.task_id for task in dag.tasks if task.is_teardown] == ["drop_staging"]
    assert {task.task_id for task in dag.tasks if task.is_setup} == {"upload_month", "stage_month", "hash_rows"}
    assert sorted(as_stored(dag).task_ids) == sorted(STEPS)


def test_clearing_a_step_runs_again_what_it_needs(dag: Any) -> None:
    for cleared in ("hash_rows", "check_month", "merge_month"):
        subset = as_stored(dag).partial_subset([cleared], include_downstream=True, include_upstream=False)
        assert {"upload_month", "stage_month", "hash_rows", "merge_month", "drop_staging"} <= set(subset.task_ids)


def test_schedule_parameters_and_policy_are_those_of_the_postgres_dag(bag: Any, dag: Any, source: Source) -> None:
    sibling = bag.dags[f"taxi_{source.name}"]
    for name in ("schedule", "catchup", "start_date", "max_active_runs", "dagrun_timeout", "owner"):
        assert getattr(dag, name) == getattr(sibling, name), name
    months = set() if source.stands_alone else {"month"}
    assert set(dag.params) == set(sibling.params) == {*months, "use_cache", "force", "accept_deletions"}
    for task in dag.tasks:
        alike = sibling.task_dict["merge_month"]
        for name in ("retries", "retry_delay", "max_retry_delay", "retry_exponential_backoff", "execution_timeout"):
            assert getattr(task, name) == getattr(alike, name), (task.task_id, name)


def test_every_dag_is_owned_tagged_and_documented(bag: Any) -> None:
    for dag_id in [*(f"taxi_{source.name}_gcp" for source in SOURCES), "gcp_setup", "taxi_compare"]:
        dag = bag.dags[dag_id]
        of_sources = {tag for source in SOURCES for tag in source.tags}
        assert {"taxi", "bigquery"} <= {"taxi", *dag.tags} <= {"taxi", "bigquery", "postgres", *of_sources}, dag_id
        assert dag.owner != "airflow", dag_id
        assert dag.description, dag_id
        assert dag_id in dag.doc_md or dag_id == "taxi_compare", dag_id
        for task in dag.tasks:
            assert task.retries >= 2, f"{dag_id}.{task.task_id}"
            assert timedelta(0) < task.execution_timeout, f"{dag_id}.{task.task_id}"


@pytest.mark.parametrize("month", ["2019-13", "2019-3", "../2019-03", "{{ ds }}", 201903, ""])
def test_what_is_no_month_is_refused(bag: Any, month: object) -> None:
    for dag_id in ("taxi_green_gcp", "taxi_compare"):
        with pytest.raises(ValueError, match="month"):
            as_stored(bag.dags[dag_id]).params.deep_merge({"month": month}).validate()


def test_the_comparison_follows_both_loads(bag: Any) -> None:
    from airflow.assets.evaluation import AssetEvaluator

    compare = bag.dags["taxi_compare"]
    asked_for = set(re.findall(r"x-taxiway://[a-z_/]+", repr(compare.schedule)))
    published = {
        asset.uri
        for source in SOURCES
        for dag_id in (f"taxi_{source.name}", f"taxi_{source.name}_gcp")
        for asset in bag.dags[dag_id].task_dict["merge_month"].outlets
    }

    assert published == asked_for
    assert len(asked_for) == 2 * len(SOURCES)
    # Any one of them sets it off, and the task may look up the events of all.
    stored = as_stored(compare)
    keys = {asset.uri: key for key, asset in stored.timetable.asset_condition.iter_assets()}
    for uri in published:
        assert AssetEvaluator(None).run(stored.timetable.asset_condition, {keys[uri]: True}), uri
    assert {asset.uri for asset in stored.task_dict["compare"].inlets} == published
    assert not [
        task.task_id
        for dag in bag.dags.values()
        for task in dag.tasks
        if task.outlets and task.task_id.rpartition(".")[2] not in ("merge_month", "write_summary")
    ]
    for source in ("green", "lime", None):
        given = as_stored(compare).params.deep_merge({"source": source})
        if source == "lime":
            with pytest.raises(ValueError, match="source"):
                given.validate()
        else:
            given.validate()


def test_a_new_source_is_a_new_dag(tmp_path: Path) -> None:
    from taxiway.orchestration.dags import load_dag

    shutil.copy(SOURCES_FOLDER / "green.yaml", tmp_path / "lime.yaml")
    (lime,) = load_sources(tmp_path)

    assert load_dag(lime, "bigquery").dag_id == "taxi_lime_gcp"


@pytest.mark.parametrize(
    ("wanted", "built"),
    [
        ("gcp_setup", ["gcp_setup"]),
        ("taxi_compare", ["taxi_compare"]),
        (None, ["gcp_setup", "taxi_compare"]),
    ],
)
def test_a_task_builds_its_own_dag_only(wanted: str | None, built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID

    from taxiway.orchestration.gcp_dags import gcp_dags

    if wanted is not None:
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, wanted)  # as Airflow's task runner does

    assert sorted(dag.dag_id for dag in gcp_dags()) == built


def test_jobs_wait_where_the_settings_say(bag: Any) -> None:
    code = (
        "from taxiway.orchestration.dags import load_dag; from taxiway.sources.source import load_source;"
        "from taxiway.paths import SOURCES_FOLDER;"
        "dag = load_dag(load_source(SOURCES_FOLDER / 'green.yaml'), 'bigquery');"
        "print(sorted(t.task_id for t in dag.tasks if getattr(t, 'deferrable', False)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "plugins",
        env={**os.environ, "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.splitlines()[-1] == str(["hash_rows", "merge_month", "stage_month"])
    assert not any(getattr(task, "deferrable", False) for task in bag.dags["taxi_green_gcp"].tasks)


def test_the_steps_of_bigquery_know_no_airflow() -> None:
    folder = ROOT / "plugins" / "taxiway"
    names = [
        f"taxiway.{package.replace('/', '.')}.{path.stem}"
        for package in ("warehouses/bigquery", "compare")
        for path in (folder / package).glob("*.py")
        if path.stem != "__init__"
    ]
    assert len(names) > 10
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] == 'airflow' or m.startswith('google.cloud.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "plugins", capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
