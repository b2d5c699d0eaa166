"""What every cloud must get right, stand-ins or real: set up, load months, load them again, and compare with Postgres.

The DAGs run in a real Airflow, in a process of their own; only endpoints and credentials differ from cloud to cloud.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taxiway.loads.row_identity import digest
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_months
from tests.cloud_loading import Cloud
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import ids, specified_ids

_RUNS = Path(__file__).with_name("runs_of_dags.py")


@dataclass(frozen=True)
class Expected:
    """A month that a mirror serves, and what it must come to.

    :param path: the file
    :param rows: how many it has
    :param digest: of their ids
    """

    source: Source
    month: Month
    path: Path
    rows: int
    digest: str


def specified(source: Source, path: Path) -> str:
    """The digest of a file's ids, as the specification has it."""
    return digest(specified_ids(source, path))


def sample_months(folder: Path, sources: Sequence[Source], months: Sequence[Month], rows: int) -> list[Expected]:
    """Lay out a mirror of sample months.

    :param rows: of each
    """
    write_sample_months(sources, months, folder, rows=rows)
    return [
        Expected(source, month, path, rows, specified(source, path))
        for source in sources
        for month in months
        for path in [folder / source.file_path(month)]
    ]


@dataclass
class Scenario:
    """Runs of the project's DAGs against one cloud, and what they must leave there.

    :param taxi: an Airflow whose Variables and connections name the cloud
    :param months: what is loaded into BigQuery, the first and the last twice
    :param into_postgres: what ``taxi_<source>`` loads into Postgres; every other month is there already
    """

    taxi: TaxiAirflow
    months: Sequence[Expected]
    into_postgres: Sequence[Expected]

    def start(self) -> subprocess.Popen[str]:
        """Begin to run the DAGs one after another."""
        loads = [[f"taxi_{each.source.name}_gcp", {"month": str(each.month)}] for each in self.months]
        again = [loads[0], [loads[-1][0], {**loads[-1][1], "force": True}]]
        postgres = [[f"taxi_{each.source.name}", {"month": str(each.month)}] for each in self.into_postgres]
        runs = json.dumps([["gcp_setup", {}], *loads, *again, *postgres, ["taxi_compare", {}]])
        with self._log.open("w") as log:
            return self.taxi.airflow.popen(str(self.taxi.airflow.home / "dags"), runs, program=_RUNS, stdout=log)

    def finish(self, process: subprocess.Popen[str], cloud: Cloud, timeout: float) -> str:
        """Wait for the runs to end, look at what they have left, and return what they said.

        :param process: what :meth:`start` returned
        :param cloud: where to look
        :param timeout: seconds after which they are given up
        """
        process.wait(timeout=timeout)
        said = self._log.read_text()
        assert process.returncode == 0, said[-5000:]
        self._assert_in_bigquery(cloud)
        with self.taxi.connect() as connection:
            for each in self.into_postgres:
                assert digest(ids(connection, each.source, each.path.name)) == each.digest, each.path.name
        compared = [line for line in said.splitlines() if "the same in Postgres and in BigQuery" in line]
        assert len(compared) == len(self.months), compared
        return said

    @property
    def _log(self) -> Path:
        return self.taxi.airflow.home / "runs.log"

    def _assert_in_bigquery(self, cloud: Cloud) -> None:
        """Every month is there, once, with the ids that it must have; loading two again has changed nothing."""
        months = self.months
        found = cloud.query(
            "SELECT source, month, state, rows_staged, rows_inserted, rows_deleted, rows_unchanged "
            "FROM `$taxi.loads` ORDER BY started_at"
        )
        first, last = months[0], months[-1]
        assert found == [
            *((each.source.name, each.month.first_day, "published", each.rows, each.rows, 0, 0) for each in months),
            (first.source.name, first.month.first_day, "unchanged", first.rows, 0, 0, first.rows),
            (last.source.name, last.month.first_day, "published", last.rows, 0, 0, last.rows),
        ]
        for each in months:
            assert digest(cloud.ids(each.source, str(each.month))) == each.digest, each.path.name
        for source in {each.source.name: each.source for each in months}.values():
            rows = sum(each.rows for each in months if each.source.name == source.name)
            assert cloud.query(f"SELECT COUNT(*) FROM `$taxi.{source.main_table}`") == [(rows,)]
        assert cloud.staging_tables() == []
