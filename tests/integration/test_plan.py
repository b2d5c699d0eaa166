"""``airflow taxi plan``: what a backfill would load, from a real ledger, mirror and disk; and it changes nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.errors import DestructiveCorrectionError
from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.loads.published_months import TableSize
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import SETTINGS, Cloud
from tests.conftest import Connect, PostgresServer
from tests.integration.airflow_environment import free_port
from tests.integration.gcp_airflow import gcp_variables, stand_ins
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.terminal import COLOURS, run_in_terminal
from tests.loading import lines_of, load, write_gzip
from tests.mirror_faults import FaultyMirror, good, status

SAME, CHANGED, NEW, GONE, SILENT, CUT = (Month(2019, number) for number in range(1, 7))
ROWS = 30
GREEN, YELLOW = (load_source(SOURCES_FOLDER / f"{name}.yaml") for name in ("green", "yellow"))
ALL = ("-s", "2018-11-01", "-e", "2019-06-30", "green")
LEDGER = "SELECT xmin, * FROM taxiway.loads ORDER BY load_id"
"""All that it says, and which transactions have written it."""


@pytest.fixture(scope="module")
def mirror() -> Iterator[FaultyMirror]:
    with FaultyMirror() as made:
        yield made


@pytest.fixture(scope="module")
def taxi(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, mirror: FaultyMirror
) -> Iterator[TaxiAirflow]:
    """An Airflow with three published months: one is corrected at the mirror by now, and one has lost most rows there,
    which a load has refused. The load of a fourth was cut off.
    """
    folder = tmp_path_factory.mktemp("plan")
    made = TaxiAirflow.create(postgres_server, folder / "home", mirror.url)
    made.airflow.variables |= COLOURS
    try:
        with made.connect() as connection:
            for month in (SAME, CHANGED, CUT):
                path = sample(folder / "loaded", GREEN, month)
                load(connection, GREEN, str(month), path, run_id=f"manual__{month}")
                mirror.put(f"/{GREEN.file_path(month)}", path.read_bytes())
            cut = write_gzip(folder / "cut.csv.gz", lines_of(path)[:11])
            with pytest.raises(DestructiveCorrectionError):
                load(connection, GREEN, str(CUT), cut, run_id="manual__cut")
            mirror.put(f"/{GREEN.file_path(CUT)}", cut.read_bytes())
        corrected = sample(folder / "corrected", GREEN, CHANGED, rows=2 * ROWS)
        mirror.put(f"/{GREEN.file_path(CHANGED)}", corrected.read_bytes())
        new = sample(folder / "new", GREEN, NEW)
        mirror.put(f"/{GREEN.file_path(NEW)}", new.read_bytes())
        mirror.put(f"/{GREEN.file_path(SILENT)}", status(500))
        made.begin(GREEN, NEW, new, "failed")
        yield made
    finally:
        made.close()


def sample(folder: Path, source: Source, month: Month, rows: int = ROWS) -> Path:
    path = folder / source.file_path(month)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sample_month(source, month, path, rows=rows)
    return path


def plan(taxi: TaxiAirflow, *options: str) -> tuple[int, str, str]:
    done = taxi.airflow.run("taxi", "plan", *options)
    assert "\x1b" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def records(taxi: TaxiAirflow, *options: str) -> dict[str, dict[str, Any]]:
    """The records of a plan, by their months."""
    return {record["month"]: record for record in json.loads(plan(taxi, *options, "--output", "json")[1])}


@pytest.fixture(scope="module")
def planned(taxi: TaxiAirflow, mirror: FaultyMirror) -> dict[str, dict[str, Any]]:
    """The records of a plan of all months, by their months."""
    mirror.seen.clear()
    ledger = taxi.query(LEDGER)
    code, text, said = plan(taxi, *ALL, "--output", "json")
    assert (code, said) == (1, "")
    assert taxi.query(LEDGER) == ledger
    assert len(ledger) == 5
    assert {seen.method for seen in mirror.seen} == {"HEAD"}
    assert not (taxi.airflow.home / "cache").exists()
    return {record["month"]: record for record in json.loads(text)}


def test_each_month_has_what_would_be_done_and_why(planned: dict[str, dict[str, Any]]) -> None:
    found = planned

    assert {month: record["plan"] for month, record in found.items()} == {
        "2018-11 to 2018-12": "out of range",
        "2019-01": "unchanged",
        "2019-02": "changed",
        "2019-03": "new",
        "2019-04": "absent",
        "2019-05": "unknown",
        "2019-06": "changed",
        "total": "3 of 8",
    }
    changed, new, cut, total = (found[month] for month in ("2019-02", "2019-03", "2019-06", "total"))
    assert changed["note"].startswith("green 2019-02: there is another version than the published one: ")
    assert "the answer is 404" in found["2019-04"]["note"]
    assert "the answer is 500" in found["2019-05"]["note"]
    assert found["2019-05"]["note"].count("http://") == 1
    assert total["note"].startswith("green: 3 of 8 files to load as far as mirrors have answered, 1 unknown, ")
    assert {record["release"] for month, record in found.items() if " to " not in month and month != "total"} == {
        "csv.gz, tlc_mirror"
    }
    assert (changed["last_load"], new["last_load"], cut["last_load"]) == ("published", "abandoned", "failed")
    assert datetime.fromisoformat(changed["published"]) < datetime.now(timezone.utc)
    assert (changed["cached"], new["cached"], found["2018-11 to 2018-12"]["cached"]) == (False, False, None)
    assert (found["2019-01"]["seconds"], found["2019-01"]["disk"]) == (None, None)
    loaded = (changed, new, cut)
    assert total["size"] == sum(record["size"] for record in loaded)
    assert total["seconds"] == pytest.approx(sum(record["seconds"] for record in loaded), abs=0.2)
    assert total["disk"] == pytest.approx(sum(record["disk"] for record in loaded), abs=2)
    assert re.search(r"needed of [0-9.]+ [MGT]B free on the disk of ", total["note"])
    # Without its conf, the command would be refused again for the file that has lost rows.
    assert total["note"].endswith(
        "To load: airflow dags backfill -s 2019-02-01 -e 2019-03-31 --reprocess-behavior completed taxi_green. "
        "Look first at the file of 2019-06: the last load would delete too many published rows. If it is right, load "
        "again: airflow dags backfill -s 2019-06-01 -e 2019-06-30 --reprocess-behavior completed "
        f"-c '{ACCEPTING_CONF}' taxi_green"
    )


def test_the_disk_is_as_large_as_the_published_rows_take_up(
    taxi: TaxiAirflow, planned: dict[str, dict[str, Any]]
) -> None:
    found = planned["2019-03"]
    ((size, rows),) = taxi.query(
        "SELECT (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits "
        "WHERE inhparent = 'green_tripdata'::regclass)::bigint, count(*) FROM green_tripdata"
    )
    ((file_size, file_rows),) = taxi.query(
        "SELECT avg(bytes)::float8, avg(rows_staged)::float8 FROM taxiway.loads WHERE state = 'published'"
    )

    expected = found["size"] + size / rows * file_rows / file_size * found["size"]
    assert found["disk"] == pytest.approx(expected, rel=0.05)


def test_the_formats_say_the_same(taxi: TaxiAirflow, planned: dict[str, dict[str, Any]]) -> None:
    found = {each["month"]: each for each in yaml.safe_load(plan(taxi, *ALL, "-o", "yaml")[1])}
    for each in (found["total"], planned["total"]):
        each["note"] = free_disk_left_out(each["note"])
    assert found == planned

    code, plain, said = plan(taxi, *ALL, "-o", "plain")
    header, *lines = plain.splitlines()
    assert header.split() == [key for key in planned["total"] if key != "note"]
    assert [line.split()[0] for line in lines] == [month.partition(" ")[0] for month in planned]
    assert str(planned["2019-02"]["size"]) in lines[2]
    notes = [record["note"] for record in planned.values() if record["note"]]
    assert free_disk_left_out(said).splitlines() == notes
    assert code == 1

    _, table, said = plan(taxi, *ALL)
    cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if "|" in line]
    assert [row[:2] for row in cells[1:]] == [[record["month"], record["plan"]] for record in planned.values()]
    assert cells[3][2].endswith(" kB")
    assert free_disk_left_out(said).splitlines() == notes


def free_disk_left_out(text: str) -> str:
    """What others write to the disk meanwhile counts for nothing."""
    return re.sub(r"of [0-9.]+ [MGT]B free", "of … free", text)


def test_a_narrow_terminal_has_a_line_for_each_value(taxi: TaxiAirflow) -> None:
    code, shown = run_in_terminal(taxi.airflow, "taxi", "plan", "-s", "2019-01-01", "green", columns=60)
    assert code == 0
    lines = shown.splitlines()
    assert lines[:2] == ["month: 2019-01", "plan: unchanged"]
    assert "month: total" in lines


def test_a_range_that_no_backfill_takes_is_wrong_usage(taxi: TaxiAirflow) -> None:
    code, text, said = plan(taxi, "-s", "2019-02-01", "-e", "2019-01-01", "green")

    assert (code, text) == (2, "")
    assert said == "error: --start-date 2019-02-01 is after --end-date 2019-01-01: exchange them\n"


def test_months_that_are_not_due(taxi: TaxiAirflow, mirror: FaultyMirror, tmp_path: Path) -> None:
    last = YELLOW.month_of(datetime.now(timezone.utc)).previous()
    early = last.previous()
    mirror.put(f"/{YELLOW.file_path(early)}", good(sample(tmp_path, YELLOW, early).read_bytes()))
    future = (last.next(), last.next().next())
    dates = ("-s", str(early.first_day), "-e", str(future[-1].first_day), "yellow")

    found = records(taxi, *dates)

    assert [found[str(month)]["plan"] for month in (early, last, *future)] == ["early", *["not published"] * 3]
    for month in future:
        assert f"its file is expected by {YELLOW.due(month)}" in found[str(month)]["note"]
    assert found[str(early)]["note"].endswith(
        f"""To load it now: airflow dags trigger taxi -c '{{"taxi": "yellow", "year": "{early.year}", """
        f""""month": "{early.number:02d}", "warehouse": "postgres"}}'"""
    )
    assert f"expected by {YELLOW.due(last)}" in found[str(last)]["note"]


def test_a_disk_that_is_too_small_is_a_finding(taxi: TaxiAirflow, mirror: FaultyMirror) -> None:
    month = Month(2019, 8)
    mirror.put(f"/{GREEN.file_path(month)}", good(b"", length=10**16))

    code, text, _ = plan(taxi, "-s", "2019-08-01", "green", "-o", "json")

    assert code == 1
    assert "The disk is too small: at least 10000.0 TB needed of " in json.loads(text)[-1]["note"]


def test_what_the_plan_advises_loads_the_months(taxi: TaxiAirflow) -> None:
    dates = ("-s", "2019-01-01", "-e", "2019-03-31", "green")
    before = records(taxi, *dates)

    advised = before["total"]["note"].rpartition("To load: airflow ")[2]
    done = taxi.airflow.run(*shlex.split(advised), timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr
    code, text, _ = plan(taxi, *dates, "--output", "json")
    after = {record["month"]: record for record in json.loads(text)}
    assert code == 0
    assert {record["plan"] for month, record in after.items() if month != "total"} == {"unchanged"}
    assert [after[month]["cached"] for month in ("2019-02", "2019-03")] == [True, True]
    assert after["total"]["note"] == "green: 0 of 3 files to load"


def test_a_mirror_whose_connection_is_missing(taxi: TaxiAirflow) -> None:
    done = taxi.airflow.run("taxi", "plan", "-s", "2019-01-01", "green", AIRFLOW_CONN_TLC_MIRROR="")

    assert done.returncode == 1
    assert "green 2019-01: there is no connection tlc_mirror, expected the address of its mirror: " in done.stderr


def test_months_that_a_dead_mirror_was_not_asked_for_are_one_line(taxi: TaxiAirflow) -> None:
    dead = json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:{free_port()}"})
    dates = ("-s", "2020-01-01", "-e", "2020-12-31", "green")

    done = taxi.airflow.run("taxi", "plan", *dates, "-o", "json", AIRFLOW_CONN_TLC_MIRROR=dead)
    *months, total = json.loads(done.stdout)

    assert done.returncode == 1
    assert [(record["month"], record["plan"]) for record in months] == [
        (month, "unknown") for month in ("2020-01", "2020-02", "2020-03", "2020-04 to 2020-12")
    ]
    assert months[-1]["note"] == "green 2020-04 to 2020-12: not asked: the mirror gave no answer 3 times in a row"
    assert total["note"] == "green: 0 of 12 files to load as far as mirrors have answered, 12 unknown"


def test_an_empty_warehouse_knows_nothing(connect: Connect) -> None:
    warehouse = PostgresMonths(connect())

    assert list(warehouse.past_loads(GREEN)) == []
    found = warehouse.table_size(GREEN)
    assert found.size is None
    assert found.folder is not None
    assert (found.folder / "PG_VERSION").exists()


def test_bigquery_says_what_its_loads_have_taken(
    bigquery: StandIn, cloud_storage: CloudStorage, tmp_path: Path
) -> None:
    cloud = Cloud.connect().set_up()
    warehouse = BigQueryMonths(cloud.jobs())
    assert (list(warehouse.past_loads(GREEN)), warehouse.table_size(GREEN)) == ([], TableSize())
    path = sample(tmp_path, GREEN, SAME)
    cloud.load(GREEN, str(SAME), path)

    (found,) = warehouse.past_loads(GREEN)

    assert (found.source, found.size, found.rows) == ("green", path.stat().st_size, ROWS)
    assert found.url.endswith(".csv.gz")
    assert found.seconds > 0
    assert (warehouse.table_size(GREEN).size or 0) > 0


def test_the_plan_of_a_load_into_bigquery(
    taxi: TaxiAirflow,
    bigquery: StandIn,
    cloud_storage: CloudStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**gcp_variables(SETTINGS), **stand_ins(bigquery, cloud_storage)}.items():
        monkeypatch.setitem(taxi.airflow.variables, name, value)
    cloud = Cloud.connect().set_up()
    for month in (SAME, CHANGED):
        cloud.load(GREEN, str(month), sample(tmp_path, GREEN, month))
    ledger = cloud.query("SELECT month, run_id, state FROM `$taxi.loads` ORDER BY month")

    found = records(taxi, "-s", "2019-01-01", "-e", "2019-04-30", "--warehouse", "bigquery", "green")

    assert {month: (record["plan"], record["last_load"]) for month, record in found.items()} == {
        "2019-01": ("unchanged", "published"),
        "2019-02": ("changed", "published"),
        "2019-03": ("new", None),
        "2019-04": ("absent", None),
        "total": ("2 of 4", None),
    }
    new, total = found["2019-03"], found["total"]
    assert new["disk"] > new["size"] > 0
    assert new["seconds"] > 0
    assert "the main table gains " in total["note"]
    assert "and its disk can't be seen from here" in total["note"]
    assert total["note"].endswith(
        "To load: airflow dags backfill -s 2019-02-01 -e 2019-03-31 --reprocess-behavior completed taxi_green_gcp"
    )
    assert cloud.query("SELECT month, run_id, state FROM `$taxi.loads` ORDER BY month") == ledger
    assert len(ledger) == 2
