"""Which months the comparison reads, and what sets it off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.api.datamodels._generated import AssetReferenceAssetEventDagRun
from airflow.sdk.execution_time.comms import AssetEventDagRunReferenceResult
from airflow.sdk.execution_time.context import OutletEventAccessors, TriggeringAssetEventsAccessor

from taxiway.assets import announce, announced, bigquery_asset, postgres_asset
from taxiway.compare.warehouses import compare_months
from taxiway.core.months import Month
from taxiway.core.sources import Source
from taxiway.local.samples import write_sample_month
from taxiway.operators.compare_months import CompareMonthsOperator
from tests.bigquery_stand_in import StandIn, service_account_key
from tests.cloud_loading import SETTINGS, Cloud
from tests.cloud_storage import CloudStorage
from tests.conftest import Connect
from tests.loading import load

ROWS = 30
MONTHS = ("2019-01", "2019-02", "2019-03")


def events(*published: tuple[Asset, dict[str, Any]]) -> dict[str, Any]:
    """Airflow's context of a run that Assets have set off."""
    found = [
        AssetEventDagRunReferenceResult(
            asset=AssetReferenceAssetEventDagRun(name=asset.name, uri=asset.uri, extra={}),
            extra=extra,
            source_task_id="merge_month",
            source_dag_id="x",
            source_run_id="manual__1",
            source_map_index=-1,
            source_aliases=[],
            timestamp=datetime(2026, 1, 1, tzinfo=timezone.utc),
        )
        for asset, extra in published
    ]
    return {"triggering_asset_events": TriggeringAssetEventsAccessor.build(found)}


def month(source: str, month: str) -> dict[str, str]:
    return {"source": source, "month": month}


def test_an_event_says_which_month_it_is_about(green: Source) -> None:
    asset = bigquery_asset(green)
    outlets = OutletEventAccessors()
    announce([asset], {"outlet_events": outlets}, "green", "2019-03")

    assert outlets[asset].extra == month("green", "2019-03")
    assert announced(events((asset, outlets[asset].extra))) == {"green": {"2019-03"}}
    assert announced({}) == {}
    assert announced(events((asset, month("green", "2019-03")), (asset, {"source": "green"}))) == {"green": None}
    assert announced(events((asset, {}))) == {}, "an event of somebody else's: every month is compared"


@pytest.fixture
def compare(
    bigquery: StandIn, cloud_storage: CloudStorage, connect: Connect, green: Source, tmp_path: Path
) -> Iterator[Callable[..., tuple[dict[str, int], set[str]]]]:
    """Both warehouses with three months, and what compares them and says which months it has read."""
    postgres = connect()
    parameters = postgres.info.get_parameters()
    cloud = Cloud.connect().set_up()
    for name in MONTHS:
        path = tmp_path / green.filename(Month.parse(name))
        write_sample_month(green, Month.parse(name), path, rows=ROWS)
        load(postgres, green, name, path)
        cloud.load(green, name, path)

    def run(context: dict[str, Any], **asked: str) -> tuple[dict[str, int], set[str]]:
        bigquery.forget_requests()
        operator = CompareMonthsOperator(task_id="compare", source_names=["green", "yellow"], **asked)
        agreed: dict[str, int] = operator.execute(context)
        queries = [request.body for request in bigquery.requests if request.body and "query" in str(request.body)]
        read = {
            parameter["parameterValue"]["value"][:7]
            for body in queries
            for parameter in body.get("configuration", {}).get("query", {}).get("queryParameters", [])
            if parameter["name"] == "month"
        }
        return agreed, read

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AIRFLOW_VAR_GCP_PROJECT_ID", SETTINGS.project),
            ("AIRFLOW_VAR_GCP_LOCATION", SETTINGS.location),
            ("AIRFLOW_VAR_GCP_BUCKET_NAME", SETTINGS.bucket),
            ("AIRFLOW_VAR_GCP_DATASET", SETTINGS.dataset),
        ):
            patch.setenv(name, value)
        key = json.dumps(service_account_key(bigquery.url, SETTINGS.project))
        google = {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": key}}
        patch.setenv("AIRFLOW_CONN_TAXI_GCP", json.dumps(google))
        warehouse = {"host": parameters["host"], "login": parameters["user"], "schema": parameters["dbname"]}
        patch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps({"conn_type": "postgres", **warehouse}))
        yield run


def test_what_loads_set_off_reads_the_months_that_they_name(
    compare: Callable[..., tuple[dict[str, int], set[str]]], green: Source
) -> None:
    ours, theirs = postgres_asset(green), bigquery_asset(green)
    about = events(
        (ours, month("green", "2019-02")), (theirs, month("green", "2019-02")), (ours, month("green", "2019-04"))
    )

    assert compare(about) == ({"green 2019-02": ROWS}, {"2019-02"})
    assert compare(about, source_name="green", month="2019-01") == ({"green 2019-01": ROWS}, {"2019-01"})
    every = {f"green {name}": ROWS for name in MONTHS}, set(MONTHS)
    assert compare({}) == every
    assert compare(events((ours, {}), (theirs, {}))) == every


class ManyIds:
    """A warehouse of one month whose ids all differ from the other one's, with one that stands twice."""

    def __init__(self, name: str, mark: str) -> None:
        self.name = name
        self.list = [f"00{mark}{number:029d}" for number in range(40_000)]

    def months(self, source: Source) -> dict[Month, str]:
        return {Month(2019, 1): "sha"}

    def sums(self, source: Source, month: Month) -> dict[str, str | None]:
        return {"row_count": str(len(self.list))}

    def digests(self, source: Source, month: Month) -> dict[str, tuple[int, str]]:
        return {"00": (len(self.list), self.name)}

    def ids(self, source: Source, month: Month, part: str) -> list[str]:
        return self.list


def test_a_large_part_that_differs_is_looked_through_once(green: Source) -> None:
    """Counting each id by itself took minutes."""
    left, right = ManyIds("left", "a"), ManyIds("right", "b")
    right.list[-1] = right.list[0]

    began = time.monotonic()
    (said,) = compare_months(left, right, green).differences

    assert time.monotonic() - began < 10
    assert f"the id {right.list[0]} stands more than once" in said
