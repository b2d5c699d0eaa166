"""A benchmark that can't begin as it was asked to says so in one sentence, before it makes anything."""

from __future__ import annotations

import pytest

from bench import __main__ as bench
from bench import year


@pytest.mark.parametrize(
    ("main", "given", "said"),
    [
        (bench.main, ["--rows", "abc"], "make bench: rows: found 'abc', expected a whole number"),
        (bench.main, ["--rows", "1e6"], "make bench: rows: found '1e6', expected a whole number"),
        (bench.main, ["--months", ""], "make bench: months: found '', expected a whole number"),
        (bench.main, ["--rounds", "0"], "make bench: rounds: found 0, expected 1 or more"),
        (bench.main, ["--transfer-mb", "inf"], "make bench: transfer-mb: found 'inf', expected a number"),
        (year.main, ["--rows", "abc"], "make bench-year: rows: found 'abc', expected a whole number"),
        (year.main, ["--months", "-1"], "make bench-year: months: found -1, expected 1 or more"),
    ],
)
def test_a_size_that_cannot_be_used(
    main: object, given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    with pytest.raises(SystemExit) as caught:
        main(given)

    assert caught.value.code == 2
    assert capsys.readouterr().err == f"{said}\n"
