"""Connections cut, workers and the server killed at seeded random moments of a load; retries finish every month.

A moment is a number of messages or bytes that have passed between a step and the warehouse.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from random import Random

from taxiway.core.errors import WarehouseBusyError
from taxiway.core.months import Month
from taxiway.core.paths import ROOT
from tests.faults.aftermath import assert_survived
from tests.faults.cutting_proxy import Cut
from tests.faults.killable_server import LOGIN, KillableServer
from tests.faults.loading_by_operators import Loading
from tests.loading import load, staging_tables, table_digest

STEPS = {"download_month", "stage_month", "hash_rows", "check_month", "merge_month"}
CUTS = 50
ROWS = 800
WORKERS_KILLED = 10
SERVERS_KILLED = 10

LOAD = """
import sys
from pathlib import Path
import psycopg
from taxiway.core.paths import SOURCES_FOLDER
from taxiway.core.sources import load_source
from tests.loading import load
connection = psycopg.connect(host="127.0.0.1", port=sys.argv[1], user=sys.argv[2], password=sys.argv[3],
                             dbname=sys.argv[4])
load(connection, load_source(SOURCES_FOLDER / "green.yaml"), sys.argv[5], Path(sys.argv[6]))
"""


def months(cases: int) -> list[tuple[Month, int]]:
    """Each month twice: as a new one, and corrected."""
    return [(Month(2019 + case // 24, case // 2 % 12 + 1), case % 2) for case in range(cases)]


def measured(loading: Loading) -> list[dict[str, int]]:
    """Say what passes while a month is loaded undisturbed: as a new one, and corrected."""
    passed = []
    for case, (month, revision) in enumerate([(Month(2021, 6), 0), (Month(2021, 7), 0), (Month(2021, 7), 1)]):
        loading.proxy.arm(None)
        loading.serve(month, rows=ROWS, revision=revision)
        loading.load(month, f"undisturbed {case}")
        passed.append(loading.proxy.passed)
    return passed[1:]  # the first has created the tables


def test_connections_cut(loading: Loading) -> None:
    draw, passed = Random(50), measured(loading)
    for case, (month, revision) in enumerate(months(CUTS)):
        path = loading.serve(month, rows=ROWS, revision=revision)
        unit = "messages" if draw.random() < 0.7 else "bytes"
        after = draw.randrange(1, int(0.97 * passed[revision][unit]))
        cut = Cut(after, unit, lost=draw.random() < 0.5, reset=draw.random() < 0.5)
        loading.proxy.arm(cut)

        loading.load(month, f"case {case}")

        loading.proxy.arm(None)
        with closing(loading.connect()) as connection:
            assert table_digest(connection, loading.source, path.name) == loading.expected[path.name], (case, cut)
            assert staging_tables(connection) == [], (case, cut)
    assert loading.proxy.cuts == CUTS
    assert set(dict(loading.tried_again)) >= STEPS
    assert {type(error) for _, error in loading.tried_again} == {WarehouseBusyError}
    assert all(f"{loading.source.name} 20" in str(error) for _, error in loading.tried_again)
    with closing(loading.connect()) as connection:
        ledger = assert_survived(connection, loading.source, loading.expected)
    assert sum(state == "published" for _, state, _, _ in ledger) == CUTS + 3


def test_servers_killed(loading: Loading, killable_server: KillableServer) -> None:
    draw, passed = Random(10), measured(loading)
    going_down = threading.Lock()
    killed = []

    def kill() -> None:
        with going_down:
            killable_server.kill()
            killed.append(case)

    def start_again() -> None:
        with going_down:
            if killed and killed[-1] == case and not killable_server.is_running:
                killable_server.start()

    loading.before_retry = start_again
    for case, (month, revision) in enumerate(months(SERVERS_KILLED)):
        loading.serve(month, rows=ROWS, revision=revision)
        # In every part of a load: one case each.
        part = passed[revision]["messages"] * 0.97 / SERVERS_KILLED
        loading.proxy.arm(Cut(1 + int((case + draw.random()) * part), "messages", lost=False, reset=False), kill)

        loading.load(month, f"case {case}")

        loading.proxy.arm(None)
        with closing(loading.connect()) as connection:
            assert_survived(connection, loading.source, loading.expected)
    assert killed == list(range(SERVERS_KILLED))
    assert {type(error) for _, error in loading.tried_again} == {WarehouseBusyError}


def test_workers_killed(loading: Loading) -> None:
    """Staging, hashing, checking and merging run in a process of their own, and it is gone."""
    draw, source = Random(10), loading.source

    def work(month: Month, path: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", LOAD, str(loading.proxy.port), *LOGIN, loading.database, str(month), str(path)],
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "PATH": ""},
        )

    passed = []
    for case, (month, revision) in enumerate([(Month(2021, 6), 0), (Month(2021, 7), 0), (Month(2021, 7), 1)]):
        loading.proxy.arm(None)
        with work(month, loading.serve(month, rows=ROWS, revision=revision)) as worker:
            assert worker.wait(60) == 0, case
        passed.append(loading.proxy.passed["messages"])
    for case, (month, revision) in enumerate(months(WORKERS_KILLED)):
        path = loading.serve(month, rows=ROWS, revision=revision)
        part = passed[1 + revision] * 0.97 / WORKERS_KILLED
        cut = Cut(1 + int((case + draw.random()) * part), "messages", lost=False, reset=False)
        started = threading.Event()

        def kill() -> None:
            started.wait(30)  # noqa: B023
            worker.kill()

        loading.proxy.arm(cut, kill)
        with work(month, path) as worker:
            started.set()
            assert worker.wait(60) == -9, (case, cut)
        loading.proxy.arm(None)

        with closing(loading.connect()) as connection:
            load(connection, source, str(month), path)
            assert_survived(connection, source, loading.expected)
