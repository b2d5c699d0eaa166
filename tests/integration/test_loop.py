"""The learning DAG loop on a real Airflow: two taxis, two months, and one file that is bad at first."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from taxiway.loads.row_identity import digest
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_months
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import one_home
from tests.integration.scheduled import Scheduled
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import ids, specified_ids

ROWS = 40
MONTHS = [Month(2019, number) for number in (1, 2)]
BAD = MONTHS[1]
LONG_IDS = [f"{'long' * 57}{number}" for number in (1, 2)]
"""Two ids of runs, as long as Airflow takes; the folder of a run's logs, ``run_id=`` included, takes 255 characters."""


@dataclass
class Loop(Scheduled):
    """Airflow with its scheduler and triggerer.

    :param mirror: the folder that the mirror serves
    :param taxis: the sources of the runs
    """

    mirror: Path
    taxis: tuple[Source, ...]

    @property
    def names(self) -> list[str]:
        """What the grid calls the months."""
        return [f"{source.name} {month}" for source in self.taxis for month in MONTHS]

    def path(self, source: Source, month: Month) -> Path:
        return self.mirror / source.file_path(month)

    def start(self, run_id: str, **conf: object) -> None:
        self.trigger("loop", run_id, conf)

    def clear_failed(self, run_id: str) -> None:
        """Do what the button of the web UI does: let the failed tasks of a run begin again, and what follows them."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "include_downstream": True}
        self.taxi.airflow.rest("/dags/loop/clearTaskInstances", "POST", body)

    def grid(self, run_id: str) -> dict[str, str]:
        """Return the states of a run's copies of ``load_month``, by what the grid calls them."""
        statement = (
            "SELECT rendered_map_index, state FROM task_instance"
            " WHERE dag_id = 'loop' AND task_id = 'load_month' AND run_id = %s ORDER BY map_index"
        )
        return dict(self.taxi.airflow.query(statement, run_id))

    def runs_of_taxi(self) -> dict[str, tuple[str, dict[str, Any], str]]:
        """Return the runs of ``taxi`` by their ids: state, conf and note."""
        runs = self.taxi.airflow.rest("/dags/taxi/dagRuns?limit=100")["dag_runs"]
        return {run["dag_run_id"]: (run["state"], run["conf"], run["note"]) for run in runs}

    def ids(self, source: Source, month: Month) -> list[str]:
        with self.taxi.connect() as connection:
            return ids(connection, source, self.path(source, month).name)


@pytest.fixture(scope="module")
def loop(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, green: Source, yellow: Source
) -> Iterator[Loop]:
    folder = tmp_path_factory.mktemp("loop")
    mirror = folder / "mirror"
    write_sample_months([green, yellow], MONTHS, mirror, rows=ROWS)
    with serve(mirror) as server, TaxiAirflow.create(postgres_server, one_home(), server.address) as taxi:
        taxi.use_dag_files(ROOT / "dags" / "taxi.py", ROOT / "dags" / "learn" / "loop.py")
        taxi.airflow.succeed("dags", "reserialize")
        loop = Loop(taxi, mirror, (green, yellow))
        with taxi.airflow.services("scheduler", "triggerer"):
            loop.pause("loop", False)
            yield loop


def test_a_bad_month_is_named_and_loaded_when_its_file_is_mended(loop: Loop) -> None:
    _, yellow = loop.taxis
    path = loop.path(yellow, BAD)
    good = path.read_bytes()
    path.write_bytes(gzip.compress(b"not,the,header\n1,2,3\n"))

    loop.start("four", taxis=["green", "yellow"], first=str(MONTHS[0]), last=str(MONTHS[-1]))
    assert loop.ended("four") == "failed"
    bad = f"yellow {BAD}"
    assert loop.grid("four") == {name: "failed" if name == bad else "success" for name in loop.names}
    advice = "The logs of their runs of taxi say why: mend it, then clear this run's failed tasks"
    assert loop.error("loop", "four", "name_failures") == f"1 of 4 failed: {bad}. {advice}"
    # The other three are loaded; each run of taxi has a telling id, its conf and its note.
    for source in loop.taxis:
        for month in MONTHS:
            loaded = loop.ids(source, month)
            if (source, month) == (yellow, BAD):
                assert loaded == []
            else:
                assert len(loaded) == ROWS
                assert digest(loaded) == digest(specified_ids(source, loop.path(source, month)))
    conf = {"year": "2019", "month": "02", "warehouse": "postgres"}
    assert loop.runs_of_taxi() == {
        f"loop__{name.replace(' ', '_')}__four": (
            "failed" if name == bad else "success",
            {**conf, "taxi": name.partition(" ")[0], "month": name[-2:]},
            name,
        )
        for name in loop.names
    }

    path.write_bytes(good)
    loop.clear_failed("four")
    assert loop.ended("four") == "success"
    assert loop.grid("four") == dict.fromkeys(loop.names, "success")
    assert digest(loop.ids(yellow, BAD)) == digest(specified_ids(yellow, path))
    # Only the bad month was tried again; and a new run finds all of them loaded.
    loads = "SELECT state, count(*)::int FROM taxiway.loads GROUP BY 1 ORDER BY 1"
    assert loop.taxi.query(loads) == [("failed", 1), ("published", 4)]
    loop.start(LONG_IDS[0], first=str(MONTHS[0]), last=str(MONTHS[-1]))
    assert loop.ended(LONG_IDS[0]) == "success"
    assert loop.taxi.query(loads) == [("failed", 1), ("published", 4), ("unchanged", 4)]


def test_while_taxi_is_paused_it_says_so(loop: Loop) -> None:
    """In a paused DAG a run would wait for ever."""
    name, run_id = f"green {MONTHS[0]}", LONG_IDS[1]
    loop.pause("taxi", True)
    try:
        loop.start(run_id, taxis=["green"], first=str(MONTHS[0]), last=str(MONTHS[0]))
        assert loop.ended(run_id) == "failed"
        assert loop.grid(run_id) == {name: "failed"}
        said = f"1 of 1 failed: {name}. The DAG taxi is paused: unpause it, then clear this run's failed tasks"
        assert loop.error("loop", run_id, "name_failures") == said
    finally:
        loop.pause("taxi", False)
    loop.clear_failed(run_id)
    assert loop.ended(run_id) == "success"


def test_a_range_that_ends_before_it_begins_is_refused(loop: Loop) -> None:
    loop.start("backwards", first="2019-03", last="2019-01")
    assert loop.ended("backwards") == "failed"
    assert loop.error("loop", "backwards", "list_months").startswith(
        "first is 2019-03, last is 2019-01: expected the earlier"
    )
    assert loop.error("loop", "backwards", "name_failures") == "list_months failed: its log says why"
    assert not [run_id for run_id in loop.runs_of_taxi() if "backwards" in run_id]


def test_a_long_run_id_leaves_the_runs_of_taxi_ids_that_fit(loop: Loop) -> None:
    """Of the two runs before: each has its own runs of taxi."""
    ids = [run_id for run_id in loop.runs_of_taxi() if run_id.startswith(f"loop__green_{MONTHS[0]}__longlong")]
    assert len(ids) == 2
    assert {len(run_id) for run_id in ids} == {240}
