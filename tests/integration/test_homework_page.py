"""docs/homework.md: its commands and queries, run as they are written, on sample months."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from taxiway.compare.known_figures import read_figures
from taxiway.paths import FIGURES_FILE, ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_months
from tests.conftest import PostgresServer
from tests.integration.taxi_airflow import TaxiAirflow
from tests.loading import load, unpacked_bytes

PAGE = (ROOT / "docs" / "homework.md").read_text(encoding="utf-8")
ROWS = 20
TAXIS = [load_source(SOURCES_FOLDER / f"{name}.yaml") for name in ("green", "yellow")]
OF_2021 = [Month(2021, number) for number in range(1, 8)]
OF_2020 = [Month(2020, number) for number in (1, 4, 12)]


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}.*?\n(.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL)


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[TaxiAirflow]:
    """An Airflow with a mirror of sample months; those of 2020 are loaded, and of 2021 all but the first and last."""
    folder = tmp_path_factory.mktemp("homework")
    write_sample_months(TAXIS, [*OF_2020, *OF_2021], folder / "mirror", rows=ROWS)
    with (
        serve(folder / "mirror") as mirror,
        TaxiAirflow.create(postgres_server, folder / "home", mirror.address) as made,
    ):
        made.use_dag_files(ROOT / "dags" / "taxi.py")
        with made.connect() as connection:
            for source in TAXIS:
                for month in [*OF_2020, *OF_2021[1:-1]]:
                    load(connection, source, str(month), folder / "mirror" / source.file_path(month), f"m{month}")
        made.airflow.variables["TAXIWAY_TEST_MIRROR"] = str(folder / "mirror")
        yield made


def shell(taxi: TaxiAirflow, line: str) -> str:
    """Run a line of the page: a shell says how it calls ``bin/airflow``, and the Airflow of the test runs that.

    :return: what the commands printed to standard output
    """
    named = f'airflow() {{ printf "%s\\n" "$@" ""; }}; {line.replace("bin/airflow", "airflow")}'
    calls = subprocess.run(["sh", "-ec", named], capture_output=True, text=True, check=True).stdout
    commands = [call.split("\n") for call in calls.removesuffix("\n\n").split("\n\n")]
    return "".join(taxi.airflow.succeed(*command, timeout=900) for command in commands)


def file_of(taxi: TaxiAirflow, source: Source, month: Month) -> Path:
    return Path(taxi.airflow.variables["TAXIWAY_TEST_MIRROR"]) / source.file_path(month)


def answer(taxi: TaxiAirflow, title: str) -> list[tuple[Any, ...]]:
    (query,) = blocks(title, "sql")
    return taxi.query(query)


def test_the_queries_answer_the_questions(taxi: TaxiAirflow) -> None:
    size = unpacked_bytes(file_of(taxi, TAXIS[1], Month(2020, 12))) or 0

    ((found, mib, mb),) = answer(taxi, "1. How large")
    assert (found, float(mib), float(mb)) == (size, round(size / 2**20, 1), round(size / 10**6, 1))
    assert answer(taxi, "2. What is the rendered name") == [("green_tripdata_2020-04.csv",)]
    assert answer(taxi, "3. How many rows has yellow 2020") == [(ROWS * len(OF_2020),)]
    assert answer(taxi, "4. How many rows has green 2020") == [(ROWS * len(OF_2020),)]
    assert answer(taxi, "5. How many rows has yellow 2021-03") == [(ROWS,)]


def test_the_page_expects_what_the_table_of_figures_has() -> None:
    for figure in read_figures(FIGURES_FILE):
        if figure.question is not None:
            assert f"{figure.value:,}" in section(f"{figure.question}. "), figure
    assert "128.3 MiB" in section("1. ")
    assert round(134_481_400 / 2**20, 1) == 128.3


def test_a_schedule_in_new_yorks_time_is_one_line(tmp_path: Path) -> None:
    """The lines of the page take the place of the schedule's: a run in summer and one in winter are at nine."""
    (lines,) = blocks("6. How is a schedule", "yaml")
    text = (SOURCES_FOLDER / "green.yaml").read_text(encoding="utf-8")
    schedule = lines.splitlines()[0]
    assert f"\n{schedule}\n" in text
    path = tmp_path / "green.yaml"
    path.write_text(text.replace(f"{schedule}\n", lines), encoding="utf-8")

    source = load_source(path)

    assert (source.timezone, source.schedule) == ("America/New_York", "0 9 1 * *")
    hours = [datetime(2021, month, 1, 9, tzinfo=source.zone).astimezone(timezone.utc).hour for month in (1, 7)]
    assert hours == [14, 13]
    assert [f"{hour}:00 UTC" in section("6. ") for hour in hours] == [True, True]


def test_the_assignment_is_one_line(taxi: TaxiAirflow) -> None:
    line, by_the_form = blocks("The assignment", "sh")

    said = shell(taxi, line)

    assert said.count("7 of 7 months succeeded") == 2
    (query,) = blocks("The assignment", "sql")
    assert taxi.query(query) == [(source.name, len(OF_2021), ROWS * len(OF_2021)) for source in TAXIS]

    shell(taxi, by_the_form)
    assert taxi.query(
        "SELECT state FROM taxiway.loads WHERE source = 'green' AND month = '2021-07-01' ORDER BY load_id"
    ) == [("published",), ("unchanged",)]
