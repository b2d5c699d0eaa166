"""Connections cut, workers and the server killed at seeded random moments of a load; retries finish every month.

A moment is a number of messages or bytes that have passed between a step and the warehouse. Of three months one is
canonical CSV, one has quotation marks, and one has lines that can't be read, too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random

import psycopg
import pytest

from taxiway.errors import TransientWarehouseError
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from tests.faults.aftermath import assert_rejected, assert_survived
from tests.faults.cutting_proxy import Cut
from tests.faults.killable_server import LOGIN, KillableServer
from tests.faults.loading_by_operators import Loading
from tests.faults.served_months import KINDS, ServedMonth
from tests.integration.airflow_environment import end_group, wait_until
from tests.loading import load, staging_tables, table_digest

STEPS = {"download_month", "stage_month", "hash_rows", "check_month", "merge_month"}
CUTS = 50
ROWS = 500
WORKERS_KILLED = 10
SERVERS_KILLED = 10
NEW, CORRECTED = 0, 1

LOAD = """
import json, os, sys
from pathlib import Path
import psycopg
from taxiway.sources.source import load_source
from tests.loading import load
for line in sys.stdin:
    warehouse, source, month, path = json.loads(line)
    worker = os.fork()
    if worker == 0:
        load(psycopg.connect(**warehouse), load_source(Path(source)), month, Path(path))
        os._exit(0)
    print(worker, flush=True)
    print(os.waitpid(worker, 0)[1], flush=True)
"""

Passed = dict[tuple[str, int], dict[str, int]]
"""What passes while a month is loaded undisturbed, by its kind: as a new one, and corrected."""


def cases(count: int) -> list[tuple[Month, int, str]]:
    """Each month twice: as a new one, and corrected; in turn of every kind."""
    return [(Month(2019 + case // 24, case // 2 % 12 + 1), case % 2, KINDS[case % len(KINDS)]) for case in range(count)]


def measured(loading: Loading, load_it: Callable[[Month, ServedMonth, str], object]) -> Passed:
    """Say what passes while months are loaded undisturbed.

    :param load_it: loads a month, for a run id
    """
    loading.proxy.arm(None)
    file = loading.serve(Month(2021, 4), rows=10)
    load_it(Month(2021, 4), file, "creates the tables")
    passed: Passed = {}
    for number, kind in enumerate(KINDS):
        for revision in (NEW, CORRECTED):
            month = Month(2021, 5 + number)
            loading.proxy.arm(None)
            file = loading.serve(month, rows=ROWS, revision=revision, kind=kind)
            load_it(month, file, f"undisturbed {kind} {revision}")
            passed[kind, revision] = dict(loading.proxy.passed)
    return passed


@pytest.fixture(scope="module")
def known() -> Passed:
    """What one test has measured, the next one needs not."""
    return {}


def of_operators(loading: Loading, known: Passed) -> Passed:
    if not known:
        known.update(measured(loading, lambda month, _, run_id: loading.load(month, run_id)))
    return known


def test_connections_cut(loading: Loading, known: Passed) -> None:
    draw, passed = Random(50), of_operators(loading, known)
    undisturbed = 1 + len(passed)
    for case, (month, revision, kind) in enumerate(cases(CUTS)):
        file = loading.serve(month, rows=ROWS, revision=revision, kind=kind)
        unit = "messages" if draw.random() < 0.7 else "bytes"
        after = draw.randrange(1, int(0.97 * passed[kind, revision][unit]))
        cut = Cut(after, unit, lost=draw.random() < 0.5, reset=draw.random() < 0.5)
        loading.proxy.arm(cut)

        loading.load(month, f"case {case}")

        loading.proxy.arm(None)
        with closing(loading.connect()) as connection:
            assert table_digest(connection, loading.source, file.path.name) == file.ids_digest, (case, cut)
            assert staging_tables(connection) == [], (case, cut)
            assert_rejected(connection, {str(month): file})
    assert loading.proxy.cuts == CUTS
    assert {step for step, _ in loading.tried_again} >= STEPS
    assert {type(error) for _, error in loading.tried_again} == {TransientWarehouseError}
    assert all(f"{loading.source.name} 20" in str(error) for _, error in loading.tried_again)
    with closing(loading.connect()) as connection:
        ledger = assert_survived(connection, loading.source, loading.expected)
        assert_rejected(connection, loading.served)
    assert sum(state == "published" for _, state, _, _ in ledger) == CUTS + undisturbed


def test_servers_killed(loading: Loading, killable_server: KillableServer, known: Passed) -> None:
    draw, passed = Random(10), of_operators(loading, known)
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
    for case, (month, revision, kind) in enumerate(cases(SERVERS_KILLED)):
        loading.serve(month, rows=ROWS, revision=revision, kind=kind)
        # In every part of a load: one case each.
        part = passed[kind, revision]["messages"] * 0.97 / SERVERS_KILLED
        loading.proxy.arm(Cut(1 + int((case + draw.random()) * part), "messages", lost=False, reset=False), kill)

        loading.load(month, f"case {case}")

        # What a load says last may still pass while its server is being killed: nothing is left to be tried again.
        wait_until(lambda: killed[-1:] == [case], timeout=60, what="the server to be killed")  # noqa: B023
        start_again()
        loading.proxy.arm(None)
        with closing(loading.connect()) as connection:
            assert_survived(connection, loading.source, loading.expected)
            assert_rejected(connection, loading.served)
    assert killed == list(range(SERVERS_KILLED))
    assert {type(error) for _, error in loading.tried_again} == {TransientWarehouseError}


def test_workers_killed(loading: Loading) -> None:
    """Staging, hashing, checking and merging run in a process of their own, and it is gone.

    Each is forked from one that has imported what it needs.
    """
    draw, source = Random(10), loading.source
    user, password = LOGIN
    warehouse = {"host": "127.0.0.1", "user": user, "password": password, "dbname": loading.database}

    def load_here(month: Month, file: ServedMonth, _: str) -> None:
        with closing(psycopg.connect(port=loading.proxy.port, **warehouse)) as connection:
            load(connection, source, str(month), file.path)

    def answer() -> int:
        """Read a number; a worker that hangs is ended after a minute."""
        assert workers.stdout is not None
        alarm = threading.Timer(60.0, end_group, [workers])
        alarm.start()
        said = workers.stdout.readline()
        alarm.cancel()
        assert said, "no answer within a minute"
        return int(said)

    def work(month: Month, path: Path) -> int:
        """Start a worker; return its process id."""
        at = {**warehouse, "port": loading.proxy.port}
        order = [at, str(loading.sources / "green.yaml"), str(month), str(path)]
        print(json.dumps(order), file=workers.stdin, flush=True)
        return answer()

    passed = measured(loading, load_here)
    with (
        subprocess.Popen(
            [sys.executable, "-c", LOAD],
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "PATH": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as workers,
        ExitStack() as ending,
    ):
        ending.callback(end_group, workers)
        for case, (month, revision, kind) in enumerate(cases(WORKERS_KILLED)):
            file = loading.serve(month, rows=ROWS, revision=revision, kind=kind)
            part = passed[kind, revision]["messages"] * 0.97 / WORKERS_KILLED
            cut = Cut(1 + int((case + draw.random()) * part), "messages", lost=False, reset=False)
            started = threading.Event()

            def kill() -> None:
                started.wait(30)  # noqa: B023
                os.kill(worker, signal.SIGKILL)  # noqa: B023

            loading.proxy.arm(cut, kill)
            worker = work(month, file.path)
            started.set()
            assert answer() == signal.SIGKILL, (case, cut)
            loading.proxy.arm(None)

            with closing(loading.connect()) as connection:
                load(connection, source, str(month), file.path)
                assert_survived(connection, source, loading.expected)
                assert_rejected(connection, loading.served)
