"""Postgres killed and started again in the middle of a step, under a real Airflow that tries again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from tests.faults.aftermath import assert_rejected, assert_survived, clean_ids
from tests.faults.held_steps import HeldSteps
from tests.faults.killable_server import KillableServer
from tests.faults.served_months import describe, write_month
from tests.integration.airflow_environment import PATIENCE, wait_until
from tests.integration.taxi_airflow import GREEN_DAGS, TaxiAirflow
from tests.loading import query
from tests.mirror_faults import FaultyMirror, good, held

ROWS = {"2019-01": 3_000, "2019-02": 3_000, "2019-03": 4_000, "2019-04": 4_000}
BAD_LINES = ("2019-03", "2019-04")
"""Months that are staged as text, in an unlogged table, with as many bad lines as the source allows."""

COPYING = "SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 0"


@pytest.fixture
def month_files(tmp_path: Path, green: Source) -> dict[str, Path]:
    paths = {month: tmp_path / green.file_path(Month.parse(month)) for month in ROWS}
    for month, path in paths.items():
        write_month(green, Month.parse(month), path, "rejects" if month in BAD_LINES else "canonical", rows=ROWS[month])
    return paths


@pytest.fixture
def mirror(month_files: dict[str, Path], green: Source) -> Iterator[FaultyMirror]:
    with FaultyMirror() as mirror:
        for month, path in month_files.items():
            mirror.put(f"/{green.file_path(Month.parse(month))}", path.read_bytes())
        yield mirror


@pytest.fixture
def taxi(tmp_path: Path, mirror: FaultyMirror, killable_server: KillableServer) -> Iterator[TaxiAirflow]:
    taxi = TaxiAirflow.create(killable_server, tmp_path / "home", mirror.url, read_timeout=600)
    taxi.use_dag_files(GREEN_DAGS)
    try:
        yield taxi
    finally:
        taxi.close()


def test_killed_while_downloading_staging_hashing_and_merging(
    taxi: TaxiAirflow,
    mirror: FaultyMirror,
    month_files: dict[str, Path],
    killable_server: KillableServer,
    green: Source,
) -> None:
    """A month each, side by side."""
    downloading = held(good(month_files["2019-01"].read_bytes()), after=20_000)
    assert downloading.started is not None
    assert downloading.hold is not None
    mirror.script(f"/{green.file_path(Month(2019, 1))}", downloading)
    with closing(taxi.server.connect(taxi.database, autocommit=True)) as holding:
        holds = HeldSteps(holding)
        held_steps = {"COPY": "2019-02", "hash_rows": "2019-03", "merge_month": "2019-04"}
        for step, month in held_steps.items():
            holds.hold(step, month)
        command = taxi.airflow.popen(
            "dags", "backfill", "-s", "2019-01-01", "-e", "2019-04-30", "--max-active-runs", "4", "taxi_green"
        )
        wait_until(downloading.started.is_set, timeout=120, what="the download")
        for step, month in held_steps.items():
            wait_until(lambda: holds.reached(step, month), timeout=120, what=f"{step} of {month}")  # noqa: B023
        assert query(holding, COPYING)
        killable_server.kill()
        with pytest.raises(psycopg.OperationalError):
            taxi.connect()
        downloading.hold.set()
    # While it is down, what was waiting for it gives up and is tried again. A first one may be by then.
    to_be_tried_again = "SELECT count(*) FROM task_instance WHERE state = 'up_for_retry' OR try_number > 1"
    wait_until(
        lambda: taxi.airflow.query(to_be_tried_again) == [(4,)],
        timeout=120,
        what="four tasks that are to be tried again",
    )
    killable_server.start()
    said, _ = command.communicate(timeout=PATIENCE * 600)

    assert command.returncode == 0, said
    assert "4 of 4 months succeeded" in said
    expected = clean_ids(killable_server, green, month_files.items())
    with closing(taxi.connect()) as connection:
        ledger = assert_survived(connection, green, expected)
        assert_rejected(
            connection, {month: describe(green, Month.parse(month), month_files[month]) for month in BAD_LINES}
        )
    ends = {month: [(state, step) for its, state, step, _ in ledger if its == month] for month in ROWS}
    published = ("published", "merge_month")
    assert ends["2019-01"] == [("abandoned", "download_month"), published]
    assert ends["2019-02"] == [("abandoned", "stage_month"), published]
    # The server's recovery has emptied the staging table: the file is staged again.
    assert ends["2019-03"] == [("abandoned", "hash_rows"), ("failed", "hash_rows"), published]
    assert ends["2019-04"] == [("abandoned", "merge_month"), published]
    assert [error for _, state, _, error in ledger if state == "failed" and "Postgres empties it" in str(error)]
