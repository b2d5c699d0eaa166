"""The DAGs of dags/learn import, say what they show, and keep the project's policy."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from taxiway.orchestration.dag_template import DAGRUN_TIMEOUT
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.source import load_sources
from tests.dags import LEARNING, as_stored

FOLDER = ROOT / "dags" / "learn"
STANDS_FOR = {
    "hello_world": "flow `01_hello_world`",
    "hello_world_daily": "flow `01_hello_world`",
    "docker_pulls": "flow `02_python`",
    "getting_started": "flow `03_getting_started_data_pipeline`",
    "loop": "challenge of the course's homework",
}


@pytest.fixture(scope="module")
def bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(FOLDER), collect_dags=True)


def test_the_folder_has_these_dags(bag: Any) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == LEARNING == set(STANDS_FOR)


@pytest.mark.parametrize("dag_id", sorted(LEARNING))
def test_each_is_owned_tagged_and_names_the_flow_that_it_stands_for(bag: Any, dag_id: str) -> None:
    dag = bag.dags[dag_id]

    assert set(dag.tags) == {"learn"}
    assert dag.owner == "taxiway"
    assert dag.description
    assert STANDS_FOR[dag_id] in dag.doc_md
    command = "trigger" if dag_id == "loop" else "test"
    assert f"airflow dags {command} {dag_id.removesuffix('_daily')}" in dag.doc_md
    assert "| the course's word | here |" in dag.doc_md
    for task in dag.tasks:
        if task.task_id == "load_month":  # waits for a run of taxi, whose tasks have retries
            assert (task.retries, task.execution_timeout) == (0, DAGRUN_TIMEOUT)
        else:
            assert task.retries >= 2, task.task_id
            assert timedelta(0) < task.execution_timeout <= timedelta(minutes=5), task.task_id


def test_only_the_daily_one_has_a_schedule_and_it_waits_until_somebody_unpauses_it(bag: Any) -> None:
    scheduled = {dag.dag_id: dag.schedule for dag in bag.dags.values() if dag.schedule is not None}
    assert scheduled == {"hello_world_daily": "0 10 * * *"}
    daily = as_stored(bag.dags["hello_world_daily"])
    assert daily.is_paused_upon_creation is True
    assert daily.catchup is False
    names = {dag_id: bag.dags[dag_id].params["name"] for dag_id in ("hello_world", "hello_world_daily")}
    assert names["hello_world"] == "Will" != names["hello_world_daily"]


def test_all_messages_have_the_one_level_of_the_default_arguments(bag: Any) -> None:
    dag = bag.dags["hello_world"]
    messages = {task.task_id: task.level for task in dag.tasks if task.task_type == "LogMessage"}

    assert messages == dict.fromkeys(["say_hello", "log_output", "say_goodbye"], dag.default_args["level"])
    assert len(re.findall(r"\blevel=|\"level\"", (FOLDER / "hello_world.py").read_text())) == 1


def test_the_wait_is_left_to_the_triggerer(bag: Any) -> None:
    assert bag.dags["hello_world"].task_dict["wait"].task_type == "DateTimeSensorAsync"


def test_the_environment_is_that_of_the_lock(bag: Any) -> None:
    task = bag.dags["docker_pulls"].task_dict["ask_docker_hub"]
    lock = FOLDER / "docker_pulls.txt"

    assert task.requirements == [f"# docker_pulls.txt: {sha256(lock.read_bytes()).hexdigest()}"]
    assert {"--no-deps", "--require-hashes", str(lock)} <= set(task.pip_install_options)
    assert task.system_site_packages is False
    assert task.index_urls is None, "pip's own settings name the index"


@pytest.mark.parametrize(
    ("dag_id", "given"),
    [
        ("hello_world", {"name": ""}),
        ("hello_world", {"name": 5}),
        ("docker_pulls", {"image": "../../users"}),
        ("docker_pulls", {"image": "https://example.com/x"}),
        ("docker_pulls", {"image": "a b"}),
        ("getting_started", {"columns_to_keep": "brand"}),
        ("getting_started", {"columns_to_keep": [1]}),
        ("loop", {"taxis": []}),
        ("loop", {"taxis": ["lime"]}),
        ("loop", {"taxis": ["zones"]}),
        ("loop", {"first": "2021-13"}),
        ("loop", {"last": "2021"}),
        ("loop", {"warehouse": "duckdb"}),
    ],
)
def test_what_a_parameter_is_not_is_refused(bag: Any, dag_id: str, given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        as_stored(bag.dags[dag_id]).params.deep_merge(given).validate()


@pytest.mark.parametrize("image", ["postgres", "kestra/kestra", "apache/airflow", "dpage/pgadmin4"])
def test_an_image_is_accepted(bag: Any, image: str) -> None:
    as_stored(bag.dags["docker_pulls"]).params.deep_merge({"image": image}).validate()


PAGE = (ROOT / "docs" / "learn.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"bin/airflow (dags (\S+) (\w+)(?: -c '([^']+)')?)", PAGE)


@pytest.mark.parametrize(("command", "what", "dag_id", "conf"), COMMANDS, ids=[command for command, *_ in COMMANDS])
def test_the_commands_of_the_page_are_airflows(command: str, what: str, dag_id: str, conf: str, bag: Any) -> None:
    """The demo, test_learning_dags.py and test_loop.py run what they do; here each is written as Airflow takes it."""
    from airflow.cli import cli_parser

    if what == "backfill":  # a command of ours: its page's tests run it
        return
    cli_parser.get_parser().parse_args(shlex.split(command))
    given = json.loads(conf or "{}")
    as_stored(bag.dags[dag_id]).params.deep_merge(given).validate()
    assert given.keys() <= bag.dags[dag_id].params.keys()


def test_the_loop_offers_every_source_that_has_months(bag: Any) -> None:
    monthly = [source.name for source in load_sources(SOURCES_FOLDER) if not source.stands_alone]
    taxis = bag.dags["loop"].params.get_param("taxis").schema

    assert taxis["examples"] == taxis["items"]["enum"] == monthly


def test_the_loop_begins_with_the_homework(bag: Any) -> None:
    loop = as_stored(bag.dags["loop"])
    asked = loop.params.validate()
    assert (asked["taxis"], asked["first"], asked["last"]) == (["green", "yellow"], "2021-01", "2021-07")

    runs = bag.dags["loop"].task_dict["list_months"].python_callable(params=asked, run_id="r")
    assert [run["note"] for run in runs] == [f"{taxi} 2021-0{n}" for taxi in asked["taxis"] for n in range(1, 8)]


def test_the_loop_waits_in_the_triggerer_and_names_its_copies(bag: Any) -> None:
    load_month = bag.dags["loop"].task_dict["load_month"]

    assert load_month.partial_kwargs["deferrable"] is True
    assert load_month.partial_kwargs["map_index_template"] == "{{ task.note }}"
