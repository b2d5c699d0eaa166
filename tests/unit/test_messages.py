"""What others have written comes bounded, and in printable characters, into every message."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from dags_backfill.outcome import exception_in_log
from taxiway.errors import DownloadError, TaxiwayError
from taxiway.files.rejects import reason_against_field
from taxiway.messages import (
    LONGEST_LIST,
    LONGEST_MESSAGE,
    LONGEST_QUOTE,
    MOST_LISTED,
    conf_needed,
    counted,
    fitting,
    listed,
    one_line,
    printable,
    quoted,
    said_by_driver,
    without_digits,
)
from taxiway.warehouses.bigquery.errors import failure
from taxiway.warehouses.bigquery.settings import GcpSettings
from taxiway.warehouses.postgres.errors import said_by

RUBBISH = [
    "\0" * 895,
    "\x1b[2J\x1b]0;title\a",
    "\u202etxt.exe\u2066",
    "a\r\nERROR forged",
    "\udcff",
    "\x9b31m",
    "x" * 10**6,
]


@pytest.mark.parametrize("text", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish_is_escaped_and_cut(text: str) -> None:
    for shown, longest in (
        (printable(text), LONGEST_MESSAGE),
        (one_line(text), LONGEST_QUOTE),
        (quoted(text), LONGEST_QUOTE + 2),
        (quoted(text.encode("utf-8", "surrogateescape")), LONGEST_QUOTE + 3),
        (str(TaxiwayError(text)), LONGEST_MESSAGE),
        (str(DownloadError(text, retry_after=1)), LONGEST_MESSAGE),
        (reason_against_field("fare", text, "a number"), 200),
        (listed([text] * 1000), (LONGEST_QUOTE + 4) * MOST_LISTED + 20),
        (str(failure("green", "invalid", text, GcpSettings("p", "EU", "b", "d", 1))), 1_200),
        (said_by(psycopg.DataError(text)), 1_100),
    ):
        assert shown.isprintable()
        assert 0 < len(shown) <= longest


def test_what_is_fit_stays_as_it_is() -> None:
    text = "green 2019-03: é, 日本, “quoted”  twice"
    assert printable(text) == str(TaxiwayError(text)) == text
    assert listed(["VendorID", "", "a\tb"]) == "VendorID, '', 'a\\tb'"
    assert listed([]) == "nothing"


def test_a_long_message_keeps_its_advice() -> None:
    message = printable(f"green 2019-03: found {'x' * 10_000}: clear the task")
    assert message.startswith("green 2019-03: found xxx")
    assert message.endswith("xxx: clear the task")


def test_a_list_of_statements_ends_before_it_is_too_long() -> None:
    assert fitting([]) == 0
    assert fitting(["x" * 10_000, "y"]) == 1
    assert fitting(["x" * (LONGEST_LIST // 2)] * 3) == 2
    assert fitting(["\0" * (LONGEST_LIST // 4)] * 3) == 1


@pytest.mark.parametrize("text", RUBBISH[:-2], ids=range(len(RUBBISH) - 2))
def test_the_summary_of_a_backfill_is_fit_for_a_terminal(text: str, tmp_path: Path) -> None:
    log = tmp_path / "attempt=1.log"
    detail = [{"exc_type": "LibraryError", "exc_value": text * 1000}]
    log.write_text(json.dumps({"level": "error", "event": text, "error_detail": detail}), encoding="utf-8")
    said = exception_in_log(log)
    assert said.startswith("LibraryError: ")
    assert said.isprintable()
    assert len(said) <= LONGEST_MESSAGE


def test_an_error_of_sqlalchemy_is_said_without_its_statement() -> None:
    driver = psycopg.OperationalError("connection refused\nIs the server running?")
    error = OperationalError("SELECT %(secret)s", {"secret": "s3cr3t"}, driver)

    assert "s3cr3t" in str(error)
    assert said_by_driver(error) == "connection refused"
    assert said_by_driver(OperationalError("SELECT 1", {}, psycopg.OperationalError())) == "OperationalError"
    assert said_by_driver(ValueError("odd")) == "odd"


def test_errors_of_one_cause_are_equal_without_words_with_digits() -> None:
    first, second = (
        f"green {month}: green_tripdata_{month}.csv: the header  doesn't fit" for month in ("2019-01", "2")
    )

    assert without_digits(first) == without_digits(second) == "green # # the header doesn't fit"
    assert without_digits("no answer") != without_digits("no host")


@pytest.mark.parametrize(
    ("error", "conf"),
    [
        (
            'load again with the conf {"accept": true, "keys": ["a"]}: airflow dags trigger x',
            {"accept": True, "keys": ["a"]},
        ),
        ('load again with the conf {"accept": true', {}),
        ("load again with the conf [1]", {}),
        ("run it with the conf that you like", {}),
        ("no rows", {}),
    ],
)
def test_an_error_names_the_conf_that_its_run_needs(error: str, conf: dict[str, object]) -> None:
    assert conf_needed(error) == conf


def test_one_thing_is_one() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
