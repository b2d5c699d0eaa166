"""The benchmark's servers: databases that are fresh and of the asked locale, and an Airflow that ends with its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.rivals import course_locale
from bench.servers import Postgres
from taxiway.paths import ROOT
from taxiway_local.own_home import clear_leftovers, own_home
from tests.integration.airflow_environment import PATIENCE, wait_until

LOCALE_OF = "SELECT datlocprovider::text, datcollate FROM pg_database WHERE datname = 'contender'"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    # Not below pytest's own folder: the server's user must pass.
    with (
        tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder,
        own_home(Path(folder), "bench", print) as home,
    ):
        yield Postgres.start(home)


def test_a_contender_has_a_database_of_its_own_while_it_runs(server: Postgres) -> None:
    with server.fresh() as own, own.connect() as connection:
        with connection.transaction():
            connection.execute("CREATE TABLE public.left_over ()")
        owner = "SELECT pg_get_userbyid(datdba), current_user FROM pg_database WHERE datname = 'contender'"
        assert connection.execute(owner).fetchone() == ("taxiway", "taxiway")

    assert server.query(LOCALE_OF) == []
    with server.fresh() as own, own.connect() as connection:
        assert connection.execute("SELECT to_regclass('public.left_over')").fetchone() == (None,)


def test_the_courses_database_sorts_by_the_c_library(server: Postgres) -> None:
    locale = course_locale(server)
    if locale is None:
        pytest.skip("the C library has neither en_US.utf8 nor C.utf8 here")

    assert locale.lower().replace("-", "") in ("en_us.utf8", "c.utf8")
    with server.fresh(locale):
        assert server.query(LOCALE_OF) == [("c", locale)]


def test_without_a_locale_the_servers_own_compares_bytes(server: Postgres) -> None:
    with server.fresh() as own:
        assert server.query("SELECT 'a' < 'B'", own.name) == [(False,)]
        assert server.query(LOCALE_OF) == server.query(LOCALE_OF.replace("contender", "template1"))


BACKFILL = """
import signal, sys
from pathlib import Path
from bench.scale import TINY
from bench.servers import TRIVIAL_DAG, Airflow, Postgres
from taxiway_local.own_home import own_home, stop_in_order

stop_in_order(signal.SIGTERM)
with own_home(Path(sys.argv[1]), "bench", print) as home:
    airflow = Airflow(Postgres.start(home))
    airflow.create()
    airflow.backfill(TRIVIAL_DAG, TINY.months(2), 2)
"""


def processes_of(home: Path) -> list[psutil.Process]:
    """Return the processes whose environment names a home."""
    found = psutil.process_iter(["environ"])
    return [process for process in found if (process.info["environ"] or {}).get("AIRFLOW_HOME") == str(home)]


def test_a_run_that_is_stopped_during_a_backfill_leaves_no_process() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    with (
        tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder,
        subprocess.Popen(
            [sys.executable, "-c", BACKFILL, folder], cwd=ROOT, env={**kept, "PYTHONPATH": str(ROOT)}, text=True
        ) as run,
    ):
        try:
            tasks = "bench-*/logs/dag_id=trivial/**/*.log"
            log = wait_until(lambda: next(Path(folder).resolve().glob(tasks), None), timeout=600, what="a task")
            home = next(parent for parent in log.parents if parent.name.startswith("bench-"))
            assert len(processes_of(home)) > 1
            run.send_signal(signal.SIGTERM)
            assert run.wait(PATIENCE * 300) == 128 + signal.SIGTERM
            assert processes_of(home) == []
            assert list(Path(folder).iterdir()) == []
        finally:
            run.kill()
            clear_leftovers(Path(folder), print)  # of a test that failed
