"""The DAGs of dags/learn on one real Airflow, asking stand-ins over HTTP."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stand_ins.web_apis import PRODUCTS, PULLS, WebApis
from taxiway.paths import ROOT
from tests.integration.airflow_environment import AirflowEnvironment, shared_metadata_server, wait_until
from tests.integration.forked_python import forked_python
from tests.package_index import PackageIndex


@dataclass
class Learning:
    airflow: AirflowEnvironment
    apis: WebApis
    index: PackageIndex

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, object] | None = None) -> None:
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        self.airflow.rest(f"/dags/{dag_id}/dagRuns", "POST", body)

    def state(self, dag_id: str, run_id: str) -> str:
        ((state,),) = self.airflow.query("SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", dag_id, run_id)
        return str(state)

    def end_of(self, dag_id: str, run_id: str) -> str:
        """Wait for a run's end; return its state."""
        return wait_until(
            lambda: (state := self.state(dag_id, run_id)) in ("success", "failed") and state,
            timeout=240,
            what=f"the run {run_id} of {dag_id} to end",
        )

    def run(self, dag_id: str, run_id: str, conf: dict[str, object] | None = None) -> str:
        self.trigger(dag_id, run_id, conf)
        return self.end_of(dag_id, run_id)

    def places(self, *run_ids: str) -> dict[str, str]:
        """Wait until runs of hello_world have looked for a place; return how that ended, by run."""

        def looked() -> dict[str, str]:
            rows = self.airflow.query(
                "SELECT run_id, state FROM task_instance"
                " WHERE task_id = 'take_a_place' AND state IN ('success', 'failed')"
            )
            return dict(rows) if {run_id for run_id, _ in rows} >= {*run_ids} else {}

        return wait_until(looked, timeout=240, what="the runs to look for a place")

    def log(self, dag_id: str, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """Return the entries of the first try's log."""
        folder = self.airflow.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return [json.loads(line) for line in (folder / "attempt=1.log").read_text().splitlines()]

    def text(self, dag_id: str, run_id: str, task_id: str) -> str:
        return "\n".join(str(entry.get("event")) for entry in self.log(dag_id, run_id, task_id))

    def output(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.airflow.rest(path)["value"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learning]:
    """Airflow without a scheduler."""
    home = tmp_path_factory.mktemp("learning") / "home"
    with WebApis() as apis, PackageIndex() as index:
        airflow = AirflowEnvironment.create(
            shared_metadata_server(),
            home,
            dags=ROOT / "dags" / "learn",
            extra={
                **apis.connections,
                "PIP_INDEX_URL": index.url,
                "PIP_USER": "1",  # some people have this set, which doesn't work in any virtual environment
                "AIRFLOW__STANDARD__VENV_INSTALL_METHOD": "pip",
            },
        )
        try:
            yield Learning(airflow, apis, index)
        finally:
            airflow.close()


@pytest.fixture(scope="module")
def learning(stopped: Learning) -> Iterator[Learning]:
    """The same with a scheduler, and no triggerer yet."""
    done = stopped.airflow.run("dags", "reserialize")
    assert done.returncode == 0, done.stdout + done.stderr
    stopped.airflow.query("UPDATE dag SET is_paused = false WHERE dag_id <> 'hello_world_daily'")
    with stopped.airflow.services("scheduler"):
        yield stopped


def averages(products: list[dict[str, Any]]) -> list[tuple[str, float | None]]:
    """Compute the average price by brand, highest first."""
    prices = defaultdict(list)
    for product in products:
        prices[product.get("brand", "N/A")] += [product["price"]] if "price" in product else []
    rows = [(brand, round(sum(each) / len(each), 2) if each else None) for brand, each in prices.items()]
    return sorted(rows, key=lambda row: (row[1] is None, -(row[1] or 0), row[0]))


def test_the_demo_runs_all_of_them_by_airflow_dags_test(stopped: Learning) -> None:
    environment = {**stopped.airflow.variables, "PYTHONPATH": str(ROOT / "plugins")}
    done = forked_python().run("taxiway_local.demo_learn", env=environment, cwd=stopped.airflow.home, timeout=400)

    assert done.returncode == 0, done.stdout + done.stderr
    commands = re.findall(r"^\$ airflow (.*)$", done.stdout, re.MULTILINE)
    assert commands == [f"dags test {dag_id}" for dag_id in ("hello_world", "docker_pulls", "getting_started")]
    said = iter(done.stdout.splitlines())
    for line in ("Hello, Will!", "Goodbye, Will!", f"'downloads': {PULLS['kestra/kestra']},", "Checker"):
        assert any(line in each for each in said), (line, done.stdout)
    assert "Traceback" not in done.stdout + done.stderr


def test_a_third_run_of_hello_world_fails_while_two_run(learning: Learning) -> None:
    """Without a triggerer, two runs wait as long as the test wants, and no worker does anything for them."""
    runs = ("first", "second", "third")
    for run_id in runs:
        learning.trigger("hello_world", run_id)
    places = learning.places(*runs)
    (refused,) = [run_id for run_id in runs if places[run_id] == "failed"]
    going = sorted({*runs} - {refused})
    assert learning.end_of("hello_world", refused) == "failed"

    def deferred() -> list[tuple[Any, ...]]:
        found = "SELECT run_id FROM task_instance WHERE task_id = 'wait' AND state = 'deferred' ORDER BY run_id"
        return learning.airflow.query(found)

    wait_until(lambda: deferred() == [(run_id,) for run_id in going], timeout=120, what="the two to wait")
    assert learning.run("hello_world", "fourth") == "failed"
    said = f"2 runs of hello_world are going on ({', '.join(going)}), and a further one fails"
    for run_id in (refused, "fourth"):
        assert said in str(learning.log("hello_world", run_id, "take_a_place"))
    assert [learning.state("hello_world", run_id) for run_id in going] == ["running", "running"]
    assert learning.airflow.query("SELECT count(*) FROM task_instance WHERE state IN ('queued', 'running')") == [(0,)]

    with learning.airflow.services("triggerer"):
        assert {learning.end_of("hello_world", run_id) for run_id in going} == {"success"}
        # There is a place again.
        assert learning.run("hello_world", "fifth", {"name": "Ada"}) == "success"

    # The wait began with the task, and lasted.
    assert learning.airflow.query(
        "SELECT end_date - start_date >= interval '15 seconds' FROM task_instance"
        " WHERE task_id = 'wait' AND run_id = 'fifth'"
    ) == [(True,)]
    messages = {
        task_id: [(entry["event"], entry["level"]) for entry in learning.log("hello_world", "fifth", task_id)]
        for task_id in ("say_hello", "log_output", "say_goodbye")
    }
    assert ("Hello, Ada!", "error") in messages["say_hello"]
    assert ("An earlier task found: 'Hello, Ada!' has 11 characters", "error") in messages["log_output"]
    assert ("Goodbye, Ada!", "error") in messages["say_goodbye"]


def test_a_conf_that_hello_world_does_not_know_fails_at_once(learning: Learning) -> None:
    assert learning.run("hello_world", "mistyped", {"nam": "Ada"}) == "failed"
    assert "its conf has nam (did you mean name?). Expected: name." in str(
        learning.log("hello_world", "mistyped", "take_a_place")
    )


def test_docker_pulls_asks_from_an_environment_of_its_own(learning: Learning) -> None:
    assert learning.run("docker_pulls", "first") == "success"
    assert learning.output("docker_pulls", "first", "ask_docker_hub", "downloads") == PULLS["kestra/kestra"]
    assert learning.output("docker_pulls", "first", "ask_docker_hub", "seconds") > 0
    assert learning.apis.requests[-1] == "/v2/repositories/kestra/kestra/"
    # pip has asked the index that its settings name, and nothing is asked for a second time.
    packages = {"/simple/requests/", "/simple/urllib3/", "/simple/idna/", "/simple/certifi/"}
    assert packages <= set(learning.index.requests)
    asked = len(learning.index.requests)

    assert learning.run("docker_pulls", "second", {"image": "postgres"}) == "success"
    assert learning.output("docker_pulls", "second", "ask_docker_hub", "downloads") == "Not available"
    assert learning.apis.requests[-1] == "/v2/repositories/library/postgres/"
    assert "Reusing cached Python virtual environment" in learning.text("docker_pulls", "second", "ask_docker_hub")
    assert len(learning.index.requests) == asked
    (environment,) = (learning.airflow.home / ".taxiway" / "learn" / "environments").glob("venv-*/bin/python")
    alone = "import importlib.util as u, requests; print(u.find_spec('airflow'))"
    done = subprocess.run([environment, "-I", "-c", alone], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


def test_getting_started_averages_prices_by_brand(learning: Learning) -> None:
    assert learning.run("getting_started", "first") == "success"

    files = {
        task_id: Path(learning.output("getting_started", "first", task_id))
        for task_id in ("fetch_products", "keep_columns", "average_prices")
    }
    assert {path.parent for path in files.values()} == {
        learning.airflow.home / ".taxiway" / "learn" / "getting_started" / "first"
    }
    kept = json.loads(files["keep_columns"].read_text())
    assert kept == [{name: product.get(name, "N/A") for name in ("brand", "price")} for product in PRODUCTS]
    with files["average_prices"].open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["brand", "average_price"]
    assert [(brand, float(price) if price else None) for brand, price in rows] == averages(PRODUCTS)
    said = learning.text("getting_started", "first", "average_prices")
    assert re.findall(r"│ (\S+) +│ +[\d.]+ │", said) == [brand for brand, _ in averages(PRODUCTS)]
    assert str(files["average_prices"]) in said


def test_getting_started_keeps_the_columns_that_are_asked_for(learning: Learning) -> None:
    columns = ["brand", "price", "stock", "colour"]
    assert learning.run("getting_started", "wide", {"columns_to_keep": columns}) == "success"
    kept = json.loads(Path(learning.output("getting_started", "wide", "keep_columns")).read_text())
    assert kept[0] == {**{name: PRODUCTS[0][name] for name in columns[:3]}, "colour": "N/A"}

    assert learning.run("getting_started", "narrow", {"columns_to_keep": ["title"]}) == "failed"
    said = str(learning.log("getting_started", "narrow", "keep_columns"))
    assert "columns_to_keep is ['title']: expected also brand and price, which the average needs" in said
