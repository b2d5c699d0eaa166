"""The stand-in's API: datasets, tables, jobs, faults, the record of requests, the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import (
    BadRequest,
    Conflict,
    Forbidden,
    GoogleAPICallError,
    MethodNotImplemented,
    NotFound,
    PreconditionFailed,
    ServiceUnavailable,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as real
from google.oauth2 import service_account

from stand_ins.bigquery import StandIn, service_account_key


@pytest.fixture
def client(bigquery: StandIn) -> real.Client:
    made = real.Client(project="p-1", credentials=AnonymousCredentials(), location="US")
    made.create_dataset("d")
    return made


def run(client: real.Client, sql: str, **options: Any) -> list[tuple[Any, ...]]:
    job = client.query(sql, job_retry=None, **options)
    return [tuple(row) for row in job.result(job_retry=None)]


def test_datasets(client: real.Client) -> None:
    wanted = real.Dataset("p-1.other")
    wanted.location, wanted.default_table_expiration_ms, wanted.labels = "EU", 3_600_000, {"a": "b"}
    client.create_dataset(wanted)
    with pytest.raises(Conflict, match="Already Exists: Dataset p-1:other"):
        client.create_dataset(wanted)
    found = client.get_dataset("other")
    assert (found.location, found.default_table_expiration_ms, found.labels) == ("EU", 3_600_000, {"a": "b"})
    table = client.create_table(real.Table("p-1.other.t", [real.SchemaField("a", "INT64")]))
    assert table.expires is not None
    with pytest.raises(BadRequest, match="still in use"):
        client.delete_dataset("other")
    client.delete_dataset("other", delete_contents=True)
    with pytest.raises(NotFound):
        client.get_dataset("other")


def test_tables(client: real.Client) -> None:
    wanted = real.Table("p-1.d.t", [real.SchemaField("a", "INT64", "REQUIRED"), real.SchemaField("day", "DATE")])
    wanted.time_partitioning = real.TimePartitioning(type_="MONTH", field="day")
    wanted.clustering_fields = ["a"]
    client.create_table(wanted)
    with pytest.raises(Conflict):
        client.create_table(wanted)
    table = client.get_table("d.t")
    assert (table.time_partitioning.field, table.clustering_fields, table.num_rows) == ("day", ["a"], 0)
    table.description = "x"
    assert client.update_table(table, ["description"]).description == "x"
    with pytest.raises(PreconditionFailed):
        client.update_table(table, ["description"])
    table = client.get_table("d.t")
    run(client, "INSERT INTO d.t VALUES (1, '2020-01-01')")
    table.description = "of rows that have changed"
    with pytest.raises(PreconditionFailed):
        client.update_table(table, ["description"])
    table = client.get_table("d.t")
    table.schema = [*table.schema, real.SchemaField("b", "INT64")]
    with pytest.raises(MethodNotImplemented, match="columns"):
        client.update_table(table, ["schema"])
    client.delete_table("d.t")
    with pytest.raises(NotFound, match=r"Not found: Table p-1:d\.t"):
        client.get_table("d.t")
    client.delete_table("d.t", not_found_ok=True)


def test_an_expired_table_vanishes(client: real.Client, bigquery: StandIn) -> None:
    run(client, "CREATE TABLE d.t (a INT64)")
    (table,) = bigquery.catalog.tables.values()
    table.resource["expirationTime"] = str(int(time.time() * 1000) - 1)
    with pytest.raises(NotFound):
        run(client, "SELECT a FROM d.t")
    assert list(client.list_tables("d")) == []


def test_values_of_every_type_come_back(client: real.Client) -> None:
    sql = """SELECT 1, NUMERIC '7.50', 'é', b'x', TRUE, DATE '2020-01-02', DATETIME '2020-01-02 03:04:05.5',
             TIMESTAMP '2020-01-02 03:04:05.000001 UTC', ['a', 'b'], CAST(NULL AS STRING), CAST(1.5 AS FLOAT64)"""
    (row,) = run(client, sql)
    assert [repr(value) for value in row] == [
        "1",
        "Decimal('7.5')",
        "'é'",
        "b'x'",
        "True",
        "datetime.date(2020, 1, 2)",
        "datetime.datetime(2020, 1, 2, 3, 4, 5, 500000)",
        "datetime.datetime(2020, 1, 2, 3, 4, 5, 1, tzinfo=datetime.timezone.utc)",
        "['a', 'b']",
        "None",
        "1.5",
    ]


def test_parameters_of_every_type(client: real.Client) -> None:
    values = {
        "INT64": -5,
        "NUMERIC": "7.5",
        "STRING": "a'b",
        "BYTES": b"x",
        "BOOL": True,
        "DATE": "2020-01-02",
        "DATETIME": "2020-01-02 03:04:05",
        "TIMESTAMP": "2020-01-02 03:04:05+00:00",
        "FLOAT64": 1.5,
    }
    given: list[Any] = [real.ScalarQueryParameter(f"p_{kind}", kind, value) for kind, value in values.items()]
    given.append(real.ArrayQueryParameter("several", "STRING", ["a", "b"]))
    checks = [f"@p_{kind} = {kind} '{values[kind]}'" for kind in ("NUMERIC", "DATE", "DATETIME", "TIMESTAMP")]
    checks += ["@p_INT64 = -5", "@p_STRING = 'a\\'b'", "@p_BYTES = b'x'", "@p_BOOL", "@p_FLOAT64 = 1.5"]
    sql = f"SELECT {' AND '.join(checks)} AND 'b' IN UNNEST(@several)"
    assert run(client, sql, job_config=real.QueryJobConfig(query_parameters=given)) == [(True,)]


def test_rows_come_in_pages(client: real.Client) -> None:
    job = client.query("SELECT a FROM UNNEST([3, 1, 2]) AS a ORDER BY a", job_retry=None)
    rows = job.result(page_size=2)
    assert (rows.total_rows, [row[0] for row in rows]) == (3, [1, 2, 3])
    run(client, "CREATE TABLE d.t AS SELECT 1 AS a UNION ALL SELECT 2")
    assert sorted(row[0] for row in client.list_rows("d.t", page_size=1)) == [1, 2]


def test_jobs_query_answers_at_once(client: real.Client) -> None:
    assert [row[0] for row in client.query_and_wait("SELECT 1 AS a")] == [1]


def test_an_id_names_one_job(client: real.Client) -> None:
    config = real.QueryJobConfig(labels={"a": "b"})
    client.query("SELECT 1", job_id="one", job_config=config, job_retry=None).result()
    with pytest.raises(Conflict, match=r"Already Exists: Job p-1:US\.one"):
        client.query("SELECT 1", job_id="one", job_retry=None).result()
    job = client.get_job("one")
    assert (job.state, job.labels) == ("DONE", {"a": "b"})
    with pytest.raises(NotFound):
        client.get_job("two")


def test_a_job_is_found_where_it_is(client: real.Client, bigquery: StandIn) -> None:
    far = real.Client(project="p-1", credentials=AnonymousCredentials(), location="europe-west1")
    far.query("SELECT 1", job_id="far").result()
    assert far.get_job("far").location == "europe-west1"
    for location in ("US", ""):
        answer = requests.get(
            f"{bigquery.url}/bigquery/v2/projects/p-1/jobs/far", {"location": location} if location else {}
        )
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("quotaExceeded", Forbidden),
        ("accessDenied", Forbidden),
        ("backendError", GoogleAPICallError),
        ("invalid", BadRequest),
    ],
)
@pytest.mark.parametrize("at_insert", [True, False])
def test_a_job_fails_on_demand(
    client: real.Client, bigquery: StandIn, reason: str, error: type[Exception], at_insert: bool
) -> None:
    bigquery.faults.fail_next_job(reason, "out of luck", at_insert=at_insert, containing="d.t")
    assert run(client, "SELECT 1") == [(1,)]
    with pytest.raises(error, match="out of luck"):
        client.query("CREATE TABLE d.t (a INT64)", job_retry=None, retry=None).result(job_retry=None)
    run(client, "CREATE TABLE d.t (a INT64)")


@pytest.mark.parametrize("kind", ["503", "drop"])
def test_a_lost_poll(client: real.Client, bigquery: StandIn, kind: str) -> None:
    client.query("SELECT 1", job_id="one", job_retry=None).result()
    bigquery.faults.answer(kind)
    with pytest.raises((ServiceUnavailable, requests.ConnectionError)):
        client.get_job("one", retry=None)
    assert client.get_job("one").state == "DONE"
    bigquery.faults.answer(kind)
    assert client.get_job("one").state == "DONE"


def test_a_lost_answer_to_an_insert(client: real.Client, bigquery: StandIn) -> None:
    run(client, "CREATE TABLE d.t (a INT64)")
    bigquery.faults.lose_insert_answer()
    with pytest.raises(Conflict):
        client.query("INSERT INTO d.t VALUES (1)", job_id="one", job_retry=None).result()
    assert client.get_job("one").result().num_dml_affected_rows == 1
    assert run(client, "SELECT a FROM d.t") == [(1,)]


def test_a_job_runs_until_it_is_released(client: real.Client, bigquery: StandIn) -> None:
    held = bigquery.faults.hold_next_job(containing="CREATE")
    job = client.query("CREATE TABLE d.t (a INT64)", job_id="one", job_retry=None)
    held.wait_until_running()
    assert client.get_job("one").state == "RUNNING"
    assert list(client.list_tables("d")) == []
    held.release()
    job.result()
    assert len(list(client.list_tables("d"))) == 1


def test_a_held_job_can_be_cancelled(client: real.Client, bigquery: StandIn) -> None:
    bigquery.faults.hold_next_job()
    job = client.query("CREATE TABLE d.t (a INT64)")
    job.cancel()
    with pytest.raises(GoogleAPICallError, match="cancelled"):
        job.result(job_retry=None)
    assert list(client.list_tables("d")) == []


def test_a_job_shows_done_after_some_looks(client: real.Client, bigquery: StandIn) -> None:
    bigquery.faults.polls_until_done = 2
    job = client.query("SELECT 1", job_id="one", job_retry=None)
    assert [job.state, client.get_job("one").state, client.get_job("one").state] == ["RUNNING", "RUNNING", "DONE"]


def test_refuses_what_it_does_not_know(client: real.Client, bigquery: StandIn) -> None:
    base = f"{bigquery.url}/bigquery/v2/projects/p-1"
    answers = [
        requests.get(f"{base}/datasets/d/routines"),
        requests.get(f"{base}/datasets?filter=labels.a:b"),
        requests.post(f"{base}/datasets", json={"datasetReference": {"datasetId": "x"}, "maxTimeTravelHours": "48"}),
        requests.post(f"{base}/jobs", json={"configuration": {"extract": {}}}),
        requests.post(f"{bigquery.url}/upload/bigquery/v2/projects/p-1/jobs", data=b""),
        requests.put(f"{base}/datasets/d", json={}),
    ]
    assert [answer.status_code for answer in answers] == [501, 501, 501, 501, 501, 501]
    assert "maxTimeTravelHours" in answers[2].json()["error"]["message"]


def test_a_service_accounts_key_is_used_and_not_kept(bigquery: StandIn) -> None:
    key = service_account_key(bigquery.url, "p-1")
    credentials = service_account.Credentials.from_service_account_info(key)
    real.Client(project="p-1", credentials=credentials).create_dataset("d")
    (request,) = bigquery.requests
    assert (request.method, request.path, request.authorized) == ("POST", "/bigquery/v2/projects/p-1/datasets", True)
    assert "stand-in" not in repr(request).replace("bigquery_stand_in", "")


def test_a_file_keeps_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "bigquery.duckdb")
    with StandIn(path) as stand_in:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", stand_in.url)
        client = real.Client(project="p-1", credentials=AnonymousCredentials(), location="US")
        client.create_dataset("d")
        run(client, "CREATE TABLE d.t AS SELECT 1 AS a")
    with StandIn(path) as stand_in:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", stand_in.url)
        client = real.Client(project="p-1", credentials=AnonymousCredentials(), location="US")
        assert run(client, "SELECT a FROM d.t") == [(1,)]
        run(client, "CREATE TABLE d.u AS SELECT 2 AS a")


def test_as_a_process(tmp_path: Path, root: Path) -> None:
    port_file = tmp_path / "ports"
    command = [sys.executable, "-m", "stand_ins.bigquery", f"--folder={tmp_path}", f"--port-file={port_file}"]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'plugins'}"}
    process = subprocess.Popen(command, cwd=root, env=environment)
    try:
        while not port_file.exists():
            assert process.poll() is None
            time.sleep(0.05)
        started = json.loads(port_file.read_text())
        url = f"{started['BIGQUERY_EMULATOR_HOST']}/bigquery/v2/projects/p-1/queries"
        answer = requests.post(url, json={"query": "SELECT 1", "useLegacySql": False}).json()
        assert answer["rows"] == [{"f": [{"v": "1"}]}]
        assert requests.get(f"{started['STORAGE_EMULATOR_HOST']}/storage/v1/b").json()["items"] == []
        assert Path(started["key_file"]).stat().st_mode & 0o077 == 0
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
