"""What killed runs of the benchmark have left goes; what belongs to a running one, or to nobody, stays."""

from __future__ import annotations

import fcntl
from pathlib import Path

from bench.run_folder import LOCK, clear_leftovers, forget_settings, run_folder


def test_leftovers_go_and_everything_else_stays(tmp_path: Path) -> None:
    said: list[str] = []
    for name in ("bench-killed", "bench-running", "bench-mine", "other"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").touch()
    for name in ("bench-killed", "bench-running", "other"):
        (tmp_path / name / LOCK).touch()

    with (tmp_path / "bench-running" / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert clear_leftovers(tmp_path, said.append) == [tmp_path / "bench-running"]

    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench-mine", "bench-running", "other"]
    assert said == [f"removing {tmp_path / 'bench-killed'}, which a killed run has left"]


def test_a_running_run_keeps_its_folder_from_the_next_one(tmp_path: Path) -> None:
    said: list[str] = []

    with run_folder(tmp_path, said.append) as home:
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
