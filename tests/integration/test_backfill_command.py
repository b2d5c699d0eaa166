"""``airflow dags backfill`` without any of Airflow's services, on DAGs that are paused as new DAGs are."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from tests.integration.airflow_environment import (
    PATIENCE,
    AirflowEnvironment,
    one_home,
    shared_metadata_server,
    wait_until,
)
from tests.integration.terminal import run_in_terminal

DAGS = Path(__file__).with_name("backfill_dags")


@contextmanager
def new_airflow(home: Path, *, own_api: bool) -> Iterator[AirflowEnvironment]:
    environment = AirflowEnvironment.create(shared_metadata_server(), home, dags=DAGS, own_api=own_api)
    try:
        yield environment
    finally:
        environment.close()


@pytest.fixture(scope="module")
def airflow() -> Iterator[AirflowEnvironment]:
    with new_airflow(one_home(), own_api=False) as environment:
        yield environment


@pytest.fixture(scope="module")
def alone() -> Iterator[AirflowEnvironment]:
    """Nothing of Airflow runs: the command starts all that it needs."""
    with new_airflow(one_home("second home"), own_api=True) as environment:
        yield environment


def backfill(
    airflow: AirflowEnvironment, dag_id: str, start: str, end: str, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return airflow.run("dags", "backfill", "-s", start, "-e", end, *options, dag_id, **variables)


def runs(airflow: AirflowEnvironment, dag_id: str) -> dict[str, str]:
    rows = airflow.query(
        "SELECT to_char(logical_date AT TIME ZONE 'UTC', 'YYYY-MM'), state FROM dag_run WHERE dag_id = %s ORDER BY 1",
        dag_id,
    )
    assert len(dict(rows)) == len(rows), f"a month has two runs: {rows}"
    return dict(rows)


def is_paused(airflow: AirflowEnvironment, dag_id: str) -> bool:
    return bool(airflow.query("SELECT is_paused FROM dag WHERE dag_id = %s", dag_id)[0][0])


def most_at_once(airflow: AirflowEnvironment, dag_id: str) -> int:
    """Count the runs that were under way together, from the times that Airflow recorded."""
    rows = airflow.query("SELECT start_date, end_date FROM dag_run WHERE dag_id = %s", dag_id)
    return max(sum(1 for start, end in rows if start <= moment < end) for moment, _ in rows)


def months(*numbers: int) -> list[str]:
    return [f"2019-{number:02d}" for number in numbers]


YEAR = months(*range(1, 13))


def test_a_year_of_a_new_dag(alone: AirflowEnvironment) -> None:
    """The DAG is in nobody's database yet, nothing of Airflow runs, and the command is typed as it always was."""
    assert alone.query("SELECT 1 FROM dag") == []

    first = backfill(alone, "trivial", "2019-01-01", "2019-12-31")

    assert first.returncode == 0, first.stdout + first.stderr
    assert runs(alone, "trivial") == dict.fromkeys(YEAR, "success")
    assert alone.query("SELECT DISTINCT dag_id FROM dag_run") == [("trivial",)]
    assert is_paused(alone, "trivial")
    assert 2 <= most_at_once(alone, "trivial") <= 4
    assert alone.query("SELECT count(*) FROM backfill WHERE completed_at IS NULL") == [(0,)]
    assert alone.query("SELECT DISTINCT state FROM job WHERE job_type = 'BackfillJob'") == [("success",)]
    # One line for each change of a month, in plain text, and nothing of Airflow's own messages.
    assert re.search(r"[\x00-\x09\x0b-\x1f]", first.stdout) is None
    lines = first.stdout.splitlines()
    assert lines[0] == "trivial: 12 months, 2019-01 to 2019-12: 12 to run"
    assert re.fullmatch(r"12 of 12 months succeeded, in .*", lines[-1])
    for month in YEAR:
        own = [line for line in lines[1:-1] if month in line]
        assert re.fullmatch(rf"\[ ?\d+/12\] {month} running", own[0])
        assert re.fullmatch(rf"\[ ?\d+/12\] {month} succeeded after .*", own[1])
        assert len(own) == 2
    assert len(lines) == 2 + 2 * 12
    assert [line for line in lines if "succeeded after" in line][-1].startswith("[12/12]")
    # What tasks and Airflow had to say is kept.
    logs = alone.home / "logs"
    assert len(list(logs.glob("dag_id=trivial/run_id=*/task_id=*/attempt=1.log"))) == 24
    assert "Workload finished" in "".join(log.read_text() for log in (logs / "dags_backfill").iterdir())

    second = backfill(alone, "trivial", "2019-01-01", "2019-12-31")

    assert second.returncode == 0, second.stdout + second.stderr
    assert second.stdout.count("already succeeded") == 1 + 12
    assert "12 of 12 months succeeded, 12 of them earlier" in second.stdout
    assert (
        "Runs that succeeded earlier were not checked. To run all of them again: airflow dags backfill" in second.stdout
    )
    assert runs(alone, "trivial") == dict.fromkeys(YEAR, "success")
    assert alone.query("SELECT max(try_number) FROM task_instance WHERE dag_id = 'trivial'") == [(1,)]


def test_the_latest_month_first_one_at_a_time_on_a_dag_that_is_not_paused(airflow: AirflowEnvironment) -> None:
    """No scheduler runs: that the DAG isn't paused must neither keep months waiting nor create others."""
    first = backfill(airflow, "other_trivial", "2018-01-01", "2019-01-31")
    assert first.returncode == 0, first.stdout + first.stderr
    before = "before 2019-01-01: no runs, because DAG 'other_trivial' starts then\n"
    assert first.stdout.startswith(f"other_trivial: {before}other_trivial: 1 month, 2019-01: 1 to run\n")
    assert first.stdout.endswith(before)
    assert runs(airflow, "other_trivial") == {"2019-01": "success"}
    airflow.query("UPDATE dag SET is_paused = false WHERE dag_id = 'other_trivial'")

    done = backfill(
        airflow, "other_trivial", "2019-01-01", "2019-03-31", "--run-backwards", "--max-active-runs", "1", "-y"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert runs(airflow, "other_trivial") == dict.fromkeys(months(1, 2, 3), "success")
    assert not is_paused(airflow, "other_trivial")
    order = airflow.query(
        "SELECT to_char(logical_date AT TIME ZONE 'UTC', 'YYYY-MM') FROM dag_run WHERE dag_id = 'other_trivial'"
        " AND to_char(logical_date AT TIME ZONE 'UTC', 'YYYY-MM') <> '2019-01' ORDER BY start_date"
    )
    assert [month for (month,) in order] == months(3, 2)
    assert most_at_once(airflow, "other_trivial") == 1

    again = backfill(
        airflow,
        "other_trivial",
        "2019-02-01",
        "2019-02-28",
        "--reprocess-behavior",
        "completed",
        "-c",
        '{"why": "test"}',
    )

    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 month, 2019-02: 1 to rerun" in again.stdout
    assert airflow.query(
        "SELECT to_char(logical_date AT TIME ZONE 'UTC', 'YYYY-MM'), clear_number, conf->>'why' FROM dag_run"
        " WHERE dag_id = 'other_trivial' ORDER BY 1"
    ) == [("2019-01", 0, None), ("2019-02", 1, "test"), ("2019-03", 0, None)]

    plain = backfill(airflow, "other_trivial", "2019-02-01", "2019-02-28", "--reprocess-behavior", "completed")

    assert plain.returncode == 0, plain.stdout + plain.stderr
    assert airflow.query(
        "SELECT clear_number, conf->>'why' FROM dag_run WHERE dag_id = 'other_trivial'"
        " AND to_char(logical_date AT TIME ZONE 'UTC', 'YYYY-MM') = '2019-02'"
    ) == [(2, None)], "a call's conf is for that call"


def test_a_month_that_fails(airflow: AirflowEnvironment) -> None:
    first = backfill(airflow, "failing", "2019-01-01", "2019-04-30")

    assert first.returncode == 1
    assert runs(airflow, "failing") == dict.fromkeys(months(1, 2, 4), "success") | {"2019-03": "failed"}
    assert "3 of 4 months succeeded" in first.stdout
    assert "2019-03 failed: load: TripsMissingError: no trips in 2019-03: expected some\n" in first.stdout
    log = re.search(r"^    log: (.*)$", first.stdout, flags=re.MULTILINE)
    assert log is not None
    assert "TripsMissingError" in Path(log[1]).read_text()
    assert "airflow dags backfill -s 2019-01-01 -e 2019-04-30 --reprocess-behavior failed failing" in first.stdout

    # It is left alone as long as nobody asks for it, and still it is not a success.
    second = backfill(airflow, "failing", "2019-01-01", "2019-04-30")
    assert second.returncode == 1
    assert "3 already succeeded, 1 failed earlier" in second.stdout
    assert "2019-03 failed earlier: load: TripsMissingError" in second.stdout
    assert "--reprocess-behavior failed" in second.stdout

    (airflow.home / "corrected").touch()
    third = backfill(airflow, "failing", "2019-01-01", "2019-04-30", "--rerun-failed-tasks")
    assert third.returncode == 0, third.stdout + third.stderr
    assert "1 to rerun after a failure, 3 already succeeded" in third.stdout
    assert airflow.query(
        "SELECT sum(try_number), max(try_number) FROM task_instance WHERE dag_id = 'failing' AND state = 'success'"
    ) == [(5, 2)]


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(airflow: AirflowEnvironment) -> None:
    def everything() -> list[tuple[object, ...]]:
        tables = (
            "dag",
            "serialized_dag",
            "dag_version",
            "dag_run",
            "task_instance",
            "backfill",
            "backfill_dag_run",
            "job",
        )
        return [
            row for table in tables for row in airflow.query(f"SELECT '{table}', t::text FROM {table} t ORDER BY 2")
        ]

    assert backfill(airflow, "retrying", "2019-02-01", "2019-02-28").returncode == 0
    before = everything()

    plain = backfill(airflow, "retrying", "2019-01-01", "2019-03-31", "--dry-run")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.splitlines() == ["2019-01  create", "2019-02  skip: already succeeded", "2019-03  create"]

    # A key that Airflow itself reads.
    traced = ("-c", '{"airflow/task_span_detail_level": 2, "why": "traced"}')
    for_airflow = backfill(airflow, "trivial", "2019-01-01", "2019-01-31", "--dry-run", *traced)
    assert for_airflow.returncode == 0, for_airflow.stderr

    completed = backfill(airflow, "retrying", "2019-02-01", "2019-03-31", "-n", "--reset-dagruns", "-B")
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.splitlines() == ["2019-03  create", "2019-02  rerun"]

    assert everything() == before


def test_a_task_that_is_tried_again(airflow: AirflowEnvironment) -> None:
    done = backfill(airflow, "retrying", "2019-05-01", "2019-05-31")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2019-05 load_at_second_try failed and is tried again: TripsMissingError: not yet\n" in done.stdout
    assert airflow.query(
        "SELECT try_number, state FROM task_instance WHERE dag_id = 'retrying' AND run_id LIKE '%%2019-05%%'"
    ) == [(2, "success")]


def test_a_task_that_waits_for_a_trigger(alone: AirflowEnvironment) -> None:
    done = backfill(alone, "deferring", "2019-01-01", "2019-01-31")

    assert done.returncode == 0, done.stdout + done.stderr
    assert runs(alone, "deferring") == {"2019-01": "success"}
    # The triggerer that was started for it has ended in good order.
    assert alone.query("SELECT state FROM job WHERE job_type = 'TriggererJob'") == [("success",)]


def test_a_task_whose_pause_is_reported_after_it_has_gone_on(airflow: AirflowEnvironment) -> None:
    done = backfill(airflow, "reported_late", "2019-01-01", "2019-02-28")

    assert done.returncode == 0, done.stdout + done.stderr
    assert runs(airflow, "reported_late") == {"2019-01": "success", "2019-02": "success"}


def test_callbacks_run_without_a_dag_processor_also_those_that_one_has_left(airflow: AirflowEnvironment) -> None:
    """The last one takes long, and Ctrl-C ends it."""
    airflow.query(
        "INSERT INTO job (job_type, state, latest_heartbeat)"
        " VALUES ('DagProcessorJob', 'running', now() + interval '1 hour')"
    )
    done = backfill(airflow, "telling", "2019-01-01", "2019-01-31")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Waiting for callbacks" not in done.stdout
    left = "SELECT count(*) FROM callback"
    assert airflow.query(left) == [(1,)]
    airflow.query("DELETE FROM job WHERE job_type = 'DagProcessorJob'")

    assert backfill(airflow, "telling", "2019-02-01", "2019-02-28").returncode == 1
    assert sorted(path.name for path in airflow.home.glob("told-*")) == ["told-2019-01", "told-2019-02"]
    assert airflow.query(left) == [(0,)]

    command = airflow.popen("dags", "backfill", "-s", "2019-03-01", "telling")
    wait_until((airflow.home / "told-2019-03").exists, timeout=120, what="the callback of March")
    family = psutil.Process(command.pid).children(recursive=True)
    os.killpg(command.pid, signal.SIGINT)
    output, _ = command.communicate(timeout=PATIENCE * 120)

    assert command.returncode == 1, output
    assert "Waiting for callbacks of runs that have ended, 60 seconds at most. Ctrl-C ends them.\n" in output
    assert "0 of 1 month succeeded" in output
    assert psutil.wait_procs(family, timeout=PATIENCE * 30)[1] == []


def test_another_server_at_airflows_address_is_not_taken_for_its_api(alone: AirflowEnvironment) -> None:
    asked: list[str] = []

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path.endswith("/health") else 404)
            self.end_headers()
            self.wfile.write(b'{"status": "healthy"}')

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Impostor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        done = backfill(alone, "trivial", "2020-05-01", "2020-05-31", AIRFLOW__API__BASE_URL=address)
    finally:
        server.shutdown()
        server.server_close()

    assert done.returncode == 0, done.stdout + done.stderr
    assert asked[0] == "/execution/health"
    assert asked[-1].startswith("/execution/dag-runs/trivial/")
    assert not [path for path in asked if "task-instances" in path], "no task has spoken to it"


def test_live_progress_on_a_terminal(airflow: AirflowEnvironment) -> None:
    dates = ("-s", "2020-01-01", "-e", "2020-02-28")
    code, text = run_in_terminal(airflow, "dags", "backfill", *dates, "trivial", columns=100)

    assert code == 0
    assert "\x1b[?25l" in text, "the cursor is hidden while the display moves"
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "and shown again in the end"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "2 running, 0 waiting" in plain
    assert "[2/2]" in plain
    assert "2 of 2 months succeeded" in plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-s", "2019-01-01", "-e", "2019-12-31", "trvial"), "'trvial' not found: did you mean trivial"),
        (("-s", "2019-12-31", "-e", "2019-01-01", "trivial"), "--start-date 2019-12-31 is after --end-date 2019-01-01"),
        (("-s", "2001-01-01", "-e", "2001-12-31", "trivial"), "has no run from 2001-01-01 to 2001-12-31"),
        (
            ("-s", "2001-01-01", "-e", "2001-12-31", "trivial"),
            ". The nearest run is 2019-01: run it with airflow dags backfill -s 2019-01-01 -e 2019-01-01 trivial\n",
        ),
        (
            ("-s", "2019-02-15", "-e", "2019-02-20", "--max-active-runs", "2", "trivial"),
            "has no run from 2019-02-15 to 2019-02-20: its schedule is 0 9 1 * *. The nearest runs are 2019-02 and "
            "2019-03: run them with airflow dags backfill -s 2019-02-01 -e 2019-03-01 --max-active-runs 2 trivial\n",
        ),
        (("-s", "2019-01-01", "-e", "2019-12-31", "--ignore-dependencies", "trivial"), "unrecognized arguments"),
        (("-s", "2019-01-01", "-c", '{"month": "2019-03"}', "trivial"), "--conf names month, which is for runs that"),
        (
            ("-s", "2019-01-01", "-c", '{"wy": "?", "force": true}', "trivial"),
            "--conf has wy (did you mean why?), force: the params of DAG 'trivial' are month, why\n",
        ),
        (
            ("-s", "2019-01-01", "-c", '{"why": true}', "trivial"),
            "does not fit the params of DAG 'trivial': Invalid input for param why: True is not of type 'string'\n",
        ),
        (("-n", "-s", "2019-01-01", "-c", '{"wy": "?"}', "trivial"), "--conf has wy (did you mean why?)"),
    ],
)
def test_what_cannot_be_done_is_said(airflow: AirflowEnvironment, arguments: tuple[str, ...], message: str) -> None:
    before = airflow.query("SELECT count(*) FROM dag_run")

    refused = airflow.run("dags", "backfill", *arguments)

    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
    assert airflow.query("SELECT count(*) FROM dag_run") == before


def test_a_file_that_cannot_be_imported_is_named(airflow: AirflowEnvironment, tmp_path: Path) -> None:
    (tmp_path / "broken_dag.py").write_text("from airflow.sdk import DAG\nimport no_such_module\n")

    refused = backfill(airflow, "broken", "2019-01-01", "2019-01-31", AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path))

    assert refused.returncode == 1
    assert "broken_dag.py: ModuleNotFoundError: No module named 'no_such_module'" in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr


def test_somebody_elses_backfill_is_not_disturbed(airflow: AirflowEnvironment) -> None:
    assert backfill(airflow, "trivial", "2021-01-01", "2021-01-31").returncode == 0
    created = airflow.run(
        "backfill", "create", "--dag-id", "trivial", "--max-active-runs", "2",
        "--from-date", "2021-02-01", "--to-date", "2021-03-31",
    )  # fmt: skip
    assert created.returncode == 0, created.stderr

    refused = backfill(airflow, "trivial", "2021-01-01", "2021-12-31")

    assert refused.returncode == 1
    assert "another backfill of trivial is not finished: number" in refused.stderr
    assert "for 2021-02-01 to 2021-03-31" in refused.stderr
    dry = backfill(airflow, "trivial", "2021-01-01", "2021-12-31", "--dry-run")
    assert (dry.returncode, dry.stderr) == (1, refused.stderr), "a dry run says what a call would say"
    assert airflow.query("SELECT count(*) FROM dag_run WHERE dag_id = 'trivial' AND state = 'queued'") == [(2,)]


def test_the_command_is_documented(airflow: AirflowEnvironment) -> None:
    """Every option that the command has stands in the documentation."""
    text = airflow.succeed("dags", "backfill", "--help")
    documented = (Path(__file__).parents[2] / "docs" / "backfill.md").read_text(encoding="utf-8")
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help"}
    assert len(options) > 10
    assert {option for option in options if f"`{option}" not in documented} == set()
