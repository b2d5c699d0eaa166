"""A run of the schedule or of a backfill stands for the month of its logical date."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from taxiway.errors import DestructiveCorrectionError, MissingInputError
from taxiway.loads.load import Load
from taxiway.orchestration.dags import load_dag
from taxiway.orchestration.failures import TEMPORARY_RUN, message_of
from taxiway.orchestration.load_command import load_command
from taxiway.orchestration.month_of_run import nothing_for, outputs_of, run_name, source_and_month
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import load_source

GREEN = load_source(SOURCES_FOLDER / "green.yaml")
FIRST = GREEN.first_month
MARCH = datetime(2019, 3, 1, 9, tzinfo=timezone.utc)


WAYS = (
    "Nothing was loaded. In the web UI, load a month with the form of the DAG taxi. On the command line, for example "
    f"""for {FIRST}: airflow dags trigger taxi -c '{{"taxi": "green", "year": "{FIRST.year}", "month": """
    f""""{FIRST.number:02d}", "warehouse": "postgres"}}'; """
    f"{load_command(GREEN, [FIRST], 'postgres')}; "
    f"""airflow dags trigger taxi_green -c '{{"month": "{FIRST}"}}'; """
    f"airflow dags trigger taxi_green --logical-date {FIRST}-01T00:00:00+00:00"
)


def context(run_type: str, logical_date: datetime | None, **params: str | None) -> Any:
    run = SimpleNamespace(dag_id="taxi_green", run_id="a_run", run_type=run_type, logical_date=logical_date)
    return {"dag_run": run, "params": params}


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_it_loads_no_other_one(run_type: str) -> None:
    assert source_and_month("green", "2019-03", context(run_type, MARCH))[1] == Month(2019, 3)

    with pytest.raises(AirflowFailException, match="found 2019-04 on the run of 2019-03, expected none") as refused:
        source_and_month("green", "2019-04", context(run_type, MARCH))
    again = "airflow dags backfill -s 2019-03-01 -e 2019-03-31 --reprocess-behavior completed taxi_green"
    assert str(refused.value).endswith(f"To run it for its own month: {again}")


def test_one_without_a_month_says_how_to_give_it_one() -> None:
    with pytest.raises(AirflowFailException) as refused:
        source_and_month("green", "", context("manual", None))
    assert str(refused.value) == (
        "green (no month): the run a_run has neither the parameter month nor a logical date, expected the parameter "
        f"month or the logical date of a month that there is. {WAYS}"
    )


NOW = datetime.now(timezone.utc)
BEFORE = datetime(2018, 12, 31, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("logical_date", "why"),
    [
        (NOW, "that month isn't over"),
        (NOW + timedelta(days=40), "that month isn't over"),
        (BEFORE, f"include/sources/green.yaml says that there are the months {GREEN.months_there_are}"),
    ],
    ids=["as the form proposes", "in the future", "before the first month"],
)
def test_a_form_that_was_left_as_it_is_starts_nothing(logical_date: datetime, why: str) -> None:
    month = f"{logical_date:%Y-%m}"
    with pytest.raises(AirflowFailException) as refused:
        source_and_month("green", month, context("manual", logical_date, month=None))
    assert str(refused.value) == (
        f"green {month}: the run a_run has no parameter month, and a logical date in {month}: {why}, expected the "
        f"parameter month or the logical date of a month that there is. {WAYS}"
    )
    # The schedule and a backfill know what they ask for, and so does a person who names the month.
    for given in (context("scheduled", logical_date, month=None), context("manual", logical_date, month=month)):
        assert str(source_and_month("green", month, given)[1]) == month


def test_the_logical_date_of_a_month_that_there_is_is_as_good_as_the_parameter() -> None:
    assert source_and_month("green", "2019-03", context("manual", MARCH, month=None))[1] == Month(2019, 3)


def test_a_source_of_no_month_takes_no_notice_of_one() -> None:
    for month in ("2019-03", "", "whole"):
        assert source_and_month("zones", month, context("manual", NOW, month=None))[1] == WHOLE


def test_runs_of_two_dags_with_one_id_are_two_runs() -> None:
    assert run_name("taxi_green", "by_hand") == "by_hand"
    assert run_name("taxi", "by_hand") == "taxi by_hand"


@pytest.mark.parametrize("logical_date", [MARCH, None])
def test_one_that_was_triggered_by_hand_loads_what_it_is_told(logical_date: datetime | None) -> None:
    assert source_and_month("green", "2019-04", context("manual", logical_date))[1] == Month(2019, 4)


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (SOURCES_FOLDER / "green.yaml").read_text()
    (tmp_path / "green.yaml").write_text(f"{text}timezone: Asia/Tokyo\n")
    monkeypatch.setattr("taxiway.orchestration.month_of_run.SOURCES_FOLDER", tmp_path)


@pytest.mark.usefixtures("in_tokyo")
def test_the_month_is_that_of_the_source_s_time_zone() -> None:
    """The first of March begins on 28 February in UTC."""
    first_of_march = datetime(2019, 2, 28, 15, tzinfo=timezone.utc)

    assert source_and_month("green", "2019-03", context("scheduled", first_of_march))[1] == Month(2019, 3)
    with pytest.raises(AirflowFailException, match="found 2019-02 on the run of 2019-03"):
        source_and_month("green", "2019-02", context("scheduled", first_of_march))
    assert nothing_for("green", datetime(2018, 12, 31, 15, tzinfo=timezone.utc)) is None
    assert nothing_for("green", datetime(2018, 12, 31, 14, tzinfo=timezone.utc)) is not None
    with pytest.raises(AirflowFailException, match=r"--logical-date \d{4}-\d\d-01T00:00:00\+09:00"):
        source_and_month("green", "", context("manual", None))


@pytest.mark.parametrize(
    ("name", "month", "again"),
    [
        (
            "green",
            Month(2019, 3),
            "backfill -s 2019-03-01 -e 2019-03-31 --reprocess-behavior completed -c '{\"force\": true}' taxi_green",
        ),
        ("zones", WHOLE, "test taxi_zones -c '{\"force\": true}'"),
    ],
)
def test_a_step_without_its_input_says_how_to_load_the_month_once_more(name: str, month: Month, again: str) -> None:
    load = Load(load_source(SOURCES_FOLDER / f"{name}.yaml"), month, "a_run")
    step: Any = SimpleNamespace(task_id="stage_month", dag_id=f"taxi_{name}", warehouse="postgres")
    without: Any = {"ti": SimpleNamespace(xcom_pull=lambda task_ids: None)}

    with pytest.raises(MissingInputError) as refused:
        outputs_of(["download_month"], step, load, without)

    assert str(refused.value).endswith(f"to load a month that is published once more, run airflow dags {again}")
    # With another conf, this is how a person accepts what the load would delete.
    error = DestructiveCorrectionError("3 of 4 rows", "Load it with the conf x", deleted=3, published=4)
    held_back = message_of(error, step, load, {})
    assert (
        held_back == f"3 of 4 rows. Load it with the conf x: airflow dags {again.replace('force', 'accept_deletions')}"
    )


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_run_that_a_tested_task_needs_is_one_of_the_month(zone: str, tmp_path: Path) -> None:
    path = tmp_path / "green.yaml"
    path.write_text(f"{(SOURCES_FOLDER / 'green.yaml').read_text()}timezone: {zone}\n")
    source = load_source(path)
    dag = load_dag(source, "postgres")
    run: Any = {"dag": dag, "dag_run": SimpleNamespace(run_id=f"{TEMPORARY_RUN}1")}

    said = message_of(
        MissingInputError("nothing"), dag.get_task("stage_month"), Load(source, Month(2019, 3), "a_run"), run
    )

    moments = re.findall(r"(?:dags test taxi_green|--logical-date) (\S+?)[;,]", said)
    assert [source.month_of(datetime.fromisoformat(moment)) for moment in moments] == [Month(2019, 3)] * 2


@pytest.mark.parametrize(
    ("name", "month", "conf"),
    [
        ("green", Month(2019, 3), '{"taxi": "green", "year": "2019", "month": "03", "warehouse": "bigquery", '),
        ("zones", WHOLE, '{"taxi": "zones", "warehouse": "bigquery", '),
    ],
)
def test_a_step_of_the_form_s_run_says_how_to_fill_it_in_once_more(name: str, month: Month, conf: str) -> None:
    load = Load(load_source(SOURCES_FOLDER / f"{name}.yaml"), month, "taxi a_run")
    step: Any = SimpleNamespace(task_id="bigquery.upload_month", dag_id="taxi", warehouse="bigquery")
    without: Any = {"ti": SimpleNamespace(xcom_pull=lambda task_ids: None)}

    with pytest.raises(MissingInputError) as refused:
        outputs_of(["download_month"], step, load, without)

    said = "bigquery.upload_month: found nothing that bigquery.download_month left in the run taxi a_run"
    assert said in str(refused.value)
    assert str(refused.value).endswith(f"run airflow dags trigger taxi -c '{conf}\"force\": true}}'")
