"""Operators of Google Cloud, run in this process: settings, credentials, set-up and comparison."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from stand_ins.bigquery import StandIn, service_account_key
from stand_ins.cloud_storage import CloudStorage
from taxiway.orchestration.operators.compare_months import CompareMonthsOperator
from taxiway.orchestration.operators.gcp_create import GcpCreateOperator
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import SETTINGS, Cloud
from tests.conftest import Connect
from tests.integration.gcp_airflow import google_connection
from tests.loading import load, query

VARIABLES = {
    "GCP_PROJECT_ID": SETTINGS.project,
    "GCP_LOCATION": SETTINGS.location,
    "GCP_BUCKET_NAME": SETTINGS.bucket,
    "GCP_DATASET": SETTINGS.dataset,
}
ROWS = 50


@pytest.fixture(scope="module")
def green() -> Source:
    """Green taxis as the operators read them: with the columns of later months, too."""
    return load_source(SOURCES_FOLDER / "green.yaml")


@pytest.fixture(autouse=True)
def settings(bigquery: StandIn, cloud_storage: CloudStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(f"AIRFLOW_VAR_{name}", value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_GCP", connection(service_account_key(bigquery.url, SETTINGS.project)))


def connection(key: dict[str, str]) -> str:
    return google_connection(keyfile_dict=json.dumps(key))


def run(operator: Any) -> Any:
    return operator.execute({})


def create(what: Any) -> Any:
    return run(GcpCreateOperator(task_id=f"create_{what}", what=what))


def set_up() -> list[bool]:
    return [create(what) for what in ("bucket", "dataset", "ledger")]


def test_set_up_makes_what_is_absent_and_leaves_what_is_there(
    bigquery: StandIn, capfd: pytest.CaptureFixture[str]
) -> None:
    things = [f"gs://{SETTINGS.bucket}", *(f"the {what} of {SETTINGS.dataset_name}" for what in ("dataset", "ledger"))]

    assert set_up() == [True, True, True]
    assert Cloud.connect().query("SELECT count(*) FROM `$taxi.months`") == [(0,)]
    said = capfd.readouterr().out
    assert [thing for thing in things if f"{thing}: created" in said] == things

    assert set_up() == [False, False, False]
    said = capfd.readouterr().out
    assert [thing for thing in things if f"{thing}: is there" in said] == things
    assert ": created" not in said
    assert {request.authorized for request in bigquery.requests if "datasets" in request.path} == {True}


@pytest.mark.parametrize("part", ["TABLE load_events", "TABLE rejected_rows", "VIEW loads", "VIEW months"])
def test_a_part_of_the_ledger_that_alone_is_absent_is_made_and_said(
    part: str, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up()
    kind, name = part.split()
    Cloud.connect().query(f"DROP {kind} `$taxi.{name}`")
    capfd.readouterr()

    assert [create("ledger"), create("ledger")] == [True, False]

    ledger = f"the ledger of {SETTINGS.dataset_name}"
    said = [line for line in capfd.readouterr().out.splitlines() if ledger in line]
    assert [line.rpartition(f"{ledger}: ")[2].split()[0] for line in said] == ["created", "is"]
    assert Cloud.connect().query(f"SELECT count(*) FROM `$taxi.{name}`") == [(0,)]


def test_settings_that_are_missing_are_told_before_anything_is_made(
    bigquery: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_VAR_GCP_DATASET")
    monkeypatch.setenv("AIRFLOW_VAR_GCP_BUCKET_NAME", "gs://Bucket")

    for what in ("bucket", "dataset", "ledger"):
        with pytest.raises(AirflowFailException) as found:
            create(what)
        assert "the Variable GCP_DATASET is not set" in str(found.value)
        assert "the Variable GCP_BUCKET_NAME is 'gs://Bucket'" in str(found.value)
        said = "".join(traceback.format_exception(found.value))
        assert said.count("the Variable GCP_DATASET is not set") == 1
    assert bigquery.requests == []


def test_a_missing_connection_is_told_with_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TAXI_GCP")

    with pytest.raises(AirflowFailException, match=r"the connection taxi_gcp isn't there: .*airflow connections add"):
        create("dataset")


def broken(key: dict[str, str]) -> dict[str, str]:
    return {**key, "private_key": key["private_key"].replace("A", "B")}


def incomplete(key: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in key.items() if name != "client_email"}


@pytest.mark.parametrize("change", [broken, incomplete])
def test_a_key_that_does_not_work_is_told_without_quoting_it(
    change: Callable[[dict[str, str]], dict[str, str]],
    bigquery: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    key = change(service_account_key(bigquery.url, SETTINGS.project))
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_GCP", connection(key))

    with pytest.raises(AirflowFailException, match="the connection taxi_gcp can't be used") as found:
        create("dataset")

    said = capfd.readouterr()
    secret = key["private_key"].splitlines()[5]
    assert len(secret) > 40
    assert secret not in str(found.value) + caplog.text + said.out + said.err


def by_key_file(file: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AIRFLOW_CONN_TAXI_GCP", google_connection(key_path=str(file)))


def by_default_credentials(file: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AIRFLOW_CONN_TAXI_GCP", google_connection())
    patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))


WAYS = pytest.mark.parametrize("way", [by_key_file, by_default_credentials])


@WAYS
def test_requests_are_made_with_a_key_in_a_file(
    way: Callable[[Path, pytest.MonkeyPatch], None],
    bigquery: StandIn,
    cloud_storage: CloudStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "key.json"
    key = service_account_key(bigquery.url, SETTINGS.project)
    file.write_text(json.dumps(key))
    way(file, monkeypatch)

    assert set_up() == [True, True, True]

    # There are no other credentials from which Google's library could get a token.
    assert {request.authorized for request in bigquery.requests} == {True}
    assert {request.authorized for request in cloud_storage.requests} == {True}
    said = capfd.readouterr()
    assert not any(line in caplog.text + said.out + said.err for line in key["private_key"].splitlines() if line)


@WAYS
@pytest.mark.parametrize("content", [None, "{}", '{"type": "service_account", "private_key": "SECRET"}', "SECRET"])
def test_a_key_file_that_is_missing_or_no_key_is_told_without_quoting_it(
    content: str | None,
    way: Callable[[Path, pytest.MonkeyPatch], None],
    bigquery: StandIn,
    cloud_storage: CloudStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    way(file, monkeypatch)

    for what in ("bucket", "dataset", "ledger"):
        with pytest.raises(AirflowFailException) as found:
            create(what)
        assert "the connection taxi_gcp can't be used" in str(found.value)
        assert "expected a key file (key_path) that the worker can read" in str(found.value)
        if way is by_key_file and content is None:
            assert f"(FileNotFoundError: {file})" in str(found.value)
        said = capfd.readouterr()
        assert "SECRET" not in str(found.value) + caplog.text + said.out + said.err
    assert bigquery.requests == []
    assert cloud_storage.requests == []


def test_a_bucket_of_someone_else_is_told(cloud_storage: CloudStorage) -> None:
    cloud_storage.own_elsewhere(SETTINGS.bucket)

    with pytest.raises(AirflowFailException, match=f"the bucket's name {SETTINGS.bucket} belongs to someone else"):
        create("bucket")


def compare(source: str = "", month: str = "") -> Any:
    return run(
        CompareMonthsOperator(task_id="compare", source_names=["green", "yellow"], source_name=source, month=month)
    )


def test_months_are_compared_and_differences_named(
    connect: Connect, green: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = connect()
    parameters = postgres.info.get_parameters()
    monkeypatch.setenv(
        "AIRFLOW_CONN_TAXI_POSTGRES",
        json.dumps(
            {
                "conn_type": "postgres",
                "host": parameters["host"],
                "login": parameters["user"],
                "schema": parameters["dbname"],
            }
        ),
    )
    set_up()
    assert compare() == {}, "nothing is published anywhere"
    cloud = Cloud.connect()
    for month in ("2019-01", "2019-02"):
        path = tmp_path / green.download_name(Month.parse(month))
        write_sample_month(green, Month.parse(month), path, rows=ROWS)
        load(postgres, green, month, path)
        if month == "2019-01":
            cloud.load(green, month, path)

    # What only one of them has is no difference, unless it is asked for.
    assert compare() == {"green 2019-01": ROWS}
    assert compare("green", "2019-01") == {"green 2019-01": ROWS}
    with pytest.raises(AirflowFailException, match="green 2019-02: not published in BigQuery"):
        compare("green", "2019-02")
    with pytest.raises(AirflowFailException, match="expected one of green, yellow"):
        compare("lime")

    # A row differs: its ids, and the sum that it changes.
    (changed,) = query(postgres, "SELECT min(replace(unique_row_id::text, '-', '')) FROM green_tripdata_2019_01")[0]
    other = "0" * 32
    with postgres.transaction():
        postgres.execute(
            "UPDATE green_tripdata SET unique_row_id = %s::uuid, fare_amount = fare_amount + 0.01 "
            "WHERE unique_row_id = %s::uuid",
            [other, changed],
        )
    with pytest.raises(AirflowFailException) as found:
        compare()
    said = str(found.value)
    assert f"only in Postgres: {other}" in said
    assert f"only in BigQuery: {changed}" in said
    assert "green 2019-01: sum of fare_amount: " in said
    assert "rows:" not in said
