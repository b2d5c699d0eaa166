"""A cloud that tests of single steps share, each with months of its own: making one takes longer than a load."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.integration.gcp_months import ROWS
from tests.releases import ending

_YEARS = itertools.count(2022)


@pytest.fixture(scope="module")
def green(green: Source) -> Source:
    """Green taxis without an end, for each test has months of its own."""
    return ending(green, None)


@pytest.fixture(scope="module")
def shared_cloud() -> Iterator[tuple[Cloud, StandIn]]:
    """The stand-ins with a bucket, a dataset and a ledger."""
    with CloudStorage() as storage, StandIn() as bigquery, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        patch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
        yield Cloud.connect().set_up(), bigquery


@pytest.fixture
def cloud(shared_cloud: tuple[Cloud, StandIn]) -> Cloud:
    return shared_cloud[0]


@pytest.fixture
def bigquery(shared_cloud: tuple[Cloud, StandIn]) -> Iterator[StandIn]:
    """The stand-in, with no faults, and no requests of another test."""
    shared_cloud[1].forget_requests()
    yield shared_cloud[1]
    shared_cloud[1].faults.clear()


@pytest.fixture
def january() -> str:
    return f"{next(_YEARS)}-01"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, green: Source) -> Callable[..., Path]:
    """Return the path of a sample month, by month and revision."""
    folder = tmp_path_factory.mktemp("samples")

    def sample(month: str, revision: int = 0) -> Path:
        path = folder / str(revision) / green.download_name(Month.parse(month))
        write_sample_month(green, Month.parse(month), path, rows=ROWS, revision=revision)
        return path

    return sample
