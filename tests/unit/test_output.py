"""What a command of ``airflow taxi`` writes, whatever its values hold."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from sqlalchemy.exc import OperationalError

from taxiway.cli.output import FINDINGS, command, show

HOSTILE = {
    "[/x]": "[/x]",
    "[red]far[/red]": "[red]far[/red]",
    ":smile:": ":smile:",
    "1e5": "1e5",
    "back\\": "back\\",
    "\x1b[31mred": "\\x1b[31mred",
    "two\r\nlines": "two\\r\\nlines",
    "\u202eright": "\\u202eright",
}
"""What a line of a file, or somebody's error, may say, and how a table shows it."""


@pytest.mark.parametrize("output", ["table", "plain"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_table_shows_each_text_as_it_is(output: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show([{"line": 7, "text": text}], output)

    lines = [line.replace("|", " ").split() for line in capsys.readouterr().out.split("\n") if line.strip()]
    assert ["7", HOSTILE[text]] in lines
    assert len(lines) == {"table": 3, "plain": 2}[output]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_other_formats_keep_them(output: str, read: Callable[[str], Any], capsys: pytest.CaptureFixture[str]) -> None:
    show([{"text": text} for text in HOSTILE], output)
    out = capsys.readouterr().out

    assert "\x1b" not in out
    assert [record["text"] for record in read(out)] == list(HOSTILE)


def test_an_error_of_a_database_comes_without_its_statement(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def ask(_: Namespace) -> int:
        raise OperationalError("SELECT secret FROM connection", {"id": "hidden"}, Exception("server closed\nmore"))

    with pytest.raises(SystemExit) as ended:
        ask(Namespace(verbose=False))

    said = capsys.readouterr().err
    assert ended.value.code == FINDINGS
    assert said == (
        "error: Airflow's metadata database doesn't answer: server closed. To find out why: airflow taxi doctor\n"
    )
