"""Which command loads months again, and whether one does: one rule for every message."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.orchestration.load_command import how_to_load, load_command
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source, load_source

ZONES = load_source(SOURCES_FOLDER / "zones.yaml")
BACKFILL = "airflow dags backfill -s {} -e {} --reprocess-behavior completed {}"


def last_over(source: Source) -> Month:
    """Return the last month that is over: of a source that publishes months later, it isn't due."""
    return source.month_of(datetime.now(source.zone)).previous()


@pytest.fixture
def patient(green: Source) -> Source:
    """A source that goes on, and whose months are due long after their end."""
    return replace(green, releases=(replace(green.releases[0], last=None),), publication_lag_days=90)


def test_months_that_are_due_are_one_backfill(green: Source) -> None:
    months = [Month(2019, 2), Month(2018, 12), Month(2019, 1)]

    assert load_command(green, months, "postgres") == BACKFILL.format("2018-12-01", "2019-02-28", "taxi_green")
    command = load_command(green, [Month(2019, 3)], "bigquery", accept_deletions=True)
    assert command == BACKFILL.format("2019-03-01", "2019-03-31", "-c '{\"accept_deletions\": true}' taxi_green_gcp")


def test_months_with_others_between_them_are_a_backfill_each(green: Source) -> None:
    months = [Month(2019, 1), Month(2019, 2), Month(2019, 12)]

    ranges = [("2019-01-01", "2019-02-28"), ("2019-12-01", "2019-12-31")]
    assert load_command(green, months, "postgres") == "; ".join(BACKFILL.format(*ends, "taxi_green") for ends in ranges)


def test_only_months_that_were_held_back_are_loaded_with_the_conf_that_accepts_it(green: Source) -> None:
    january, february, march = (Month(2019, number) for number in (1, 2, 3))
    accepting = f"-c '{ACCEPTING_CONF}' taxi_green"

    assert how_to_load(green, [january, february, march], "postgres", held_back=[february]) == (
        f"To load it again: {BACKFILL.format('2019-01-01', '2019-01-31', 'taxi_green')}; "
        f"{BACKFILL.format('2019-03-01', '2019-03-31', 'taxi_green')}. "
        "Look first at the file of 2019-02: the last load would delete too many published rows. If it is right, load "
        f"again: {BACKFILL.format('2019-02-01', '2019-02-28', accepting)}"
    )
    assert how_to_load(green, [january, february], "postgres", held_back=[february, january, march]) == (
        "Look first at the files of 2019-01 to 2019-02: the last load would delete too many published rows. If they "
        f"are right, load again: {BACKFILL.format('2019-01-01', '2019-02-28', accepting)}"
    )


def test_a_month_that_is_not_due_is_loaded_by_taxi(patient: Source) -> None:
    """A backfill leaves it out, and a run of its own DAG may need that DAG unpaused."""
    early = last_over(patient)
    conf = f'{{"taxi": "green", "year": "{early.year}", "month": "{early.number:02d}", "warehouse": "postgres"}}'
    trigger = f"airflow dags trigger taxi -c '{conf}'"

    assert load_command(patient, [early], "postgres") == trigger
    both = load_command(patient, [Month(2019, 1), early], "postgres")
    assert both == f"{BACKFILL.format('2019-01-01', '2019-01-31', 'taxi_green')}; {trigger}"
    assert patient.due(early) > date.today()
    due = f"expected by {patient.due(early)}"
    assert how_to_load(patient, [early], "postgres") == (
        f"To load it again, if the file is there already ({due}): {trigger}"
    )
    assert how_to_load(patient, [early], "postgres", is_there=True) == f"To load it again: {trigger}"


def test_a_run_of_taxi_is_followed_by_another_one(green: Source) -> None:
    conf = '{"taxi": "green", "year": "2019", "month": "03", "warehouse": "bigquery", "force": true}'

    command = load_command(green, [Month(2019, 3)], "bigquery", dag_id="taxi", force=True)
    assert command == f"airflow dags trigger taxi -c '{conf}'"
    zones = load_command(ZONES, [WHOLE], "postgres", dag_id="taxi")
    assert zones == 'airflow dags trigger taxi -c \'{"taxi": "zones", "warehouse": "postgres"}\''


def test_a_file_of_no_month_is_loaded_whether_its_dag_is_paused_or_not() -> None:
    assert load_command(ZONES, [WHOLE], "bigquery") == "airflow dags test taxi_zones_gcp"
    assert how_to_load(ZONES, [WHOLE], "postgres", force=True) == (
        "To load it again: airflow dags test taxi_zones -c '{\"force\": true}'"
    )


def test_nothing_loads_a_month_that_the_source_does_not_have(green: Source) -> None:
    ended = replace(green, releases=(replace(green.releases[0], last=Month(2021, 7)),))

    assert how_to_load(ended, [Month(2021, 8)], "postgres") == (
        "Nothing loads it: green 2021-08: not available: include/sources/green.yaml says that there are the months "
        "2019-01 to 2021-07"
    )
    # The others are loaded.
    said = how_to_load(ended, [Month(2021, 7), Month(2021, 8)], "postgres", say="Then")
    assert said == f"Then: {BACKFILL.format('2021-07-01', '2021-07-31', 'taxi_green')}"
