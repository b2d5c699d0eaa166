"""``airflow taxi rejects``: rejected lines with their reasons; their file is mended, and loaded again for real."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.errors import RejectLimitError
from taxiway.loads.published_months import RejectedLine
from taxiway.messages import printable
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from taxiway.warehouses.bigquery.published_months import BigQueryMonths
from taxiway_local.samples import write_sample_month
from tests.cloud_loading import Cloud
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import end_group, free_port, wait_until
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.terminal import COLOURS, run_in_terminal
from tests.loading import ids, lines_of, load, source_file, specified_ids, write_gzip
from tests.mirror_faults import FaultyMirror

GREEN = load_source(SOURCES_FOLDER / "green.yaml")
MONTH = Month(2019, 3)
ROWS = 3500
"""Enough for three rejected lines within the source's limit of 0.1%."""

BAD = {100: "distance", 200: "fields", 3000: "bytes"}
"""What is wrong with which line."""

DISTANCE = "[/x]far\x1b[1m"
"""What a line has for a distance: markup of rich's, and what a terminal takes for a command."""


def damaged(line: str, kind: str) -> bytes:
    if kind == "fields":
        return line.rpartition(",")[0].encode()
    fields = line.split(",")
    place = [column.name for column in GREEN.layout_of(MONTH).columns].index(
        "trip_distance" if kind == "distance" else "store_and_fwd_flag"
    )
    fields[place] = DISTANCE if kind == "distance" else "\udcff"
    return ",".join(fields).encode("utf-8", "surrogateescape")


def write_damaged(
    folder: Path, rows: int = ROWS, bad: dict[int, str] = BAD, month: Month = MONTH
) -> tuple[Path, list[str]]:
    """Write a month with lines that can't be read; return it with the lines as they should be."""
    path = folder / GREEN.download_name(month)
    write_sample_month(GREEN, month, path, rows=rows)
    lines = lines_of(path)
    body = b"".join(
        (damaged(line, bad[number]) if number in bad else line.encode()) + b"\r\n"
        for number, line in enumerate(lines, start=1)
    )
    path.write_bytes(gzip.compress(body))
    return path, lines


@pytest.fixture(scope="module")
def mirror() -> Iterator[FaultyMirror]:
    with FaultyMirror() as made:
        yield made


@pytest.fixture(scope="module")
def sound_lines() -> list[str]:
    """The lines of the month as they should be, the header first."""
    return []


@pytest.fixture(scope="module")
def taxi(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    mirror: FaultyMirror,
    sound_lines: list[str],
) -> Iterator[TaxiAirflow]:
    """An Airflow with a published month, of which three lines were rejected."""
    folder = tmp_path_factory.mktemp("rejects")
    path, lines = write_damaged(folder)
    sound_lines[:] = lines
    mirror.put(f"/{GREEN.file_path(MONTH)}", path.read_bytes())
    # As a terminal has it, with colours: the command's own output has none.
    with TaxiAirflow.create(postgres_server, folder / "home", mirror.url, extra=COLOURS) as made:
        with made.connect() as connection:
            load(connection, GREEN, str(MONTH), path)
        yield made


def rejects(taxi: TaxiAirflow, *options: str) -> tuple[int, str, str]:
    done = taxi.airflow.run("taxi", "rejects", *options)
    assert "\x1b" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def test_each_line_has_its_reason_in_every_format(taxi: TaxiAirflow, sound_lines: list[str]) -> None:
    code, text, said = rejects(taxi, "green", "2019-03", "-o", "json")
    records: list[dict[str, Any]] = json.loads(text)

    assert code == 1
    assert [record["line"] for record in records] == list(BAD)
    distance, fields, in_bytes = records
    assert distance["reason"] == f"trip_distance is {DISTANCE!r}, expected a decimal number"
    assert fields["reason"] == "19 fields, expected 20"
    assert fields["text"] == damaged(sound_lines[199], "fields").decode()
    assert in_bytes["reason"].startswith("not UTF-8: byte 0xff")
    assert "\\xff" in in_bytes["text"]
    assert said.splitlines() == [
        f"green 2019-03: 3 of {ROWS} rows of its file can't be read; the rest is published.",
        "To mend them: give the command again with --csv FOLDER, which writes green_tripdata_2019-03.csv there",
    ]
    assert yaml.safe_load(rejects(taxi, "green", "2019-03", "-o", "yaml")[1]) == records
    _, plain, _ = rejects(taxi, "green", "2019-03", "-o", "plain")
    assert [line.split()[0] for line in plain.splitlines()] == ["line", "100", "200", "3000"]
    _, table, _ = rejects(taxi, "green", "2019-03")
    cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if "|" in line]
    assert [row[:2] for row in cells[1:]] == [[str(record["line"]), printable(record["reason"])] for record in records]
    code, shown = run_in_terminal(taxi.airflow, "taxi", "rejects", "green", "2019-03", columns=40)
    assert code == 1
    assert f"line: 100\nreason: {printable(distance['reason'])}\ntext: " in shown
    assert DISTANCE not in shown
    assert said in shown


def test_what_there_is_nothing_to_say_about(taxi: TaxiAirflow) -> None:
    code, text, said = rejects(taxi, "green", "2019-04")
    assert (code, text) == (1, "")
    assert said.startswith("green 2019-04: the ledger has no load that has read its file. To load it: airflow dags ")

    code, text, said = rejects(taxi, "green", "whole")
    assert (code, text, said) == (2, "", "error: MONTH whole: expected of green a month, such as 2019-03\n")

    said = "error: rejects: BigQuery isn't set up: docs/bigquery.md says how\n"
    assert rejects(taxi, "green", "2019-03", "--warehouse", "bigquery") == (1, "", said)


def test_a_mended_file_is_loaded_as_the_command_advises(
    taxi: TaxiAirflow, sound_lines: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "mended"
    _, _, said = rejects(taxi, "green", "2019-03", "--csv", str(folder))
    written = folder / "green" / "green_tripdata_2019-03.csv"
    assert f"green 2019-03: wrote {written}. Mend lines 2 to 4 of it: these were rejected. Then: " in said
    lines = written.read_bytes().splitlines()
    assert lines[:4] == [sound_lines[0].encode(), *(damaged(sound_lines[at - 1], BAD[at]) for at in BAD)]
    assert len(lines) == ROWS + 1

    code, _, refused = rejects(taxi, "green", "2019-03", "--csv", str(folder))
    assert code == 2
    assert f"{written} exists already: move it away, or name another folder" in refused
    code, _, refused = rejects(taxi, "green", "2019-03", "--csv", str(written))
    assert code == 2
    assert f"error: --csv {written}: {written}/green/green_tripdata_2019-03.csv can't be written: " in refused
    assert "Traceback" not in refused

    # By hand, and then as the command says, but for the port.
    mended = [sound_lines[0], *(sound_lines[at - 1] for at in BAD), *(line.decode() for line in lines[4:])]
    written.write_text("\n".join(mended) + "\n")
    port = free_port()
    advised = said.partition("Then: ")[2].strip().replace(":8800", f":{port}").replace(" 8800 ", f" {port} ")
    pack, serve, backfill = re.split("; | & ", advised)
    subprocess.run(shlex.split(pack), check=True, timeout=60)
    program, *options = shlex.split(serve)
    assert program == "python3"
    variable, airflow, *command = shlex.split(backfill)
    assert airflow == "airflow"
    server = subprocess.Popen(
        [sys.executable, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    try:
        wait_until(lambda: listens(port), timeout=60, what="the mended file's server")
        name, _, address = variable.partition("=")
        done = taxi.airflow.run(*command, timeout=300, **{name: address})
    finally:
        end_group(server)
    assert done.returncode == 0, done.stdout + done.stderr

    whole = written.with_name(f"{written.name}.gz")
    with taxi.connect() as connection:
        found = sorted(row_id.replace("-", "") for row_id in ids(connection, GREEN, whole.name))
    assert found == sorted(specified_ids(replace(GREEN, columns=GREEN.layout_of(MONTH).columns), whole))
    assert rejects(taxi, "green", "2019-03", "-o", "json") == (
        0, "[]\n", f"green 2019-03: 0 of {ROWS} rows of its file can't be read.\n"
    )  # fmt: skip


def test_a_month_in_parquet_is_mended_as_csv_and_loaded_by_a_release_of_its_own(
    taxi: TaxiAirflow, mirror: FaultyMirror, tmp_path: Path
) -> None:
    month, bad = Month(2024, 1), 7
    path = tmp_path / GREEN.download_name(month)
    write_sample_month(GREEN, month, path, rows=40)
    table = pq.read_table(path)
    (*_, place) = (at for at, name in enumerate(table.column_names) if name == "PULocationID")
    zones = [float(zone) for zone in table.column(place).to_pylist()]
    right, zones[bad] = f"{zones[bad]:.0f}", zones[bad] + 0.5
    pq.write_table(table.set_column(place, "PULocationID", pa.array(zones)), path)
    mirror.put(f"/{GREEN.file_path(month)}", path.read_bytes())
    with taxi.connect() as connection:
        load(connection, replace(GREEN, max_rejected_share=0.1), str(month), path)

    code, _, said = rejects(taxi, "green", str(month), "--csv", str(tmp_path / "mended"))
    written = tmp_path / "mended" / "trip-data" / "green_tripdata_2024-01.csv"
    assert code == 1
    assert said.endswith(
        f"green 2024-01: wrote {written}. Mend line 2 of it: this one was rejected. Then load it by a release of its "
        f"own, of the format csv: docs/commands.md#loading-a-mended-file\n"
    )
    header, first, *others = written.read_text().splitlines()
    assert (header.split(",")[place], len(others)) == ("PULocationID", 39)
    fields = first.split(",")
    assert fields[place] == f"{right}.5"
    lines = [header, ",".join([*fields[:place], right, *fields[place + 1 :]]), *others]
    written.write_text("\n".join(lines) + "\n")

    # As that page shows it.
    file = tmp_path / "green.yaml"
    config = yaml.safe_load((SOURCES_FOLDER / file.name).read_text())
    *before, parquet = config["releases"]
    own = {"from": "2024-01", "to": "2024-01", "connection": "mended", "format": "csv"}
    own["path"] = "trip-data/green_tripdata_{month}.csv"
    config["releases"] = [*before, {**parquet, "to": "2023-12"}, own, {**parquet, "from": "2024-02"}]
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    source = load_source(file)
    with taxi.connect() as connection:
        assert load(connection, source, str(month), written, run_id="manual__mended").inserted == 40
        found = sorted(row_id.replace("-", "") for row_id in ids(connection, source, written.name))
    packed = write_gzip(tmp_path / "mended.csv.gz", lines)
    assert found == sorted(specified_ids(replace(GREEN, columns=GREEN.layout_of(month).columns), packed))
    assert rejects(taxi, "green", str(month))[0] == 0


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_file_that_the_source_has_replaced_is_not_written(
    taxi: TaxiAirflow, mirror: FaultyMirror, tmp_path: Path
) -> None:
    path, _ = write_damaged(tmp_path, bad={7: "fields"})
    with taxi.connect() as connection:
        load(connection, GREEN, str(MONTH), path, run_id="manual__other")

    code, _, said = rejects(taxi, "green", "2019-03", "--csv", str(tmp_path / "mended"))

    assert code == 1
    assert "the source serves another file now: fetched SHA-256 " in said
    assert f"expected {source_file(path).sha256}, whose lines were rejected. Nothing was written." in said
    assert not (tmp_path / "mended").exists()


def test_the_command_in_the_error_of_a_load_leads_on_to_the_file_to_mend(
    taxi: TaxiAirflow, mirror: FaultyMirror, tmp_path: Path
) -> None:
    month = Month(2019, 5)
    path, _ = write_damaged(tmp_path, rows=20, bad={3: "fields", 9: "fields"}, month=month)
    mirror.put(f"/{GREEN.file_path(month)}", path.read_bytes())
    with taxi.connect() as connection, pytest.raises(RejectLimitError) as caught:
        load(connection, GREEN, str(month), path)
    advised = re.search(r"To see and mend the lines: airflow taxi (.+?)\. ", str(caught.value))
    assert advised is not None

    command, *words = shlex.split(advised[1])
    code, text, said = rejects(taxi, *words, "-o", "json")

    assert (command, code) == ("rejects", 1)
    assert [(line["line"], line["reason"]) for line in json.loads(text)] == [
        (3, "19 fields, expected 20"),
        (9, "19 fields, expected 20"),
    ]
    assert said.startswith("green 2019-05: 2 of 20 rows of its file can't be read; the load ended as failed.")
    assert "give the command again with --csv FOLDER" in said
    _, _, said = rejects(taxi, *words, "--csv", str(tmp_path / "mended"))
    assert "Mend lines 2 to 3 of it: these were rejected. Then: gzip " in said


def test_bigquery_has_the_same_lines(bigquery: StandIn, cloud_storage: CloudStorage, tmp_path: Path) -> None:
    cloud = Cloud.connect().set_up()
    warehouse = BigQueryMonths(cloud.jobs())
    assert warehouse.rejected(GREEN, MONTH) is None
    path, lines = write_damaged(tmp_path, rows=40, bad={5: "fields"})
    cloud.load(replace(GREEN, max_rejected_share=1.0), str(MONTH), path)

    found = warehouse.rejected(GREEN, MONTH)

    assert found is not None
    assert (found.state, found.sha256, found.rows_read, found.count) == ("published", source_file(path).sha256, 40, 1)
    assert list(found.lines) == [RejectedLine(5, damaged(lines[4], "fields").decode(), "19 fields, expected 20")]
