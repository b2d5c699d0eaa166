"""A real Airflow with the project's own DAGs, a warehouse and a mirror."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres.tables import LoadTables
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import AirflowEnvironment, shared_metadata_server
from tests.loading import begin_load, query, source_file

GREEN_DAGS = Path(__file__).with_name("green_dags") / "taxi.py"
"""A file with the DAGs of green taxis alone."""


@dataclass
class TaxiAirflow:
    """Airflow and the warehouse that it loads.

    :param airflow: Airflow, its home and its metadata
    :param server: the server of the warehouse
    :param database: the warehouse
    """

    airflow: AirflowEnvironment
    server: PostgresServer
    database: str

    @classmethod
    def create(
        cls,
        server: PostgresServer,
        home: Path,
        mirror: str,
        *,
        own_api: bool = False,
        read_timeout: int | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> TaxiAirflow:
        """Lay out a home whose connections name a fresh warehouse and a mirror.

        :param mirror: address of the mirror
        :param own_api: whether there is no API server: a backfill starts an execution API of its own
        :param read_timeout: seconds for which a download waits for a mirror that holds it; usually as users have it
        :param extra: more environment variables, for every process
        """
        timeout = {} if read_timeout is None else {"extra": {"timeout": read_timeout}}
        database = server.create_database(f"of_{hashlib.sha256(bytes(home)).hexdigest()[:12]}")
        connections = {
            **dict.fromkeys(
                ("AIRFLOW_CONN_TLC_MIRROR", "AIRFLOW_CONN_TLC_OFFICIAL"),
                json.dumps({"conn_type": "http", "host": mirror, **timeout}),
            ),
            "AIRFLOW_CONN_TAXI_POSTGRES": json.dumps(
                {"conn_type": "postgres", "host": str(server.socket_folder), "login": "postgres", "schema": database}
            ),
            "AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER": str(home / "cache"),
            **(extra or {}),
        }
        airflow = AirflowEnvironment.create(
            shared_metadata_server(), home, dags=ROOT / "dags", extra=connections, own_api=own_api
        )
        return cls(airflow=airflow, server=server, database=database)

    def use_dag_files(self, *paths: Path) -> None:
        """Have these DAG files alone: to build the DAGs of all takes longer than many a task."""
        folder = self.airflow.home / "dags"
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
        folder.mkdir()
        for path in paths:
            (folder / path.name).symlink_to(path)

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection to the warehouse."""
        return self.server.connect(self.database)

    def query(self, statement: str) -> list[Any]:
        """Ask the warehouse."""
        with self.connect() as connection:
            return query(connection, statement)

    def backfill(self, start: str, end: str, dag_id: str, *options: str, timeout: float = 300) -> tuple[int, str]:
        """Run ``airflow dags backfill``; return its exit code and what it printed.

        :param start: first day
        :param end: last day
        """
        done = self.airflow.run("dags", "backfill", "-s", start, "-e", end, dag_id, *options, timeout=timeout)
        return done.returncode, done.stdout + done.stderr

    def begin(self, source: Source, month: Month, path: Path, run_state: str | None, *, force: bool = False) -> None:
        """Begin a load that goes on as the ledger has it.

        :param run_state: of its run in Airflow: ``running``; ``failed``, as one that somebody marks; None if somebody
            has deleted it
        """
        run_id = f"manual__{month}_begun"
        with self.connect() as connection:
            begin_load(connection, LoadTables(source, month, run_id), lambda: source_file(path), force=force)
        if run_state is not None:
            self.add_run(f"taxi_{source.name}", run_id, run_state)

    def add_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Let Airflow have a run that nobody has started."""
        self.airflow.query(
            "INSERT INTO dag_run (dag_id, run_id, run_type, state, run_after, end_date, conf) VALUES"
            " (%s, %s, 'manual', %s, now(), CASE WHEN %s <> 'running' THEN now() END, '{}')",
            *(dag_id, run_id, state, state),
        )

    def __enter__(self) -> TaxiAirflow:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End Airflow's processes, and drop the databases."""
        self.airflow.close()
        self.server.drop_database(self.database)
