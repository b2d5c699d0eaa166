"""What the options of ``airflow dags backfill`` mean, and which are refused."""

from __future__ import annotations

import json
import shlex
from argparse import Namespace
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dags_backfill.errors import BackfillUsageError
from dags_backfill.request import BackfillRequest


def request(**given: Any) -> BackfillRequest:
    options = {
        "dag_id": "taxi_green",
        "start_date": "2019-01-01",
        "end_date": "2019-12-31",
        "max_active_runs": 4,
        "reprocess_behavior": None,
        "rerun_failed_tasks": False,
        "reset_dagruns": False,
        "run_backwards": False,
        "conf": None,
        "dry_run": False,
        "verbose": False,
    }
    return BackfillRequest.of(Namespace(**options | given))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[arg-type, misc]


def test_days_are_whole_days_in_utc() -> None:
    asked = request()
    assert asked.start == utc(2019, 1, 1)
    assert asked.end == utc(2019, 12, 31, 23, 59, 59, 999999)


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [
        ("2019-03-10", utc(2019, 3, 10, 5), utc(2019, 3, 11, 3, 59, 59, 999999)),  # 23 hours
        ("2019-11-03", utc(2019, 11, 3, 4), utc(2019, 11, 4, 4, 59, 59, 999999)),  # 25 hours
        ("2019-07-01", utc(2019, 7, 1, 4), utc(2019, 7, 2, 3, 59, 59, 999999)),
        ("2019-07-01T09:00", utc(2019, 7, 1, 13), utc(2019, 7, 1, 13)),
        ("2019-07-01T09:00+00:00", utc(2019, 7, 1, 9), utc(2019, 7, 1, 9)),
    ],
)
def test_days_are_those_of_the_dag_s_time_zone(day: str, start: datetime, end: datetime) -> None:
    asked = request(start_date=day, end_date=day).in_zone(ZoneInfo("America/New_York"))

    assert (asked.start, asked.end) == (start, end)
    assert asked.in_zone(timezone.utc) == request(start_date=day, end_date=day)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019-03-01T09:00:00+00:00", utc(2019, 3, 1, 9)),
        ("2019-03-01T09:00:00Z", utc(2019, 3, 1, 9)),
        ("2019-03-01T09:00", utc(2019, 3, 1, 9)),
        ("2019-03-01 10:00:00+01:00", utc(2019, 3, 1, 9)),
        ("2019-01-01T00:00:00+02:00", utc(2018, 12, 31, 22)),
        ("2019-03-01T09:00:00.250", utc(2019, 3, 1, 9, 0, 0, 250_000)),
        ("2019-03-01T09:00:00.000001z", utc(2019, 3, 1, 9, 0, 0, 1)),
    ],
)
def test_moments_are_taken_as_they_are(text: str, moment: datetime) -> None:
    asked = request(start_date=text, end_date=text)
    assert asked.start == asked.end == moment


@pytest.mark.parametrize(
    "text",
    [
        # Python 3.11 and later read these, 3.10 doesn't.
        "20190301",
        "2019-W09-5",
        "2019W095",
        "20190301T090000",
        "2019-03-01T09",
        "2019-03-01T09:00:00.5",
        "2019-03-01T09:00:00,5",
        "2019-03-01T0900",
        "2019-03-01T09:00+0100",
        "2019-03-01T09:00+01",
        # Every one reads these.
        "2019-03-01x09:00",
        "2019-03-01T09:00:00+01:00:30",
        # No Python does.
        "2019",
        "2019-03",
        "2019-3-1",
        "1551398400",
        "yesterday",
        "01.03.2019",
        "٢٠١٩-03-01",
        " 2019-03-01",
        "2019-03-01\n",
        "",
    ],
)
@pytest.mark.parametrize("option", ["start_date", "end_date"])
def test_a_date_is_read_alike_on_every_python_or_refused(option: str, text: str) -> None:
    with pytest.raises(BackfillUsageError) as refused:
        request(**{option: text})
    expected = "is not a date: write a day as YYYY-MM-DD, for example 2019-03-01, or a moment as YYYY-MM-DDTHH:MM:SS"
    assert expected in str(refused.value)
    assert str(refused.value).startswith(f"--{option.replace('_', '-')} {text!r} ")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("2019-13-01", "there is no such day in the calendar (month must be in 1..12"),
        ("2019-02-30", "there is no such day in the calendar (day "),
        ("2019-02-29T09:00:00Z", "there is no such day in the calendar (day "),
        ("0000-01-01", "there is no such day in the calendar (year 0 is out of range)"),
        ("2019-02-01T25:00", "there is no such time of a day (hour must be in 0..23"),
        # A later Python may read it.
        ("2019-03-01T24:00", "there is no such time of a day (hour must be in 0..23"),
        ("2019-03-01T09:60", "there is no such time of a day (minute must be in 0..59"),
        ("2019-03-01T09:00+24:00", "there is no such time of a day (offset must be"),
        ("0001-01-01T00:00+02:00", "there is no such time of a day (date value out of range)"),
        ("9999-12-31T23:00-02:00", "there is no such time of a day (date value out of range)"),
    ],
)
@pytest.mark.parametrize("option", ["start_date", "end_date"])
def test_a_date_that_is_written_well_and_does_not_exist(option: str, text: str, missing: str) -> None:
    with pytest.raises(BackfillUsageError) as refused:
        request(**{option: text})
    assert str(refused.value).startswith(f"--{option.replace('_', '-')} {text!r}: {missing}")
    assert "is not a date" not in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("given", [{"start_date": None}, {"end_date": None}])
def test_one_date_asks_for_that_day(given: dict[str, None]) -> None:
    asked = request(**{"start_date": "2019-03-01", "end_date": "2019-03-01"} | given)
    assert (asked.start, asked.end) == (utc(2019, 3, 1), utc(2019, 3, 1, 23, 59, 59, 999999))


@pytest.mark.parametrize(
    ("given", "reprocess"),
    [
        ({}, "none"),
        ({"reprocess_behavior": "completed"}, "completed"),
        ({"rerun_failed_tasks": True}, "failed"),
        ({"reset_dagruns": True}, "completed"),
        ({"reset_dagruns": True, "reprocess_behavior": "completed"}, "completed"),
    ],
)
def test_reprocess_behavior_by_either_name(given: dict[str, Any], reprocess: str) -> None:
    assert request(**given).reprocess == reprocess


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start_date": None, "end_date": None}, "no date given: say which runs with -s YYYY-MM-DD"),
        ({"start_date": "2020-01-01"}, "--start-date 2020-01-01 is after --end-date 2019-12-31"),
        ({"start_date": "January"}, "--start-date 'January' is not a date: write a day as YYYY-MM-DD"),
        ({"end_date": "2019-02-30"}, "--end-date '2019-02-30': there is no such day"),
        ({"conf": "{month"}, "--conf is not JSON"),
        ({"conf": "[1]"}, "--conf is [1]: expected a JSON object"),
        (
            {"rerun_failed_tasks": True, "reset_dagruns": True},
            "--rerun-failed-tasks and --reset-dagruns contradict each other",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BackfillUsageError) as refused:
        request(**given)
    assert str(refused.value).startswith(message)
    assert refused.value.exit_code == 2


def test_the_future_is_refused() -> None:
    tomorrow = (datetime.now(timezone.utc) + timedelta(days=2)).date().isoformat()
    with pytest.raises(BackfillUsageError, match="lies in the future"):
        request(start_date=tomorrow, end_date=tomorrow)


def test_the_command_line_can_be_said_again() -> None:
    asked = request(
        max_active_runs=2, run_backwards=True, conf='{"use_cache": false}', reset_dagruns=True, verbose=True
    )
    command = (
        "airflow dags backfill -s 2019-01-01 -e 2019-12-31 --max-active-runs 2 --run-backwards "
        "--conf '{\"use_cache\": false}' --reprocess-behavior completed --verbose taxi_green"
    )
    assert asked.command() == command
    assert asked.command(reprocess="failed") == command.replace("completed", "failed")
    quoted = request(conf=json.dumps({"why": "it's É; $HOME"})).command()
    assert json.loads(shlex.split(quoted)[-2]) == {"why": "it's É; $HOME"}
    assert request().command() == "airflow dags backfill -s 2019-01-01 -e 2019-12-31 taxi_green"
