"""The commands that messages advise name the program as it was called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from taxiway.program import PROGRAM_VARIABLE, airflow_command


@pytest.mark.parametrize(
    ("called", "named"),
    [
        ("bin/airflow", "bin/airflow"),
        (".venv/bin/airflow", ".venv/bin/airflow"),
        ("../a checkout/bin/airflow", "'../a checkout/bin/airflow'"),
        ("airflow", "airflow"),
        ("/elsewhere/bin/airflow", "/elsewhere/bin/airflow"),
    ],
)
@pytest.mark.parametrize("by_variable", [True, False])
def test_a_command(monkeypatch: pytest.MonkeyPatch, called: str, named: str, by_variable: bool) -> None:
    monkeypatch.delenv(PROGRAM_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "argv", ["python" if by_variable else called])
    if by_variable:
        monkeypatch.setenv(PROGRAM_VARIABLE, called)
    assert airflow_command("dags", "trigger", "taxi_green", "-c", "{}") == (
        f"{named} dags trigger taxi_green -c '{{}}'"
    )


@pytest.mark.parametrize("program", ["/usr/lib/python3/airflow/__main__.py", "gunicorn", ""])
def test_what_is_no_command_line_of_airflow_names_it_alone(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.delenv(PROGRAM_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "argv", [program])
    assert airflow_command("version") == "airflow version"


def test_a_program_on_the_path_is_named_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "airflow").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    monkeypatch.setenv(PROGRAM_VARIABLE, str(tmp_path / "first" / "airflow"))
    assert airflow_command("version") == "airflow version"
    monkeypatch.setenv(PROGRAM_VARIABLE, str(tmp_path / "second" / "airflow"))
    assert airflow_command("version") == f"{tmp_path / 'second' / 'airflow'} version"
