"""``airflow taxi status``: the state of each month, from the ledger of a real Postgres and of BigQuery."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.cli.cli_config import ActionCommand

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.cli.commands import group
from taxiway.cli.lines import Asked
from taxiway.cli.status import status as show_status
from taxiway.cli.stranded_runs import START
from taxiway.errors import DamagedFileError, HeaderError, InvalidArgumentError
from taxiway.orchestration.taxi_conf import taxi_conf
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import WHOLE, Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway.warehouses.postgres.published_months import PostgresMonths
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import SETTINGS, Cloud
from tests.conftest import Connect, PostgresServer
from tests.integration.gcp_airflow import gcp_variables, stand_ins
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.terminal import COLOURS, run_in_terminal, without_colours
from tests.loading import by_hand, lines_of, load, write_gzip

PUBLISHED, WARNED, FAILED, RUNNING = (Month(2019, number) for number in (1, 2, 3, 4))
ROWS = 30
YELLOW = load_source(SOURCES_FOLDER / "yellow.yaml")
EARLY = YELLOW.month_of(datetime.now(timezone.utc)).previous()
"""It is over, and its file isn't due."""
IDLE = (
    f"green {RUNNING}: nobody works on taxi_green manual__{RUNNING}_begun. "
    f"To have it go on: airflow dags unpause taxi_green -y; {START}"
)
"""What is said of the running month: Airflow has its run, and neither a process nor a scheduler."""
NAMES = sorted(path.stem for path in SOURCES_FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def green() -> Source:
    return load_source(SOURCES_FOLDER / "green.yaml")


@pytest.fixture(scope="module")
def taxi(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    _bigquery_server: StandIn,
    _cloud_storage_server: CloudStorage,
    green: Source,
) -> Iterator[TaxiAirflow]:
    """An Airflow with both warehouses: Postgres has a month in each state, and the mirror has the failed one's sound
    file.
    """
    folder = tmp_path_factory.mktemp("status")
    paths = {}
    for month in (PUBLISHED, WARNED, FAILED, RUNNING):
        paths[month] = folder / "mirror" / green.file_path(month)
        paths[month].parent.mkdir(parents=True, exist_ok=True)
        write_sample_month(green, month, paths[month], rows=ROWS)
    extra = {**COLOURS, **gcp_variables(SETTINGS), **stand_ins(_bigquery_server, _cloud_storage_server)}
    with (
        serve(folder / "mirror") as mirror,
        TaxiAirflow.create(postgres_server, folder / "home", mirror.address, own_api=True, extra=extra) as made,
    ):
        with made.connect() as connection:
            for month in (PUBLISHED, WARNED):
                load(connection, green, str(month), paths[month], run_id=f"manual__{month}")
            by_hand(connection, "UPDATE taxiway.loads SET warnings = '{it is odd}' WHERE month = '2019-02-01'")
            with pytest.raises(HeaderError):
                load(connection, green, str(FAILED), write_gzip(folder / "other.csv.gz", ["a,b", "1,2"]))
            with pytest.raises(DamagedFileError):
                load(connection, YELLOW, str(EARLY), write_gzip(folder / "early.csv.gz", ["a,b", "1,2"]))
        made.begin(green, RUNNING, paths[RUNNING], "running")
        yield made


def status(taxi: TaxiAirflow, *options: str) -> tuple[int, str, str]:
    done = taxi.airflow.run("taxi", "status", *options)
    assert "\x1b" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_strip_of_months_and_what_needs_a_person(taxi: TaxiAirflow) -> None:
    code, text, said = status(taxi)
    lines = text.splitlines()

    assert code == 1
    assert "green    2019 #!x~........" in lines
    assert "         2020 ............" in lines
    assert "zones    nothing loaded" in lines
    assert lines[-2:] == [
        "# published  ! with warnings  * changed at the source",
        "~ running  x failed  - skipped  . missing",
    ]
    sentence, early, idle = said.splitlines()
    assert sentence.startswith("green 2019-03: stage_month: green_tripdata_2019-03.csv: the header doesn't fit: ")
    # A backfill would leave it out.
    assert early.startswith(f"yellow {EARLY}: stage_month: ")
    conf = taxi_conf(YELLOW, EARLY, "postgres")
    assert early.endswith(
        f"To load it again, if the file is there already (expected by {YELLOW.due(EARLY)}): "
        f"airflow dags trigger taxi -c '{conf}'"
    )
    assert idle == IDLE
    assert max(map(len, lines)) <= 80


def test_a_terminal_shows_the_signs_in_colour(taxi: TaxiAirflow) -> None:
    code, shown = run_in_terminal(taxi.airflow, "taxi", "status", "--source", "green", "--to", "2019-05", columns=40)
    strip, _, *legend, failed = shown.splitlines()[:5]

    assert code == 1
    assert without_colours(strip) == "green    2019 #!x~."
    colours = dict(zip("#!x~.", re.findall(r"\x1b\[([0-9;]+)m.\x1b\[0m", strip), strict=True))
    assert len(set(colours.values())) == 5
    for sign, colour in colours.items():
        assert f"\x1b[{colour}m{sign}\x1b[0m " in "".join(legend)
    # Lines are left whole: the terminal wraps what is too long, and a command can be copied.
    assert without_colours(legend[0]) == "# published  ! with warnings  * changed at the source"
    assert failed.endswith("taxi_green")


def test_the_formats_say_the_same(taxi: TaxiAirflow) -> None:
    months = ("--source", "green", "--from", "2019-01", "--to", "2019-05")
    code, text, _ = status(taxi, *months, "--output", "json")
    records = json.loads(text)

    assert code == 1
    assert [(record["month"], record["state"], record["rows"], record["rejected"]) for record in records] == [
        ("2019-01", "published", ROWS, 0),
        ("2019-02", "with warnings", ROWS, 0),
        ("2019-03", "failed", None, None),
        ("2019-04", "running", None, None),
        ("2019-05", "missing", None, None),
    ]
    assert records[1]["note"] == "green 2019-02: it is odd"
    assert records[3]["note"] == IDLE
    # The month's run may have succeeded, and a run of taxi have failed after it.
    assert records[2]["note"].endswith(
        "airflow dags backfill -s 2019-03-01 -e 2019-03-31 --reprocess-behavior completed taxi_green"
    )

    assert yaml.safe_load(status(taxi, *months, "--output", "yaml")[1]) == records

    _, plain, said = status(taxi, *months, "--output", "plain", "--failed")
    assert [line.split() for line in plain.splitlines()] == [
        ["source", "month", "state", "rows", "rejected"],
        ["green", "2019-03", "failed"],
    ]
    assert said.splitlines() == [records[2]["note"]]

    code, text, said = status(taxi, "--source", "green", "--to", "2019-02")
    assert (code, text.splitlines()[0], said) == (0, "green    2019 #!", "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2019-05", "--to", "2019-01"), "error: --from 2019-05 is after --to 2019-01: exchange them"),
        (("--source", "mauve"), "error: --source mauve: expected one of fhv, "),
        (("--warehouse", "oracle"), "invalid choice: 'oracle' (choose from "),
    ],
)
def test_wrong_options_end_with_2(options: tuple[str, ...], said: str, taxi: TaxiAirflow) -> None:
    code, _, errors = status(taxi, *options)

    assert (code, said in errors) == (2, True), errors


def test_each_command_prints_its_help_with_examples(taxi: TaxiAirflow) -> None:
    commands: list[ActionCommand] = list(group().subcommands)
    printed = taxi.airflow.succeed("taxi", "--help")
    for command in commands:
        assert f" {command.name} {command.help}" in " ".join(printed.split())
        text = taxi.airflow.succeed("taxi", command.name, "--help")
        assert "\x1b" not in printed + text
        assert text.rstrip().endswith(f"\n{command.epilog}")


def test_a_metadata_database_that_is_down_is_said_to_be_down(
    taxi: TaxiAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = "Airflow's metadata database doesn't answer: connection to server at \"127.0.0.1\", port 1 failed"
    nowhere = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
    monkeypatch.setitem(taxi.airflow.variables, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", nowhere)
    months = ("--source", "green", "--from", "2019-03", "--to", "2019-04")

    # The connection is in the environment: what the ledger knows is said.
    code, text, said = status(taxi, *months)
    assert (code, text.splitlines()[0]) == (1, "green    2019   x~")
    assert said.startswith(f"Whether a load was cut off isn't known: {down}")

    monkeypatch.delitem(taxi.airflow.variables, "AIRFLOW_CONN_TAXI_POSTGRES")
    code, text, said = status(taxi, *months)
    assert (code, text) == (1, "")
    assert said.startswith(f"error: {down}")
    assert "isn't there" not in said
    assert said.endswith("To find out why: airflow taxi doctor\n")


def test_what_a_failed_month_advises_loads_it(taxi: TaxiAirflow) -> None:
    month = ("--source", "green", "--from", "2019-03", "--to", "2019-03", "--output", "json")
    (record,) = json.loads(status(taxi, *month)[1])

    taxi.airflow.succeed(*shlex.split(record["note"].rpartition("To load it again: airflow ")[2]), timeout=300)

    code, text, _ = status(taxi, *month)
    assert (code, json.loads(text)[0]["state"], json.loads(text)[0]["rows"]) == (0, "published", ROWS)


def test_a_file_of_no_month_and_an_empty_warehouse(connect: Connect, tmp_path: Path) -> None:
    zones = load_source(SOURCES_FOLDER / "zones.yaml")
    connection = connect()
    warehouse = PostgresMonths(connection)
    assert warehouse.last_loads([zones]) == {}

    path = tmp_path / zones.download_name(WHOLE)
    write_sample_month(zones, WHOLE, path, rows=5)
    load(connection, zones, "whole", path)

    found = warehouse.last_loads([zones])["zones"]
    assert {month: (load.state, load.error, load.rows, load.filename) for month, load in found.items()} == {
        WHOLE: ("published", None, 5, zones.filename(WHOLE))
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"source": "fhv", "last": "2014-12"},
            ["fhv: none of the months that are asked for is available: include/sources/fhv.yaml says "],
        ),
        (
            {"source": "yellow", "first": str(EARLY)},
            [f"yellow: none of the months that are asked for is due yet; {EARLY} is due on {YELLOW.due(EARLY)}"],
        ),
        # A file of no month is in no range.
        *(
            (
                months,
                [f"{name}: none of the months that are asked for" for name in NAMES],
            )
            for months in ({"first": "2999-01"}, {"last": "2008-12"}, {"first": "1960-01", "last": "1980-12"})
        ),
        ({"source": "green", "first": "2019-01", "last": "2019-01"}, []),
    ],
)
@pytest.mark.parametrize("output", ["table", "json"])
def test_a_range_without_a_month_is_said_to_have_none(
    options: dict[str, str],
    said: list[str],
    output: str,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    info = connect().info
    address = {"conn_type": "postgres", "host": info.host, "port": info.port, "login": info.user, "schema": info.dbname}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(address))
    asked = {"source": None, "first": None, "last": None, "warehouse": "postgres", "failed": False}

    assert inspect.unwrap(show_status)(Namespace(**{**asked, **options}, output=output)) == 0

    sentences = [line for line in capsys.readouterr().err.splitlines() if "none of the months" in line]
    assert len(sentences) == len(said)
    for found, expected in zip(sentences, said, strict=True):
        assert found.startswith(expected)


@pytest.mark.parametrize("months", [{"first": "2013-01", "last": "2013-12"}, {"last": "2013-12"}, {"first": "1970-01"}])
def test_a_file_of_no_month_is_asked_for_without_months(months: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^zones is one file, of no month: leave --from and --to out$"):
        Asked.of(Namespace(**{"source": "zones", "first": None, "last": None, **months}))


def test_bigquery_has_the_same_states(
    taxi: TaxiAirflow, bigquery: StandIn, cloud_storage: CloudStorage, green: Source, tmp_path: Path
) -> None:
    cloud = Cloud.connect().set_up()
    warehouse = BigQueryMonths(cloud.jobs())
    empty: Any = warehouse.last_loads([green])
    path = tmp_path / green.download_name(PUBLISHED)
    write_sample_month(green, PUBLISHED, path, rows=ROWS)
    cloud.load(green, str(PUBLISHED), path)
    with pytest.raises(HeaderError):
        cloud.load(green, str(FAILED), write_gzip(tmp_path / "other.csv.gz", ["a,b", "1,2"]))

    found = warehouse.last_loads([green])["green"]

    assert empty == {}
    published = found[PUBLISHED]
    assert (published.state, published.error, published.rows, published.rejected) == ("published", None, ROWS, 0)
    assert (published.filename, published.bytes) == (green.filename(PUBLISHED), path.stat().st_size)
    assert published.published_at is not None
    assert published.seconds is not None
    assert published.run_id == "manual__1"
    assert (found[FAILED].state, found[FAILED].rows) == ("failed", None)
    assert "the header doesn't fit" in (found[FAILED].error or "")

    assert [(each.state, each.error, each.rejected) for each in warehouse.attempts(green, PUBLISHED, 5)] == [
        ("published", None, 0)
    ]
    (failed,) = warehouse.attempts(green, FAILED, 5)
    assert (failed.state, failed.run_id, failed.step) == ("failed", "manual__1", "upload_month")

    # Its rejected lines, by line or by reason; none of another month's.
    other = tmp_path / green.download_name(WARNED)
    write_sample_month(green, WARNED, other, rows=ROWS)
    head, first, second, *lines = lines_of(other)
    bad = [first.replace(first.split(",")[1], "soon", 1), second.replace(second.split(",")[1], "later", 1)]
    patient = replace(green, max_rejected_share=0.5)
    cloud.load(patient, str(WARNED), write_gzip(tmp_path / "bad.csv.gz", [head, *bad, *lines]))
    (attempt,) = warehouse.attempts(green, WARNED, 5)
    rejected = warehouse.rejected_lines(green, WARNED, attempt.load_id, 5)
    assert [each.line_number for each in rejected] == [2, 3]
    assert [each.raw_line for each in rejected] == bad
    by_reason = warehouse.rejected_lines(green, WARNED, attempt.load_id, 5, by_reason=True)
    assert [each.line_number for each in by_reason] == [3, 2]
    assert len(warehouse.rejected_lines(green, WARNED, attempt.load_id, 1)) == 1
    assert warehouse.rejected_lines(green, PUBLISHED, attempt.load_id, 5) == []

    code, text, _ = status(taxi, "--warehouse", "bigquery", "--source", "green", "--to", "2019-04", "-o", "json")
    records = json.loads(text)
    assert code == 1
    assert [(record["month"], record["state"], record["rows"], record["rejected"]) for record in records] == [
        ("2019-01", "published", ROWS, 0),
        ("2019-02", "published", ROWS - 2, 2),
        ("2019-03", "failed", None, None),
        ("2019-04", "missing", None, None),
    ]
    assert records[2]["note"].startswith("green 2019-03: upload_month: green_tripdata_2019-03.csv: the header doesn't ")
    assert records[2]["note"].endswith(" --reprocess-behavior completed taxi_green_gcp")
    lines = taxi.airflow.run("taxi", "rejects", "green", "2019-02", "--warehouse", "bigquery", "-o", "json")
    assert lines.returncode == 1
    assert [(line["line"], line["text"]) for line in json.loads(lines.stdout)] == [(2, bad[0]), (3, bad[1])]
