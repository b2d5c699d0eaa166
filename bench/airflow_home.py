"""The benchmark's Airflow: set up by the project's own setup, in the benchmark's home."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.warehouse import Warehouse
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway_local.setup import airflow_command, airflow_environment, setup

TAXIWAY_DAG = "taxi_yellow"
TRIVIAL_DAG = "trivial"
LONGEST = 1800.0
"""Seconds after which a command of Airflow hangs."""

_FILES = Path(__file__).parent / "airflow_files"


@dataclass(frozen=True)
class AirflowHome:
    """An Airflow with the project's DAGs and the trivial one.

    :param warehouse: the server with its metadata, and the warehouse ``taxi`` that its DAGs load
    """

    warehouse: Warehouse

    @property
    def cache(self) -> Path:
        """Folder of the downloaded files."""
        return self.warehouse.home.state / "cache"

    @classmethod
    def create(cls, warehouse: Warehouse) -> AirflowHome:
        """Lay out the home and set Airflow up in it, as ``make setup`` does."""
        root = warehouse.home.root
        links = {
            ".": [ROOT / "config", ROOT / "include"],
            "dags": [*(ROOT / "dags").glob("*.py"), _FILES / "trivial.py"],
            "plugins": [ROOT / "plugins" / "taxiway", ROOT / "plugins" / ".airflowignore", _FILES / "peak_memory.py"],
        }
        for folder, targets in links.items():
            (root / folder).mkdir(exist_ok=True)
            for target in targets:
                (root / folder / target.name).symlink_to(target)
        setup(warehouse.home, report=lambda _line: None)
        home = cls(warehouse)
        warehouse.query(
            f"INSERT INTO variable (key, val, is_encrypted) VALUES ('taxiway_cache_folder', '{home.cache}', false)",
            "airflow",
        )
        return home

    def warm_up(self) -> None:
        """Let Airflow read the DAG files once, outside every measurement."""
        self._run("dags", "reserialize")

    def use_mirror(self, address: str) -> None:
        """Give the connection ``tlc_mirror`` an address."""
        self.warehouse.query(
            f"UPDATE connection SET host = '{address}' WHERE conn_id = 'tlc_mirror'",
            "airflow",
        )

    def forget(self) -> None:
        """Begin anew: no runs, an empty warehouse, an empty cache."""
        for table in ("backfill_dag_run", "dag_run", "backfill"):
            self.warehouse.query(f"DELETE FROM {table}", "airflow")
        self.warehouse.renew()
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.rmtree(self._peaks, ignore_errors=True)

    def backfill(self, dag_id: str, months: Sequence[Month], *, max_active_runs: int = 4) -> float:
        """Run ``airflow dags backfill`` on a range of months.

        :param months: in their order
        :param max_active_runs: how many go on at once
        :return: seconds, the command's own start and end included
        :raises RuntimeError: a run failed; the message holds what the command printed
        """
        first, last = (str(month.first_day) for month in (months[0], months[-1]))
        began = time.perf_counter()
        self._run("dags", "backfill", "-s", first, "-e", last, "--max-active-runs", str(max_active_runs), dag_id)
        return time.perf_counter() - began

    def peak_mib(self, dag_id: str) -> float:
        """Return the greatest peak of the processes of a DAG's tasks since the last :meth:`forget`, in MiB."""
        return max(int(path.read_text()) for path in self._peaks.glob(f"{dag_id}.*")) / 1024

    @property
    def _peaks(self) -> Path:
        return self.warehouse.home.root / "peaks"

    def _run(self, *arguments: str) -> None:
        """Run an Airflow command to its end.

        :raises RuntimeError: it failed; the message holds what it printed
        """
        command = [*airflow_command(), *arguments]
        process = subprocess.Popen(
            command,
            # The second one keeps the environment readable, by which the processes of a killed run are known.
            env={**airflow_environment(self.warehouse.home), "SPT_NOENV": "1"},
            start_new_session=True,  # on Ctrl-C, or where a terminal closes, it is we who end it
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output, _ = process.communicate(timeout=LONGEST)
        except BaseException:
            # Told to stop, it ends its tasks and its API server; killed, it would leave them.
            process.terminate()
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            raise
        if process.returncode:
            raise RuntimeError(f"{' '.join(command[1:])} ended with {process.returncode}:\n{output}")
