"""An Airflow whose warehouse has a month in each state, for the tests of the board."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from taxiway.download.download import Download
from taxiway.download.look import FileVersion
from taxiway.errors import HeaderError, MonthNotFoundError
from taxiway.loads.watch import Decision, Verdict
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway.warehouses.postgres.watched_files import record_decisions
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PASSWORD, PATIENCE
from tests.integration.dag_rights import ONLY, RIGHTS
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import begin_load, by_hand, lines_of, load, write_gzip

RUNS_OF_DAGS = Path(__file__).with_name("runs_of_dags.py")
ROWS = 30
PUBLISHED, WARNED, CHANGED, FAILED, RUNNING, REJECTED = (Month(2019, number) for number in range(1, 7))
MISSING = (*(Month(2019, number) for number in range(7, 13)), Month(2020, 1), Month(2020, 2))
"""Months that nobody has loaded, and whose files are there."""

SKIPPED = Month.of(datetime.now(timezone.utc).date()).previous()
"""A month whose file isn't there yet."""

HOSTILE = '<img src=x onerror="document.title=1">'
"""What a line of a file may say."""

READER, ONLY_ZONES, ONLY_GREEN = "reader", f"{ONLY}taxi_zones", f"{ONLY}taxi_green"


@contextlib.contextmanager
def board_airflow(folder: Path, server: PostgresServer, green: Source) -> Iterator[TaxiAirflow]:
    """Start an API server, and fill the warehouse: January by a run of Airflow, the other months without one.

    :param folder: an empty folder
    """
    users = {"admin": "admin", READER: "viewer", ONLY_ZONES: "viewer", ONLY_GREEN: "user"}
    users |= dict.fromkeys(RIGHTS, "admin")
    paths = {}
    for month in (PUBLISHED, WARNED, CHANGED, FAILED, RUNNING, REJECTED, *MISSING):
        paths[month] = folder / "mirror" / green.file_path(month)
        paths[month].parent.mkdir(parents=True, exist_ok=True)
        write_sample_month(green, month, paths[month], rows=ROWS)
    head, first, *lines = lines_of(paths[REJECTED])
    write_gzip(paths[REJECTED], [head, first.replace(first.split(",")[1], HOSTILE, 1), *lines])
    with (
        serve(folder / "mirror") as mirror,
        TaxiAirflow.create(
            server,
            folder / "home",
            mirror.address,
            own_api=True,
            extra={
                "AIRFLOW__CORE__AUTH_MANAGER": "tests.integration.dag_rights.DagRights",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(":".join(user) for user in users.items()),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        ) as taxi,
    ):
        (taxi.airflow.home / "passwords.json").write_text(json.dumps(dict.fromkeys(users, PASSWORD)))
        # As dags test runs it, but all DAGs are known.
        arguments = str(taxi.airflow.home / "dags"), json.dumps([["taxi_green", {}, "2019-01-01T00:00:00+00:00"]])
        said, _ = (process := taxi.airflow.popen(*arguments, program=RUNS_OF_DAGS)).communicate(timeout=PATIENCE * 300)
        assert process.returncode == 0, said[-5000:]
        # Nobody waits for a test that has unpaused it.
        taxi.airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'taxi'")
        _fill(taxi, green, folder, paths)
        with taxi.airflow.services("api-server"):
            yield taxi


def _fill(taxi: TaxiAirflow, green: Source, folder: Path, paths: dict[Month, Path]) -> None:
    taxi.begin(green, RUNNING, paths[RUNNING], "running")
    patient = replace(green, max_rejected_share=0.5)
    with taxi.connect() as connection:
        for month in (WARNED, CHANGED, REJECTED):
            load(connection, patient, str(month), paths[month], run_id=f"manual__{month}")
        by_hand(connection, "UPDATE taxiway.loads SET warnings = '{it is odd}' WHERE month = '2019-02-01'")
        with pytest.raises(HeaderError):
            load(connection, green, str(FAILED), write_gzip(folder / "other.csv.gz", ["a,b", "1,2"]), "taxi a run")
        begin_load(connection, LoadTables(green, SKIPPED, "manual__skipped"), _absent)
        changed = Decision(green, CHANGED, Verdict.CHANGED, "another version", "http://x.test/", FileVersion('"b"'))
        record_decisions(connection, "postgres", [changed], datetime.now(timezone.utc))


def _absent() -> Download:
    raise MonthNotFoundError("the answer is 404")
