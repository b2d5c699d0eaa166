"""What killed commands have left goes; what belongs to a running one, or has no lock, stays."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.paths import ROOT
from taxiway_local.own_home import LOCK, clear_leftovers, forget_settings, own_home


def test_leftovers_go_and_everything_else_stays(tmp_path: Path) -> None:
    said: list[str] = []
    for name in ("demo-gcp-killed", "bench-running", "bench-mine", "other"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").touch()
    for name in ("demo-gcp-killed", "bench-running", "other"):
        (tmp_path / name / LOCK).touch()

    with (tmp_path / "bench-running" / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert clear_leftovers(tmp_path, said.append) == [tmp_path / "bench-running"]

    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench-mine", "bench-running", "other"]
    assert said == [f"removing {tmp_path / 'demo-gcp-killed'}, which a killed run has left"]


def test_a_running_command_keeps_its_home_from_the_next_one(tmp_path: Path) -> None:
    said: list[str] = []

    with own_home(tmp_path, "bench", said.append) as home:
        clear_leftovers(tmp_path, said.append)
        assert home.root.is_dir()

    assert list(tmp_path.iterdir()) == []
    assert said == []


def test_settings_of_libpq_and_airflow_stay_out() -> None:
    environment = {
        "PATH": "/bin",
        "PGOPTIONS": "-c synchronous_commit=off",
        "PGUSER": "alice",
        "AIRFLOW_HOME": "/home/alice/airflow",
        "AIRFLOW__CORE__EXECUTOR": "x",
        "_AIRFLOW_X": "x",
    }

    forget_settings(environment)

    assert environment == {"PATH": "/bin"}


STOPPED = """
import os, signal, time, weakref
from taxiway_local.own_home import stop_in_order

stop_in_order(signal.SIGINT, signal.SIGTERM)

class Kept: pass

kept = Kept()
weakref.finalize(kept, os.kill, os.getpid(), signal.{name})
try:
    del kept
    time.sleep(60)
finally:
    print("cleared up")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_while_a_finalizer_is_at_work_still_stops(number: signal.Signals) -> None:
    """Python lets no exception out of a finalizer: the command would go on to its end."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", STOPPED.format(name=number.name)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(Path(pytest.__file__).parents[1])]),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "cleared up\n", "")
