"""The DAGs that report: what sets them off, what their form takes, and that they are read without drawing anything."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.source import load_sources
from tests.dags import REPORTS, as_stored

REPORTED = [source for source in load_sources(SOURCES_FOLDER) if source.report]

DRAWN = """
import sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1], collect_dags=True)
assert not bag.import_errors, bag.import_errors
print(sorted(bag.dags), sorted({"matplotlib", "google.cloud.bigquery"} & set(sys.modules)))
"""


def test_each_month_of_a_source_with_a_report_has_a_run_of_its_own(bag: Any) -> None:
    timetable = as_stored(bag.dags["taxi_monthly_report"]).timetable

    keys = {}
    for _, asset in timetable.asset_condition.iter_assets():
        mapper = timetable.get_partition_mapper(name=asset.name, uri=asset.uri)
        keys[asset.name] = mapper.to_downstream("2019-03")
    assert keys == {f"postgres_{source.main_table}": f"{source.name}|2019-03" for source in REPORTED}
    assert {source.name for source in REPORTED} == {"fhv", "fhvhv", "green", "yellow"}


def test_each_month_that_is_summed_up_sets_its_year_off(bag: Any) -> None:
    timetable = as_stored(bag.dags["taxi_year_report"]).timetable
    summary = bag.dags["taxi_monthly_report"].task_dict["write_summary"].outlets

    assert [asset.uri for _, asset in timetable.asset_condition.iter_assets()] == [asset.uri for asset in summary]
    mapper = timetable.get_partition_mapper(name=summary[0].name, uri=summary[0].uri)
    assert mapper.to_downstream("green|2019-03") == "green|2019"


def test_they_retry_and_end_and_run_one_after_another(bag: Any) -> None:
    for dag in (bag.dags[dag_id] for dag_id in REPORTS):
        assert dag.max_active_runs == 1
        assert dag.dagrun_timeout
        assert dag.catchup is False
        assert dag.doc_md
        assert dag.description
        for task in dag.tasks:
            assert task.retries >= 2
            assert task.execution_timeout
            assert task.owner == "taxiway"


@pytest.mark.parametrize(
    ("dag_id", "conf"),
    [
        ("taxi_monthly_report", {"source": "zones"}),
        ("taxi_monthly_report", {"source": "../green"}),
        ("taxi_monthly_report", {"month": "2019-13"}),
        ("taxi_monthly_report", {"month": "../2019-03"}),
        ("taxi_year_report", {"year": "19"}),
        ("taxi_year_report", {"year": "2019\n"}),
        ("taxi_year_report", {"year": 2019}),
    ],
)
def test_what_cannot_be_reported_is_refused_by_the_form(bag: Any, dag_id: str, conf: dict[str, object]) -> None:
    (name,) = conf
    with pytest.raises(ValueError, match=name):
        as_stored(bag.dags[dag_id]).params.deep_merge(conf).validate()


def test_reading_the_dags_imports_nothing_that_draws() -> None:
    """In a process of its own: the tests' has matplotlib, if others have drawn."""
    done = subprocess.run(
        [sys.executable, "-c", DRAWN, str(ROOT / "dags" / "taxi_reports.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['taxi_monthly_report', 'taxi_year_report'] []"
