"""The project's DAGs in a real Airflow: months from one command, corrected and bad ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

import pytest

from taxiway.loads.deletions import ACCEPTING_CONF
from taxiway.loads.row_identity import digest
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.samples import write_sample_month, write_sample_months
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import PATIENCE, one_home, wait_until
from tests.integration.taxi_airflow import GREEN_DAGS, TaxiAirflow
from tests.loading import lines_of, load, specified_ids, write_gzip
from tests.mirror_faults import FaultyMirror, cut_off, html_page, status
from tests.receivers import Receivers, receivers

MONTHS = [Month(2019, number) for number in range(1, 6)]
ROWS = 150

IDS = "SELECT replace(unique_row_id::text, '-', '') FROM public.{table}"
CORRECTED_AT = """
SELECT to_char(month, 'YYYY-MM'), rows_inserted, rows_deleted, rows_unchanged
FROM taxiway.loads WHERE source = 'green' AND state IN ('published', 'unchanged') ORDER BY month, finished_at
"""
EVENTS = """
SELECT asset.name, partition_key, event.extra FROM asset_event AS event JOIN asset ON asset.id = event.asset_id
ORDER BY event.extra ->> 'month', event.id
"""


def said_of(green: Source, path: Path, month: Month, rows: int) -> dict[str, object]:
    """What the events of a month say."""
    digest_of_file = hashlib.sha256(path.read_bytes()).hexdigest()
    counts = {"rows": rows, "rejected": 0, "digest": digest_of_file, "file": path.name}
    return {"source": green.name, "month": str(month), **counts}


@pytest.fixture(scope="module")
def one_mirror() -> Iterator[FaultyMirror]:
    with FaultyMirror() as mirror:
        yield mirror


@pytest.fixture
def mirror(one_mirror: FaultyMirror, tmp_path: Path) -> FaultyMirror:
    """An empty mirror at the address of all tests: their Airflow is imported once."""
    one_mirror.reset(tmp_path / "mirror")
    return one_mirror


@pytest.fixture
def files(mirror: FaultyMirror, green: Source) -> list[Path]:
    """Sample months on the mirror; those after the third one are no samples that are known."""
    assert mirror.folder is not None
    paths = [mirror.folder / green.file_path(month) for month in MONTHS]
    for number, (month, path) in enumerate(zip(MONTHS, paths, strict=True)):
        write_sample_month(green, month, path, rows=ROWS, revision=int(number >= 3))
    return paths


@pytest.fixture
def taxi(mirror: FaultyMirror, postgres_server: PostgresServer) -> Iterator[TaxiAirflow]:
    with TaxiAirflow.create(postgres_server, one_home(), mirror.url) as taxi:
        yield taxi


@pytest.fixture
def green_alone(taxi: TaxiAirflow) -> None:
    """No DAGs of other sources are read: those of yellow taxis are, from the project's own files."""
    taxi.use_dag_files(GREEN_DAGS)


@pytest.mark.usefixtures("green_alone")
def test_months_from_one_command_again_and_corrected(
    taxi: TaxiAirflow, mirror: FaultyMirror, files: list[Path], green: Source
) -> None:
    rows = {str(month): len(lines_of(path)) - 1 for month, path in zip(MONTHS, files, strict=True)}
    whole = ("2019-01-01", "2019-05-31", "taxi_green")
    code, said = taxi.backfill(*whole)

    assert code == 0, said
    assert "5 of 5 months succeeded" in said
    assert taxi.query("SELECT filename, count(*) FROM green_tripdata GROUP BY 1 ORDER BY 1") == [
        (path.name.removesuffix(".gz"), count) for path, count in zip(files, rows.values(), strict=True)
    ]
    found = [row[0] for row in taxi.query(IDS.format(table="green_tripdata"))]
    assert digest(found) == digest(specified_ids(green, *files))
    assert taxi.query("SELECT * FROM pg_tables WHERE schemaname = 'taxiway_staging'") == []
    assert taxi.airflow.query("SELECT count(*) FROM dag_run") == [(5,)]
    assert taxi.airflow.query("SELECT is_paused FROM dag WHERE dag_id = 'taxi_green'") == [(True,)]
    events = taxi.airflow.query(EVENTS)
    assert len(events) == 10
    for month, path in zip(MONTHS, files, strict=True):
        of_month = [event for event in events if event[2]["month"] == str(month)]
        assert {event[1] for event in of_month} == {str(month), None}
        assert [(name, extra) for name, _, extra in of_month] == [
            ("postgres_green_tripdata", said_of(green, path, month, rows[str(month)]))
        ] * 2

    # The same command again has nothing to do, and says so.
    code, said = taxi.backfill(*whole)
    assert code == 0, said
    assert taxi.airflow.query("SELECT count(*) FROM dag_run") == [(5,)]

    # One file is corrected, one is unchanged, and three are cut off. What the first of these replaces is a sample,
    # which may go; the others wait for a person.
    january, _, march, april, may = files
    held_back = specified_ids(green, april, may)
    january.unlink()
    corrected = write_sample_month(green, MONTHS[0], january, rows=ROWS, revision=1)
    kept = ROWS // 2
    for path in (march, april, may):
        write_gzip(path, lines_of(path)[: 1 + kept])
    code, said = taxi.backfill(*whole, "--reprocess-behavior", "completed")
    assert (code, "3 of 5 months succeeded" in said) == (1, True), said
    for month in ("2019-04", "2019-05"):
        too_many = f"would delete {rows[month] - kept} of the {rows[month]} published rows, expected at most 20.00%"
        assert f"{month}.csv {too_many}" in said
    # Of the unchanged one nothing was published, so no event follows, and nothing was fetched again.
    more = [event for event in taxi.airflow.query(EVENTS) if event not in events]
    assert sorted(extra["month"] for _, _, extra in more) == ["2019-01", "2019-01", "2019-03", "2019-03"]
    assert {key for _, key, _ in more} == {"2019-01", "2019-03", None}
    assert answered(mirror, files[1]) == [(200, files[1].stat().st_size), (304, 0)]
    loads = taxi.query(CORRECTED_AT)
    assert ("2019-01", corrected.inserted, corrected.deleted, corrected.unchanged) in loads
    assert corrected.inserted > 0 < corrected.deleted
    assert ("2019-02", 0, 0, ROWS) in loads
    assert ("2019-03", 0, ROWS - kept, kept) in loads
    found = [row[0] for row in taxi.query(IDS.format(table="green_tripdata"))]
    assert digest(found) == digest([*specified_ids(green, *files[:3]), *held_back])

    conf = f"--conf '{ACCEPTING_CONF}' --reprocess-behavior failed taxi_green"
    assert said.rstrip().endswith(
        "2019-04, 2019-05: look first at what the error says. If that is right, rerun with the conf that it names: "
        f"airflow dags backfill -s 2019-04-01 -e 2019-05-01 {conf}"
    )
    # What the error of one advises accepts that one only, and what the status of the other one advises, that.
    (advised,) = set(re.findall(r"conf \S+ true}: (airflow dags backfill -s 2019-04-01 .* taxi_green)$", said, re.M))
    taxi.airflow.succeed(*shlex.split(advised)[1:], timeout=300)
    counted = "SELECT to_char(source_month, 'YYYY-MM'), count(*) FROM green_tripdata GROUP BY 1 ORDER BY 1 OFFSET 2"
    assert taxi.query(counted) == [("2019-03", kept), ("2019-04", kept), ("2019-05", rows["2019-05"])]
    told = taxi.airflow.run("taxi", "status", "--source", "green", "--failed", "--output", "json")
    (failed,) = json.loads(told.stdout)
    assert (failed["month"], failed["rows"]) == ("2019-05", rows["2019-05"])
    again = shlex.split(failed["note"].rpartition("load again: ")[2])
    shutil.rmtree(taxi.airflow.home / "cache")
    taxi.airflow.succeed(*again[1:], timeout=300)
    found = [row[0] for row in taxi.query(IDS.format(table="green_tripdata"))]
    assert digest(found) == digest(specified_ids(green, *files))
    # A file that was loaded in vain was in the cache, and is fetched if the cache is gone.
    assert [[code for code, _ in answered(mirror, path)] for path in (april, may)] == [[200, 200, 304], [200] * 3]


def answered(mirror: FaultyMirror, path: Path) -> list[tuple[int, int]]:
    """Return what the requests for a file were answered, each with how many bytes went out."""
    return [(seen.status, seen.sent) for seen in mirror.seen if seen.path.endswith(path.name)]


@pytest.fixture
def told() -> Iterator[Receivers]:
    with receivers() as found:
        yield found


def test_a_backfill_waits_until_a_person_has_approved_deletions(
    taxi: TaxiAirflow, files: list[Path], green: Source, told: Receivers
) -> None:
    """March is approved and April rejected, by the API that the web UI asks; nobody answers about May.

    February is cancelled while it waits, and nobody is told that it failed.
    The publication that was approved loses its connection, and asks nobody again.
    """
    taxi.use_dag_files(Path(__file__).with_name("asking_dags") / "taxi.py")
    for month, path in zip(MONTHS[1:3], files[1:3], strict=True):
        path.unlink()
        write_sample_month(green, month, path, rows=ROWS, revision=1)
    with taxi.connect() as connection:
        for month, path in zip(MONTHS[1:], files[1:], strict=True):
            load(connection, green, str(month), path, run_id=f"manual__{month}")
    counted = "SELECT to_char(source_month, 'YYYY-MM'), count(*) FROM green_tripdata GROUP BY 1 ORDER BY 1"
    before = dict(taxi.query(counted))
    for path in files[1:]:
        write_gzip(path, lines_of(path)[: 1 + ROWS // 2])

    channels = '[{"by": "webhook", "path": "hook", "about": ["approval", "failed"]}]'
    taxi.airflow.rest("/variables", "POST", {"key": "taxiway_alerts", "value": channels})
    webhook = {"connection_id": "taxi_webhook", "conn_type": "http", "host": told.http}
    taxi.airflow.rest("/connections", "POST", webhook)
    written = taxi.airflow.home / "approval.txt"
    with written.open("w") as output:
        process = taxi.airflow.popen(
            "dags", "backfill", "-s", "2019-02-01", "-e", "2019-05-31", "taxi_green", stdout=output
        )
    waiting = "SELECT run_id FROM task_instance WHERE task_id = 'merge_month' AND state = 'awaiting_input' ORDER BY 1"
    runs = wait_until(
        lambda: found if len(found := taxi.airflow.query(waiting)) == 4 else None, timeout=240, what="four questions"
    )
    states = taxi.query("SELECT last_state, last_error FROM taxiway.months ORDER BY month")
    assert {state for state, _ in states} == {"running"}
    assert all(error.startswith("waits for a person to approve: green 2019-0") for _, error in states)
    assert dict(taxi.query(counted)) == before
    # The first question is told at once, and the others as soon as all runs wait.
    alone, together = wait_until(
        lambda: found if len(found := told.posted("/hook")) == 2 else None, timeout=60, what="two messages"
    )
    assert (alone["kind"], len(alone["months"]), together["kind"]) == ("approval", 1, "approval")
    assert sorted([*alone["months"], *together["months"]]) == [str(month) for month in MONTHS[1:]]
    assert "Approve or reject it in Airflow's web UI" in alone["advice"]
    waits = "merge_month waits for a person: answer it in the web UI, under Required Actions"
    wait_until(lambda: written.read_text().count(waits) == 4, timeout=60, what="the terminal to say that runs wait")
    (cancelled,), (approved,), (rejected,), _ = runs
    taxi.airflow.rest(f"/dags/taxi_green/dagRuns/{quote(cancelled)}", "PATCH", {"state": "failed"})

    def answer(run_id: str, option: str) -> None:
        task = f"/dags/taxi_green/dagRuns/{quote(run_id)}/taskInstances/merge_month/-1/hitlDetails"
        asked = taxi.airflow.rest(task)
        assert (asked["options"], asked["defaults"]) == (["Approve", "Reject"], ["Reject"])
        assert asked["subject"].endswith(" published rows?")
        assert ACCEPTING_CONF not in asked["body"]
        assert "Approve: the file is published, and these rows are deleted. Reject, or no answer" in asked["body"]
        taxi.airflow.rest(task, "PATCH", {"chosen_options": [option], "params_input": {}})

    lost = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with taxi.connect() as connection:
        connection.execute("LOCK TABLE green_tripdata IN ACCESS EXCLUSIVE MODE")
        answer(approved, "Approve")
        wait_until(lambda: taxi.query(lost), timeout=120, what="the publication to wait for the table")
    # Another question would wait for an answer until time is up.
    published = "SELECT 1 FROM dag_run WHERE run_id = %s AND state = 'success'"
    wait_until(lambda: taxi.airflow.query(published, approved), timeout=300, what="the approved month")
    answer(rejected, "Reject")
    taxi.airflow.query("UPDATE task_instance SET trigger_timeout = now() WHERE state = 'awaiting_input'")
    process.wait(timeout=PATIENCE * 300)
    said = written.read_text()

    assert (process.returncode, "1 of 4 months succeeded" in said) == (1, True), said
    assert "terminating connection" in said
    assert said.count(waits) == 4
    failed = [month for body in told.posted("/hook") if body["kind"] == "failed" for month in body["months"]]
    assert sorted(failed) == ["2019-04", "2019-05"]
    of_may = before["2019-05"]
    gone = of_may - ROWS // 2
    assert f"2019-05.csv would delete {gone} of the {of_may} published rows, nobody has approved that in time" in said
    assert re.search(r"2019-04\.csv would delete .* published rows, [Aa]dmin has rejected that\. ", said)
    assert dict(taxi.query(counted)) == {**before, "2019-03": ROWS // 2}
    assert taxi.query("SELECT to_char(month, 'MM'), state FROM taxiway.loads ORDER BY month, load_id") == [
        ("02", "published"),
        ("02", "running"),
        ("03", "published"),
        ("03", "failed"),
        ("03", "published"),
        ("04", "published"),
        ("04", "failed"),
        ("05", "published"),
        ("05", "failed"),
    ]
    assert taxi.query("SELECT * FROM pg_tables WHERE schemaname = 'taxiway_staging'") == []


def test_months_that_the_source_does_not_have_are_not_run(
    taxi: TaxiAirflow, mirror: FaultyMirror, green: Source
) -> None:
    taxi.use_dag_files(Path(__file__).with_name("ended_dags") / "taxi.py")
    last = Month(2021, 7)
    assert green.last_month == last
    assert mirror.folder is not None
    write_sample_months([green], [last], mirror.folder, rows=ROWS)
    there = "include/sources/green.yaml says that there are the months 2019-01 to 2021-07"
    left_out = f"2021-08 to 2021-10: not run, because {there}"

    code, said = taxi.backfill("2021-07-01", "2021-10-31", "taxi_green", "--dry-run")
    assert (code, said) == (0, f"2021-07  create\n{left_out}\n")

    code, said = taxi.backfill("2021-07-01", "2021-10-31", "taxi_green")
    assert code == 0, said
    assert said.startswith(f"taxi_green: {left_out}\ntaxi_green: 1 month, 2021-07: 1 to run\n")
    assert "1 of 1 month succeeded, in" in said
    assert said.endswith(f"{left_out}\n")
    assert taxi.airflow.query("SELECT count(*) FROM dag_run") == [(1,)]

    code, said = taxi.backfill("2021-08-01", "2021-08-31", "taxi_green")
    assert code == 2
    assert f"has no run from 2021-08-01 to 2021-08-31: 2021-08: not run, because {there}\n" in said


@pytest.mark.usefixtures("green_alone")
def test_months_that_are_not_published_yet(taxi: TaxiAirflow, green: Source) -> None:
    """The mirror has none of them. One is waited for, or skipped if somebody asks for it."""
    waiting = Month.of(datetime.now(timezone.utc).date()).previous()
    while not green.is_due(waiting.previous()):
        waiting = waiting.previous()
    day, before = str(waiting.first_day), waiting.previous()
    later = (
        f"from {day} 09:00 UTC on: not run, because the schedule starts these runs in the future, "
        f"the first at {green.due(waiting)} 09:00 UTC"
    )

    code, said = taxi.backfill(str(before.first_day), day, "taxi_green", "--dry-run")
    assert (code, said) == (0, f"{before}  create\n{later}\n")
    code, said = taxi.backfill(day, day, "taxi_green")
    assert code == 2, said
    assert later in said

    taxi.airflow.succeed("dags", "test", "taxi_green", "-c", json.dumps({"month": str(waiting)}))
    ((month, state, error),) = taxi.query("SELECT to_char(month, 'YYYY-MM'), state, error FROM taxiway.loads")
    assert (month, state) == (str(waiting), "skipped")
    assert "the answer is 404 " in error
    assert f"not published yet: include/sources/green.yaml expects the file by {green.due(waiting)}, 90 days " in error


@pytest.mark.parametrize("name", ["green", "yellow"])
def test_real_heads_side_by_side(
    name: str, request: pytest.FixtureRequest, tlc: Path, mirror: FaultyMirror, taxi: TaxiAirflow
) -> None:
    """The first months at once: ``test_load_steps.py`` loads every head of 2019."""
    source: Source = request.getfixturevalue(name)
    mirror.folder = tlc / "heads"
    code, said = taxi.backfill("2019-01-01", "2019-03-28", f"taxi_{name}", "--max-active-runs", "3")

    assert code == 0, said
    files = [tlc / "heads" / source.file_path(month) for month in MONTHS[:3]]
    assert taxi.query(f"SELECT filename, count(*) FROM {source.main_table} GROUP BY 1 ORDER BY 1") == [
        (path.name.removesuffix(".gz"), 100) for path in files
    ]
    found = [row[0] for row in taxi.query(IDS.format(table=source.main_table))]
    assert digest(found) == digest(specified_ids(source, *files))
    # They were loaded side by side, not one after another.
    assert taxi.airflow.query(
        "SELECT count(*) > 0 FROM dag_run a JOIN dag_run b ON a.id < b.id "
        "AND a.start_date < b.end_date AND b.start_date < a.end_date"
    ) == [(True,)]


@pytest.mark.parametrize(("name", "month", "rows"), [("green", "2020-04", 35_612), ("yellow", "2021-01", 22_792)])
def test_a_real_month_has_the_golden_ids(
    name: str,
    month: str,
    rows: int,
    request: pytest.FixtureRequest,
    tlc: Path,
    mirror: FaultyMirror,
    taxi: TaxiAirflow,
) -> None:
    source: Source = request.getfixturevalue(name)
    file = f"months/{name}/{name}_tripdata_{month}.csv.gz"
    golden = {entry["file"]: entry for entry in json.loads((tlc / "golden_row_ids.json").read_text())["files"]}[file]
    mirror.folder = tlc / "months"
    code, said = taxi.backfill(f"{month}-01", f"{month}-28", f"taxi_{name}")

    assert code == 0, said
    found = [row[0] for row in taxi.query(IDS.format(table=source.main_table))]
    assert (len(found), digest(found)) == (rows, golden["digest"])


@pytest.mark.usefixtures("green_alone")
def test_bad_months_fail_at_once_with_their_reason_and_good_ones_load(
    taxi: TaxiAirflow, mirror: FaultyMirror, tmp_path: Path, green: Source
) -> None:
    months = [Month(2019, number) for number in range(1, 10)]
    write_sample_months([green], months, tmp_path, rows=ROWS)
    whole = [(tmp_path / green.file_path(month)).read_bytes() for month in months]
    header = gzip.decompress(whole[0]).split(b"\r\n")[0]
    bad = {
        2: (status(404), r"404 Not Found.* expected the month's file"),
        3: (html_page("Please log in"), "Please log in"),
        4: (whole[3][: len(whole[3]) // 2], "gzip"),
        5: (whole[4][:-8] + bytes(8), "gzip"),
        6: (b"", "empty"),
        7: (gzip.compress(header + b"\r\n"), "no rows"),
        8: (gzip.compress(gzip.decompress(whole[7]).replace(b"VendorID,", b"Vendor,", 1)), "unknown Vendor"),
    }
    for number, body in enumerate(whole, start=1):
        mirror.put(f"/{green.file_path(Month(2019, number))}", bad.get(number, (body, ""))[0])
    # A connection that breaks is tried again, and the month loads.
    mirror.script(f"/{green.file_path(Month(2019, 9))}", cut_off(whole[8], after=len(whole[8]) // 2))

    code, said = taxi.backfill("2019-01-01", "2019-09-30", "taxi_green", "--max-active-runs", "2")

    assert code == 1
    assert taxi.query("SELECT DISTINCT filename FROM green_tripdata ORDER BY 1") == [
        ("green_tripdata_2019-01.csv",),
        ("green_tripdata_2019-09.csv",),
    ]
    assert taxi.query("SELECT count(*) FROM green_tripdata") == [(2 * ROWS,)]
    for number, (_, reason) in bad.items():
        failed = [line for line in said.splitlines() if f"green 2019-{number:02d}" in line]
        assert failed, f"{number}: {said}"
        assert re.search(reason, " ".join(failed)), f"{number}: {failed}"
    # What a retry can't fix was tried once.
    tries = dict(
        taxi.airflow.query(
            "SELECT to_char(r.logical_date, 'MM')::int, max(t.try_number) FROM task_instance t "
            "JOIN dag_run r ON r.run_id = t.run_id WHERE t.task_id IN ('download_month', 'stage_month') "
            "GROUP BY 1"
        )
    )
    assert {tries[number] for number in bad} == {1}
    assert tries[9] == 2
    assert taxi.query("SELECT * FROM pg_tables WHERE schemaname = 'taxiway_staging'") == []


@pytest.mark.usefixtures("files", "green_alone")
def test_a_month_that_is_triggered_on_the_command_line(taxi: TaxiAirflow) -> None:
    """The month of ``-c`` counts, and one that is none is refused before anything runs."""
    taxi.airflow.succeed("dags", "test", "taxi_green", "-c", '{"month": "2019-05"}', timeout=200)
    assert taxi.query("SELECT DISTINCT filename FROM green_tripdata") == [("green_tripdata_2019-05.csv",)]

    code, said = taxi.backfill("2019-06-01", "2019-06-30", "taxi_green", "-c", '{"month": "2019-05"}')
    assert code == 2, "a run of a range stands for its own month"
    assert "--conf names month, which is for runs that are triggered by hand" in said
    refused = taxi.airflow.run("dags", "trigger", "taxi_green", "-c", '{"month": "2019-13"}')
    assert refused.returncode != 0
    assert "month" in refused.stdout + refused.stderr

    known = "accept_deletions, force, month, use_cache"
    code, said = taxi.backfill("2019-06-01", "2019-06-30", "taxi_green", "-c", '{"forse": true}')
    assert code == 2
    assert f"--conf has forse (did you mean force?): the params of DAG 'taxi_green' are {known}\n" in said
    refused = taxi.airflow.run("dags", "trigger", "taxi_green", "-c", '{"force": "yes"}')
    assert refused.returncode != 0
    assert "force" in refused.stdout + refused.stderr
    # Airflow takes a key that it doesn't know, however a run is started: the run's first task refuses it.
    failed = taxi.airflow.run("dags", "test", "taxi_green", "-c", '{"month": "2019-05", "forse": true}', timeout=200)
    assert f"its conf has forse (did you mean force?). Expected: {known}." in failed.stdout + failed.stderr
    assert taxi.airflow.query(
        "SELECT r.state, t.task_id, t.try_number FROM task_instance t JOIN dag_run r USING (dag_id, run_id)"
        " WHERE r.conf::text LIKE '%forse%' AND t.state = 'failed'"
    ) == [("failed", "download_month", 1)]


@pytest.mark.usefixtures("files", "green_alone")
def test_a_task_that_is_cleared_as_its_error_advises_leads_on(taxi: TaxiAirflow) -> None:
    with taxi.connect() as connection:
        connection.execute(f"ALTER DATABASE {taxi.database} SET default_transaction_read_only = on")
    code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green")
    assert code == 1
    advice = re.search(r"2019-01 failed: (\w+): .*SQLSTATE 25006.*, and clear the task with its downstream tasks", said)
    assert advice is not None, said

    with taxi.connect() as connection:
        connection.read_only = False
        connection.execute(f"ALTER DATABASE {taxi.database} RESET default_transaction_read_only")
    taxi.airflow.succeed(
        "tasks", "clear", "taxi_green", "-t", advice[1], "-d", "-s", "2019-01-01", "-e", "2019-01-31", "-y"
    )
    code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green")

    assert code == 0, said
    assert "taxi_green: 1 month, 2019-01: 1 to take over\n" in said
    assert "1 of 1 month succeeded, in" in said
    assert taxi.query("SELECT count(*) FROM green_tripdata") == [(ROWS,)]
