"""A benchmark that can't begin as it was asked to says so in one sentence, before it makes anything."""

from __future__ import annotations

import pytest

from bench.__main__ import main


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rows", "abc"], "rows: found 'abc', expected a whole number"),
        (["--rows", "1e6"], "rows: found '1e6', expected a whole number"),
        (["--months", ""], "months: found '', expected a whole number"),
        (["--rounds", "0"], "rounds: found 0, expected 1 or more"),
        (["--transfer-mb", "inf"], "transfer-mb: found 'inf', expected a whole number"),
        (["--scale", "year", "--months", "-1"], "months: found -1, expected 2 or more, because the last one is"),
        (["--scale", "decade"], "scale: invalid choice: 'decade'"),
        (["--document", "/absent.md"], "/absent.md: No such file or directory, expected a Markdown file"),
    ],
)
def test_what_cannot_be_used(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(given) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"make bench: {said}")
