"""The folder of reports: what a killed process has left goes with the next report; a wrong Variable is a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from taxiway.orchestration import report_routes
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.reports.figures import Period
from taxiway.reports.folder import GIVEN_UP_SECONDS, write_report
from taxiway.sources.months import Month
from taxiway.sources.source import load_source

GREEN = load_source(SOURCES_FOLDER / "green.yaml")
MARCH = Period(Month(2019, 3), Month(2019, 3))

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.test_report_folder import GREEN, MARCH, write_report
sys.addaudithook(lambda event, _: os.kill(os.getpid(), signal.SIGKILL) if event == "os.rename" else None)
write_report(Path(sys.argv[1]), GREEN, MARCH, "a page", {})
"""
"""Writes a report, and is killed before the file is put in its place."""


def test_what_a_killed_process_has_left_goes_with_the_next_report(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"},
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "green").iterdir()
    assert left.name.startswith(".2019-03.html.")

    # Its writer may be at work still.
    page = write_report(tmp_path, GREEN, MARCH, "a page", {})
    assert {*page.parent.iterdir()} == {page, left}
    long_ago = time.time() - GIVEN_UP_SECONDS - 1
    os.utime(left, (long_ago, long_ago))
    write_report(tmp_path, GREEN, MARCH, "a page", {})

    assert [*page.parent.iterdir()] == [page]


def test_a_folder_that_is_none_is_said_in_the_web_ui(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_REPORTS_FOLDER", "~no-such-user/x")
    app = report_routes.create_app()
    (login,) = report_routes.router.dependencies
    app.dependency_overrides[login.dependency] = lambda: None

    for path in ("/", "/green/2019-03"):
        answer = TestClient(app).get(path)
        assert answer.status_code == 503
        assert answer.text.startswith("taxiway_reports_folder is '~no-such-user/x': this machine knows no home folder")
