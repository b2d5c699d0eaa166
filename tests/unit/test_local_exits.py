"""No local command ends without a sentence."""

from __future__ import annotations

import subprocess

import psycopg
import pytest

from taxiway.errors import ProgramError, SettingError
from taxiway_local import environment
from taxiway_local.exits import end


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    def main() -> int:
        raise error

    with pytest.raises(SystemExit) as caught:
        end(main, "make setup")
    return caught.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SettingError("PORT is 'x': expected a number"), "make setup stops: PORT is 'x': expected a number\n"),
        (PermissionError(13, "Permission denied", "/x"), "make setup stops: [Errno 13] Permission denied: '/x'\n"),
        (psycopg.OperationalError(""), "make setup stops: OperationalError\n"),
        (
            subprocess.CalledProcessError(3, ["airflow", "db", "migrate"], "no table\n"),
            "make setup stops: airflow db migrate ended with 3, and said: no table\n",
        ),
        (
            subprocess.CalledProcessError(1, "airflow"),
            "make setup stops: airflow ended with 1 without a word\n",
        ),
    ],
)
def test_what_went_wrong_is_one_sentence(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(error, capsys) == (1, said)


def test_what_a_program_said_comes_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*("a line of a log, as long as such lines are " * 3 for _ in range(60)), "\tthe\x00last"]

    code, said = ended(ProgramError("x ended", lines), capsys)

    assert code == 1
    assert said.splitlines()[0] == "make setup stops: x ended"
    assert said.splitlines()[1:] == [line.rstrip() for line in lines[:-1]] + ["        the\\x00last"]


def test_ctrl_c_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(KeyboardInterrupt(), capsys) == (130, "make setup: stopped\n")


def test_a_fault_of_ours_has_its_traceback_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(ZeroDivisionError("by zero"), capsys)

    assert code == 1
    assert said.startswith("Traceback")
    assert said.endswith("make setup stops: ZeroDivisionError: by zero\n")


def test_half_of_the_settings_are_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(environment, "PROBLEM", "said already")

    assert ended(AssertionError("was run"), capsys) == (2, "")
