"""The stand-in for BigQuery where jobs overlap: what one sees of another, and what it is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, GoogleAPICallError
from google.cloud import bigquery as google
from google.cloud.bigquery import QueryJobConfig, ScalarQueryParameter

from stand_ins.bigquery import StandIn
from tests.cloud_loading import SETTINGS, Cloud


@pytest.fixture
def client(bigquery: StandIn) -> google.Client:
    cloud = Cloud.connect()
    dataset = google.Dataset(SETTINGS.dataset_name)
    dataset.location = SETTINGS.location
    cloud.bigquery.create_dataset(dataset)
    client: google.Client = cloud.bigquery
    client.query("CREATE TABLE taxi.numbers (n INT64)").result()
    return client


@pytest.fixture
def held(bigquery: StandIn) -> Iterator[StandIn]:
    yield bigquery
    bigquery.faults.clear()


def numbers(client: google.Client) -> list[int]:
    return [row[0] for row in client.query("SELECT n FROM taxi.numbers ORDER BY n").result()]


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("INSERT INTO taxi.numbers (n) VALUES (1); INSERT INTO taxi.numbers (n) VALUES (2);", [1]),
        ("DECLARE a INT64 DEFAULT 3; INSERT INTO taxi.numbers (n) SELECT a;", []),
    ],
)
def test_others_see_what_a_script_has_done_so_far(
    client: google.Client, held: StandIn, script: str, seen: list[int]
) -> None:
    hold = held.faults.hold_next_job("INSERT", after=1)
    job = client.query(script)
    hold.wait_until_running()

    assert numbers(client) == seen
    hold.release()
    job.result()
    assert len(numbers(client)) == len(seen) + 1


def test_a_script_without_a_hold_and_one_in_a_transaction_go_through(client: google.Client, held: StandIn) -> None:
    hold = held.faults.hold_next_job("BEGIN", after=2)
    client.query(
        "BEGIN TRANSACTION; INSERT INTO taxi.numbers (n) VALUES (1); INSERT INTO taxi.numbers (n) VALUES (2); "
        "COMMIT TRANSACTION;"
    ).result()

    assert numbers(client) == [1, 2], "nobody stops a transaction between two statements"
    del hold
    with pytest.raises(GoogleAPICallError):
        client.query("BEGIN TRANSACTION; INSERT INTO taxi.numbers (n) VALUES (3); SELECT ERROR('x');").result()
    assert numbers(client) == [1, 2]


MERGE = (
    "MERGE taxi.numbers AS t USING (SELECT 7 AS n) AS s ON t.n = s.n "
    "WHEN NOT MATCHED BY TARGET THEN INSERT (n) VALUES (s.n) WHEN NOT MATCHED BY SOURCE THEN DELETE"
)


@pytest.mark.parametrize(
    ("before", "meanwhile", "after"),
    [
        ([], "INSERT INTO taxi.numbers (n) VALUES (7)", [7, 7]),
        ([], "INSERT INTO taxi.numbers (n) VALUES (8)", [7, 8]),
        ([7], "INSERT INTO taxi.numbers (n) VALUES (8)", [7, 8]),
        ([8], "INSERT INTO taxi.numbers (n) VALUES (9)", None),
        ([7], "SELECT 1", [7]),
        ([8], "SELECT 1", [7]),
    ],
)
def test_a_merge_works_on_what_it_saw_when_it_began(
    client: google.Client, held: StandIn, before: list[int], meanwhile: str, after: list[int] | None
) -> None:
    for number in before:
        client.query(f"INSERT INTO taxi.numbers (n) VALUES ({number})").result()
    hold = held.faults.hold_next_job("MERGE")
    job = client.query(MERGE, job_retry=None)
    hold.wait_until_running()
    client.query(meanwhile).result()
    hold.release()

    if after is None:
        with pytest.raises(BadRequest, match="Could not serialize access to table"):
            job.result()
    else:
        job.result()
        assert numbers(client) == after


def test_a_job_of_another_account_has_its_id_and_is_not_shown(client: google.Client, held: StandIn) -> None:
    options: dict[str, Any] = {"job_id": "theirs", "job_retry": None}
    client.query("SELECT 1", **options).result()
    held.jobs.give_to_another_account("theirs")

    with pytest.raises(Forbidden, match=r"bigquery\.jobs\.get"):
        client.get_job("theirs", location=SETTINGS.location)
    held.faults.clear()
    with pytest.raises((Conflict, Forbidden)):
        client.query("SELECT 1", **options)


def test_a_request_of_more_than_ten_megabytes_is_refused(client: google.Client) -> None:
    def ask(size: int) -> int:
        config = QueryJobConfig(query_parameters=[ScalarQueryParameter("text", "STRING", "x" * size)])
        (row,) = client.query("SELECT LENGTH(@text)", job_config=config).result()
        return int(row[0])

    assert ask(9_000_000) == 9_000_000
    with pytest.raises(GoogleAPICallError, match="Request payload size exceeds the limit"):
        ask(11_000_000)


def test_answers_can_be_waited_for(client: google.Client, held: StandIn) -> None:
    thread = threading.Thread(target=lambda: client.delete_table("taxi.absent", not_found_ok=True))
    thread.start()
    assert held.wait_until_answered(404, path_ending="/tables/absent").method == "DELETE"
    thread.join()
    with pytest.raises(TimeoutError, match="answered with 418"):
        held.wait_until_answered(418, path_ending="/jobs", timeout=0.1)


def test_rows_of_partitions_that_expire_are_refused(client: google.Client, bigquery: StandIn) -> None:
    dataset = client.get_dataset(SETTINGS.dataset_name)
    dataset.default_partition_expiration_ms = 1000
    client.update_dataset(dataset, ["default_partition_expiration_ms"])
    client.query("CREATE TABLE taxi.parts (day DATE) PARTITION BY DATE_TRUNC(day, MONTH)").result()
    assert client.get_table("taxi-project.taxi.parts").time_partitioning.expiration_ms == 1000

    with pytest.raises(GoogleAPICallError, match="whose partitions expire"):
        client.query("INSERT INTO taxi.parts (day) VALUES (DATE '2019-01-01')").result()
