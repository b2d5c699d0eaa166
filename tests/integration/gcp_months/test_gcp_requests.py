"""How many requests a load into BigQuery makes. A task waits for the answer to each, and an account has a quota."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stand_ins.bigquery import StandIn
from taxiway.loads.step_names import DOWNLOAD
from taxiway.loads.steps import DROP_STAGING
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from tests.cloud_loading import Cloud
from tests.conformance.bigquery import BigQueryHarness
from tests.conformance.run import Run

MOST = {
    "download_month": 9,
    "upload_month": 6,
    "create_main_table": 3,
    "stage_month": 6,
    "hash_rows": 8,
    "check_month": 7,
    "merge_month": 9,
    "drop_staging": 2,
}
"""Requests of a month's first load, without the questions whether a job is done."""

MOST_UNCHANGED = 16
"""Requests of ``download_month`` if the month is published from the same file."""


def counted(bigquery: StandIn) -> int:
    """Count the requests since the last call. How often a job is asked for until it is done depends on the machine."""
    asked = [(request.method, request.path, request.query) for request in bigquery.requests]
    bigquery.forget_requests()
    asked = [each for each in asked if each[0] != "GET" or "/jobs/" not in each[1]]
    return sum("/queries/" not in each[1] or each not in asked[:place] for place, each in enumerate(asked))


def test_no_step_asks_for_more_than_it_needs(
    cloud: Cloud, bigquery: StandIn, samples: Callable[..., Path], green: Source, january: str
) -> None:
    harness, month = BigQueryHarness(cloud), Month.parse(january)
    Run.of(harness, green, month.next(), "manual__0").complete(samples(str(month.next())))
    run, found = Run.of(harness, green, month, "manual__1"), {}
    counted(bigquery)
    run.download(samples(january))
    found[DOWNLOAD] = counted(bigquery)
    for name in (*run.load.steps[1:], DROP_STAGING.name):
        run.do(name)
        found[name] = counted(bigquery)

    assert {name: (requests, MOST[name]) for name, requests in found.items() if requests > MOST[name]} == {}, found

    again = Run.of(harness, green, month, "manual__2")
    assert again.download(samples(january)).nothing_to_do is not None
    assert counted(bigquery) <= MOST_UNCHANGED
