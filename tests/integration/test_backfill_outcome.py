"""What the command reads out of the tasks' logs, and how it names runs and times."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dags_backfill.outcome import RunState, RunStatus, exception_in_log
from dags_backfill.progress import describe
from dags_backfill.request import BackfillRequest
from dags_backfill.summary import count, how_to_rerun


def write(log: Path, *entries: dict[str, Any] | str) -> Path:
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return log


def failure(*exceptions: tuple[str, str]) -> dict[str, Any]:
    detail = [{"exc_type": kind, "exc_value": value, "frames": []} for kind, value in exceptions]
    return {"level": "error", "event": "Task failed with exception", "error_detail": detail}


def test_the_last_exception_is_the_reason(tmp_path: Path) -> None:
    log = write(
        tmp_path / "attempt=2.log",
        {"level": "info", "event": "starting"},
        failure(("DownloadError", "first try")),
        "a line that is no JSON",
        failure(("BalanceError", "green 2019-03: 5 rows staged, 4 hashed"), ("KeyError", "'VendorID'")),
        {"level": "info", "event": "::endgroup::"},
    )
    assert exception_in_log(log) == "BalanceError: green 2019-03: 5 rows staged, 4 hashed"


def test_without_an_exception_the_last_error_is_the_reason(tmp_path: Path) -> None:
    log = write(tmp_path / "attempt=1.log", {"level": "critical", "event": "Process terminated by signal."})
    assert exception_in_log(log) == "Process terminated by signal."


def test_a_silent_end_and_a_missing_log_are_said(tmp_path: Path) -> None:
    log = write(tmp_path / "attempt=1.log", {"level": "info", "event": "starting"})
    assert exception_in_log(log) == "the task ended without an exception: its process was killed"
    assert exception_in_log(tmp_path / "none.log") == "its log is not on this machine"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (8, "8 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (4200, "1 h 10 min")]
)
def test_durations_are_written_for_people(seconds: float, words: str) -> None:
    assert describe(timedelta(seconds=seconds)) == words


def test_runs_are_counted_by_what_they_are_called() -> None:
    assert count(12, "2019-01") == "12 months"
    assert count(1, "2019-01-31") == "1 day"
    assert count(3, "2019-01-31T09:00:00") == "3 runs"


def advised(**errors: str) -> list[str]:
    """Return what is advised after months of 2019 with these errors; the others have succeeded."""
    options = ("reprocess_behavior", "rerun_failed_tasks", "reset_dagruns", "run_backwards", "dry_run", "verbose")
    asked = {"dag_id": "trips", "start_date": "2019-01-01", "end_date": "2019-04-30", "max_active_runs": 4}
    request = BackfillRequest.of(Namespace(**asked, **dict.fromkeys(options), conf='{"use_cache": false}'))
    named = {f"2019-{name[1:]}": error for name, error in errors.items()}
    states = {label: RunState.FAILED if label in named else RunState.SUCCEEDED for label in MONTHS}
    return how_to_rerun(request, [RunStatus(label, state, f"{label}-01") for label, state in states.items()], named)


MONTHS = ("2019-01", "2019-02", "2019-03", "2019-04")
REFUSED = '3 of 4 rows. If that is right, load again with the conf {"accept": true}: airflow dags …'
CALL = "airflow dags backfill -s {} -e {} --conf '{}' --reprocess-behavior failed trips"
OWN, ACCEPTING = ('{"use_cache": false}', '{"use_cache": false, "accept": true}')
REST = CALL.format("2019-01-01", "2019-04-30", OWN)


def test_what_failed_is_rerun_with_the_conf_that_its_error_names() -> None:
    assert advised(_02="no trips") == [f"Rerun what failed: {REST}"]
    # 2019-02 has succeeded: the call leaves it out.
    assert advised(_01=REFUSED, _03=REFUSED) == [
        "2019-01, 2019-03: look first at what the error says. If that is right, rerun with the conf that it names: "
        + CALL.format("2019-01-01", "2019-03-01", ACCEPTING)
    ]


def test_a_run_that_failed_for_another_cause_is_rerun_without_that_conf() -> None:
    look = "look first at what the error says. If that is right, rerun with the conf that it names:"
    assert advised(_01=REFUSED, _02="no trips", _03=REFUSED) == [
        f"2019-01: {look} {CALL.format('2019-01-01', '2019-01-01', ACCEPTING)}",
        f"Rerun 2019-02: {CALL.format('2019-02-01', '2019-02-01', OWN)}",
        f"2019-03: {look} {CALL.format('2019-03-01', '2019-03-01', ACCEPTING)}",
    ]
    # A call takes no refused month, which would be refused again; nor does it stop at one that has succeeded.
    assert advised(_01="no trips", _03="no trips", _04=REFUSED) == [
        f"Rerun 2019-01, 2019-03: {CALL.format('2019-01-01', '2019-03-01', OWN)}",
        f"2019-04: {look} {CALL.format('2019-04-01', '2019-04-01', ACCEPTING)}",
    ]
