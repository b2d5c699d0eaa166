"""``airflow taxi doctor`` and ``make doctor``: each thing that is broken has its line, and the line's mend leads on."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest
import sqlalchemy
import yaml
from sqlalchemy.orm import Session

from taxiway.cli.doctor import alerts, dag_files, metadata, mirrors
from taxiway.cli.stranded_runs import ALL_OF_ITS_RUNS, START
from taxiway.doctor.check import FAIL, OK, SKIP, WARN, Finding, examine, ok
from taxiway.download.refusals import Refusal
from taxiway.paths import ROOT, SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import load_source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.conftest import PostgresServer
from tests.faults.faked_clock import FakedClock
from tests.integration.airflow_environment import PATIENCE, free_port, wait_until
from tests.integration.command_output import in_columns
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.terminal import COLOURS, run_in_terminal, without_colours
from tests.loading import by_hand
from tests.mirror_faults import FaultyMirror, good, held, raw_server, status

CONNECTION, METADATA = "AIRFLOW_CONN_TAXI_POSTGRES", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
MIRROR, OFFICIAL = "AIRFLOW_CONN_TLC_MIRROR", "AIRFLOW_CONN_TLC_OFFICIAL"

OF_POSTGRES = [
    f"Postgres {name}" for name in ("rights", "durability", "sessions", "staging tables", "attempts", "locks")
]

SOUND = {"Postgres durability": WARN, "BigQuery settings": SKIP}
"""What isn't fine if nothing is broken: the server of the tests doesn't wait for the disk, and there is no BigQuery."""

OF_METADATA = ["api server", "scheduler", "dag processor", "triggerer", "runs", "clock", "cache", "alerts",
               "BigQuery settings"]  # fmt: skip

ZONES = '{"taxi": "zones"}'

GONE = Month(2019, 2)
"""The month of :func:`load_without_run`."""

Records = Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[TaxiAirflow]:
    """An Airflow in which nothing is broken: its mirrors have the files that are asked for, and a month of green."""
    folder = tmp_path_factory.mktemp("doctor")
    green = load_source(SOURCES_FOLDER / "green.yaml")
    for source, month in (*mirrors.first_files().values(), (green, Month(2019, 1))):
        path = folder / "mirror" / source.file_path(month)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sample_month(source, month, path, rows=20)
    with serve(folder / "mirror") as mirror:
        made = TaxiAirflow.create(postgres_server, folder / "home", mirror.address, extra=COLOURS)
        try:
            yield made
        finally:
            made.close()


def doctor(taxi: TaxiAirflow, output: str = "json", *options: str, **variables: str) -> tuple[int, Records, str]:
    """Run the command; return its exit code, its records by name, and what it wrote to standard error."""
    done = taxi.airflow.run("taxi", "doctor", "--output", output, *options, timeout=600, **variables)
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    formats = {"json": json.loads, "yaml": yaml.safe_load, "table": in_lines, "plain": in_columns}
    records = formats[output](done.stdout)
    return done.returncode, {record["check"]: record for record in records}, done.stderr


def in_lines(text: str) -> list[dict[str, str]]:
    """Read the lines that are for people; a mend has one of its own."""
    records = []
    for line in text.splitlines():
        if line.startswith("      mend: "):
            records[-1]["mend"] = line.removeprefix("      mend: ")
        else:
            name, _, found = line[6:].partition(": ")
            records.append({"check": name, "state": line[:6].strip(), "found": found, "mend": ""})
    return records


def states(records: Records) -> dict[str, str]:
    """The state of each check that isn't fine, by name."""
    return {name: record["state"] for name, record in records.items() if record["state"] != OK}


@contextmanager
def load_without_run(taxi: TaxiAirflow) -> Iterator[None]:
    """Begin a load whose run Airflow doesn't have."""
    green = load_source(SOURCES_FOLDER / "green.yaml")
    taxi.begin(green, GONE, taxi.airflow.home.parent / "mirror" / green.file_path(Month(2019, 1)), None)
    yield
    with taxi.connect() as connection:
        by_hand(connection, f"DELETE FROM taxiway.loads WHERE month = '{GONE}-01'")


def http(address: str) -> str:
    return json.dumps({"conn_type": "http", "host": address})


def test_nothing_is_broken(taxi: TaxiAirflow) -> None:
    code, records, said = doctor(taxi)

    assert (code, states(records)) == (0, SOUND)
    assert said == f"{len(records)} checks: 0 failed, 1 warned\n"
    assert all(list(record) == ["check", "state", "found", "mend"] for record in records.values())


@pytest.fixture
def small_dags(tmp_path: Path) -> Path:
    """A folder with one DAG, which is imported sooner than all."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "loop.py").symlink_to(ROOT / "dags" / "learn" / "loop.py")
    return tmp_path / "dags"


def test_each_broken_thing_has_its_line(taxi: TaxiAirflow, small_dags: Path, tmp_path: Path) -> None:
    package = tmp_path / "site" / "idna-0.1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: idna\nVersion: 0.1\n")
    broken = small_dags / "broken.py"
    broken.write_text("import airflow\ndag = 1 / 0\n")
    (tmp_path / "empty").mkdir()
    connection = {**json.loads(taxi.airflow.variables[CONNECTION]), "schema": "nowhere"}
    taxi.airflow.metadata.execute("CREATE DATABASE airflow_empty")
    uri = taxi.airflow.metadata.uri("airflow_empty").replace("postgresql://", "postgresql+psycopg2://", 1)
    try:
        with serve(tmp_path / "empty") as empty:
            code, records, _ = doctor(
                taxi,
                "yaml",
                PYTHONPATH=str(tmp_path / "site"),
                AIRFLOW__CORE__DAGS_FOLDER=str(small_dags),
                AIRFLOW__CORE__DEFAULT_TIMEZONE="Mars/Olympus",
                AIRFLOW__CORE__EXECUTOR="CeleryExecutor",
                **{MIRROR: http(f"http://127.0.0.1:{free_port()}"), OFFICIAL: http(empty.address)},
                **{CONNECTION: json.dumps(connection), METADATA: uri},
            )
        mend = shlex.split(records["metadata"]["mend"])
        migrated = taxi.airflow.run(*mend[1:], timeout=600, **{METADATA: uri})
        # As the other lines advise: the settings are left out or corrected, and so is the file.
        broken.unlink()
        mended = {"AIRFLOW__CORE__DAGS_FOLDER": str(small_dags), "AIRFLOW__CORE__DEFAULT_TIMEZONE": "utc"}
        with load_without_run(taxi):
            after = doctor(taxi, **mended, **{METADATA: uri})
    finally:
        taxi.airflow.metadata.drop_database("airflow_empty")

    assert (after[0], states(after[1])) == (0, SOUND | {"Postgres attempts": WARN})
    assert f"green {GONE} (download_month, since " in after[1]["Postgres attempts"]["found"]
    assert f"-s {GONE}-01 " in after[1]["Postgres attempts"]["mend"]
    assert code == 1
    assert states(records) == {
        "packages": FAIL,
        "time zone": FAIL,
        "DAGs": FAIL,
        "metadata": FAIL,
        "executor": FAIL,
        **dict.fromkeys(OF_METADATA, SKIP),
        "mirror tlc_mirror": FAIL,
        "mirror tlc_official": WARN,
        "Postgres server": FAIL,
        **dict.fromkeys(OF_POSTGRES, SKIP),
    }
    assert "idna is 0.1, expected " in records["packages"]["found"]
    assert "bin/make-venv requirements.txt" in records["packages"]["mend"]
    assert "Mars/Olympus is not a time zone" in records["time zone"]["found"]
    assert records["DAGs"]["found"] == "broken.py: ZeroDivisionError: division by zero"
    assert "has no tables of Airflow yet" in records["metadata"]["found"]
    assert (mend, migrated.returncode) == (["airflow", "db", "migrate"], 0)
    assert "can't be loaded: CeleryExecutor (named by AIRFLOW__CORE__EXECUTOR)" in records["executor"]["found"]
    assert "no answer: " in records["mirror tlc_mirror"]["found"]
    assert MIRROR in records["mirror tlc_mirror"]["mend"]
    assert "404" in records["mirror tlc_official"]["found"]
    assert "correct the path in the connection tlc_official (" in records["mirror tlc_official"]["mend"]
    assert "(SQLSTATE 3D000)" in records["Postgres server"]["found"]
    assert CONNECTION in records["Postgres server"]["mend"]


def test_connections_that_are_absent(taxi: TaxiAirflow, small_dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a narrow terminal, lines are left whole: the commands in them can be copied."""
    variables = taxi.airflow.variables
    given = {"HOST": str(taxi.server.socket_folder), "LOGIN": "postgres", "PASSWORD": "any", "DATABASE": taxi.database}
    given["https://HOST/PATH"] = json.loads(variables[MIRROR])["host"]
    monkeypatch.setitem(variables, "AIRFLOW__CORE__DAGS_FOLDER", str(small_dags))
    for name in (CONNECTION, MIRROR):
        monkeypatch.delitem(variables, name)
    of_postgres = ("--warehouse", "postgres")

    code, shown = run_in_terminal(taxi.airflow, "taxi", "doctor", *of_postgres, columns=40)
    *lines, said = shown.splitlines()
    coloured = [line for line in lines if re.match(r"\x1b\[[0-9;]+m(ok|warn|fail|skip) *\x1b\[0m ", line)]
    records = {record["check"]: record for record in in_lines(without_colours("\n".join(lines)))}
    assert (code, said) == (1, f"{len(records)} checks: 2 failed, 0 warned")
    assert len(coloured) == len(records)
    assert states(records) == {
        "mirror tlc_mirror": FAIL,
        "Postgres server": FAIL,
        **dict.fromkeys(OF_POSTGRES, SKIP),
    }
    mirror, server = records["mirror tlc_mirror"], records["Postgres server"]
    assert ": there is no connection tlc_mirror, expected the address of its mirror: airflow " in mirror["found"]
    assert server["found"].startswith("the connection taxi_postgres isn't there, or can't be read: expected one ")
    for name, record in (("tlc_mirror", mirror), ("taxi_postgres", server)):
        assert f"correct the connection {name} (AIRFLOW_CONN_{name.upper()} in .env, or " in record["mend"]
        advised = shlex.split(record["found"].rpartition(": airflow ")[2])
        taxi.airflow.succeed(*(given.get(word, word) for word in advised))
    code, after, _ = doctor(taxi, "plain", *of_postgres)
    assert (code, states(after)) == (0, {"Postgres durability": WARN})
    assert list(after) == list(records)

    done = taxi.airflow.run("taxi", "doctor", "--warehouse", "oracle")
    assert done.returncode == 2
    assert "invalid choice: 'oracle' (choose from " in done.stderr


def test_a_metadata_database_that_never_answers(taxi: TaxiAirflow, small_dags: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"postgresql+psycopg2://airflow@127.0.0.1:{silent.getsockname()[1]}/airflow"
        variables = {METADATA: address, "AIRFLOW__CORE__DAGS_FOLDER": str(small_dags)}
        with load_without_run(taxi):
            code, records, _ = doctor(taxi, "table", **variables)

    assert (code, records["metadata"]["found"]) == (1, "no answer within 30 s")
    assert states(records) == {
        "metadata": FAIL,
        **dict.fromkeys(OF_METADATA, SKIP),
        # The connection of the environment doesn't need it. Whose runs have ended isn't known.
        "Postgres durability": WARN,
    }


@pytest.fixture
def session(taxi: TaxiAirflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session of the metadata database, which the checks that this process makes have, too."""
    engine = sqlalchemy.create_engine(taxi.airflow.variables[METADATA])
    monkeypatch.setattr(metadata, "create_session", lambda: Session(engine))
    with Session(engine) as session:
        yield session
    engine.dispose()


def report(session: Session, job_type: str, state: str, age: timedelta = timedelta(0)) -> None:
    """Record a service's job, as the service does, in place of all others of the type."""
    session.execute(sqlalchemy.text("DELETE FROM job WHERE job_type = :type"), {"type": job_type})
    session.execute(
        sqlalchemy.text(
            "INSERT INTO job (job_type, state, hostname, start_date, latest_heartbeat)"
            " VALUES (:type, :state, 'here', now() - interval '1 day', now() - :age)"
        ),
        {"type": job_type, "state": state, "age": age},
    )
    session.commit()


def test_services_that_have_died(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"http://127.0.0.1:{free_port()}")
    assert metadata.service("scheduler").found == "has never run; airflow dags backfill does without"
    assert metadata.api_server().state == OK

    report(session, "SchedulerJob", "running")
    report(session, "TriggererJob", "running", timedelta(hours=1))
    found = {name: metadata.service(name) for name in metadata.JOBS}
    api = metadata.api_server()

    assert (found["scheduler"].state, found["scheduler"].found[:12]) == (OK, "runs on here")
    assert (found["dag processor"].state, found["dag processor"].found) == (FAIL, "has never run, and scheduler run")
    assert (found["triggerer"].state, found["triggerer"].mend) == (FAIL, START)
    assert (api.state, "the scheduler runs, and http://" in api.found) == (FAIL, True)

    report(session, "SchedulerJob", "running", timedelta(hours=1))
    found = {name: metadata.service(name) for name in metadata.JOBS}
    assert {name: finding.state for name, finding in found.items()} == {
        "scheduler": WARN,
        "dag processor": OK,
        "triggerer": WARN,
    }
    assert found["scheduler"].found.endswith(" UTC, and hasn't been stopped")

    report(session, "SchedulerJob", "success", timedelta(hours=1))
    report(session, "TriggererJob", "success", timedelta(hours=1))
    assert {metadata.service(name).state for name in metadata.JOBS} == {OK}


def killed_while_it_runs(taxi: TaxiAirflow, mirror: str) -> Finding:
    """Kill a backfill whose task has begun the load; return what is found of its run once the task has ended.

    :param mirror: the connection of a mirror that holds the file of January
    """
    backfill = taxi.airflow.popen(
        "dags", "backfill", "-s", "2019-01-01", "-e", "2019-01-31", "taxi_green",
        env={**taxi.airflow.variables, MIRROR: mirror, OFFICIAL: mirror},
    )  # fmt: skip
    running = "SELECT 1 FROM task_instance WHERE dag_id = 'taxi_green' AND state = 'running'"
    begun = "SELECT 1 FROM taxiway.loads WHERE month = '2019-01-01'"

    def works() -> bool:
        return bool(taxi.query("SELECT to_regclass('taxiway.loads')") != [(None,)] and taxi.query(begun))

    wait_until(lambda: works() and taxi.airflow.query(running), timeout=300, what="a task that has begun the load")
    assert metadata.runs() == ok("1 under way")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "MOST_RUNS", 0)
        assert metadata.runs() == ok("1 under way; only the first 0 were looked at")
    os.killpg(backfill.pid, signal.SIGKILL)
    backfill.wait(PATIENCE * 60)
    return wait_until(
        lambda: finding if (finding := metadata.runs()).state == WARN else None, timeout=300, what="the task's end"
    )


def test_a_run_that_nobody_works_on(taxi: TaxiAirflow, session: Session) -> None:
    green, month = load_source(SOURCES_FOLDER / "green.yaml"), Month(2019, 1)
    file = (taxi.airflow.home.parent / "mirror" / green.file_path(month)).read_bytes()
    with FaultyMirror() as mirror:
        # Its file doesn't come while the run is looked at: the load can't end before it is killed.
        mirror.put(f"/{green.file_path(month)}", held(good(file)))
        found = killed_while_it_runs(taxi, http(mirror.url))

    assert found.found.startswith("nobody works on taxi_green ")
    told = taxi.airflow.run("taxi", "status", "--source", "green", "--to", "2019-01")
    said = f"green 2019-01: {found.found}. To have it go on: {found.mend}\n"
    assert (told.returncode, told.stdout[:16], told.stderr) == (1, "green    2019 ~\n", said)
    done = taxi.airflow.run(*shlex.split(found.mend)[1:], timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert taxi.query("SELECT month, last_state FROM taxiway.months")[0][1] == "published"
    assert metadata.runs().state == OK

    # A run by hand, of a DAG without a schedule: with a scheduler it goes on, as the advice says.
    taxi.airflow.run("dags", "pause", "taxi", "-y").check_returncode()
    taxi.airflow.run("dags", "trigger", "taxi", "-c", ZONES).check_returncode()
    found = metadata.runs()
    unpause, start = found.mend.split("; ")
    assert (found.state, unpause, start) == (WARN, "airflow dags unpause taxi -y", START)
    taxi.airflow.run(*shlex.split(unpause)[1:]).check_returncode()
    assert metadata.runs().mend == START
    with taxi.airflow.services("scheduler"):
        wait_until(lambda: metadata.runs() == ok("0 under way"), timeout=240, what="the run's end")

    # Of one with a schedule, all other months would start, too.
    taxi.airflow.run("dags", "trigger", "taxi_green", "-c", '{"month": "2019-01"}').check_returncode()
    found = metadata.runs()
    unpause, start = found.mend.split("; ")
    assert (found.state, start) == (WARN, START)
    assert unpause == f"airflow dags unpause taxi_green -y{ALL_OF_ITS_RUNS}"


def test_a_source_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lime.yaml").write_text("title: Lime\nschedule: never\n")
    monkeypatch.setattr(dag_files, "SOURCES_FOLDER", tmp_path)
    (check,) = [check for check in dag_files.CHECKS if check.name == "sources"]

    ((_, found),) = examine([check])

    assert (found.state, f"{tmp_path / 'lime.yaml'}" in found.found) == (FAIL, True)
    (tmp_path / "lime.yaml").write_text((SOURCES_FOLDER / "green.yaml").read_text())
    assert list(examine([check])) == [("sources", ok("lime"))]


def test_a_time_zone_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TIMEZONE", "Mars/Olympus")
    found = dag_files.time_zone()
    advised = re.match(r"set (AIRFLOW__\w+) to another one, such as (\w+), or leave it out", found.mend)

    assert (found.state, advised is not None) == (FAIL, True)
    assert advised is not None
    monkeypatch.setenv(advised[1], advised[2])
    assert dag_files.time_zone().state == OK


@pytest.mark.parametrize(
    ("answer", "state", "said", "mend"),
    [
        ("no host", FAIL, ": no answer: ", "correct the host in {connection}; if mirror.invalid is right, "),
        ("no server", FAIL, "refused", "start the mirror, or correct host and port in {connection}"),
        ("silence", FAIL, ": no answer within 0.1 s", "check the network: a firewall or a proxy may keep this "),
        ("no TLS", FAIL, ": no secure connection: ", "check the certificate of 127.0.0.1, or of a proxy that puts "),
        (400, FAIL, ": the answer is 400", "open {url} in a browser, and correct {connection}"),
        (401, FAIL, ": the answer is 401", "set login and password, or a header in its extra, in {connection}; "),
        (403, WARN, ": the answer is 403", "open {url} in a browser: correct the path in {connection} or in {file}"),
        (404, WARN, ": the answer is 404", "correct the path in {connection}, or 'path' of the release in {file}"),
        (407, FAIL, ": the answer is 407", "write the proxy's address as http://USER:PASSWORD@HOST:PORT in http_proxy"),
        (451, FAIL, ": the answer is 451", "set the address of another mirror in {connection}"),
        (500, FAIL, ": the answer is 500", "look again later: the mirror, or a proxy, can't serve it now. "),
        ("no proxy", FAIL, ": no answer from the proxy: ", "start the proxy, or correct its address in http_proxy"),
        ("proxy's login", FAIL, "Tunnel connection failed: 407", "write the proxy's address as http://USER:PASSWORD@"),
    ],
)
def test_each_answer_of_a_mirror_has_its_mend(
    answer: int | str, state: str, said: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, month = mirrors.first_files()["tlc_mirror"]
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    nobody = f"http://127.0.0.1:{free_port()}"
    with FaultyMirror() as server, raw_server(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        address = {"no host": "http://mirror.invalid", "no server": nobody, "no proxy": "http://mirror.test"}
        address |= {"no TLS": server.url.replace("http", "https"), "proxy's login": "https://mirror.test"}
        url = f"{(host := address.get(str(answer), server.url))}/{source.file_path(month)}"
        file = held(good(b"")) if answer == "silence" else status(answer) if isinstance(answer, int) else good(b"")
        server.put(f"/{source.file_path(month)}", file)
        monkeypatch.setenv(*(("http_proxy", nobody) if answer == "no proxy" else ("https_proxy", proxy)))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        waits = {"extra": {"timeout": 0.1}} if answer == "silence" else {}
        monkeypatch.setenv(MIRROR, json.dumps({"conn_type": "http", "host": host, **waits}))

        found = mirrors.mirror("tlc_mirror", source, month)

    connection = f"the connection tlc_mirror ({MIRROR} in .env, or Admin, Connections in the web UI)"
    expected = mend.format(connection=connection, url=url, file=f"include/sources/{source.name}.yaml")
    assert (found.state, found.mend[: len(expected)]) == (state, expected)
    assert said in found.found
    # What to do is said once.
    assert [refusal for refusal in Refusal if refusal.value in found.found] == []


@contextmanager
def mirror_with_a_clock(ahead: timedelta) -> Iterator[str]:
    """A mirror whose clock differs."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", format_datetime(datetime.now(timezone.utc) + ahead, usegmt=True))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("ahead", "state", "said"),
    [(0, OK, " the mirror of tlc_mirror"), (120, WARN, " behind the mirror"), (-3600, FAIL, " ahead of the mirror")],
)
def test_a_clock_that_is_wrong(ahead: int, state: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {conn_id: file for conn_id, file in mirrors.first_files().items() if conn_id == "tlc_mirror"}
    with mirror_with_a_clock(timedelta(seconds=ahead)) as address:
        monkeypatch.setenv(MIRROR, http(address))
        found = mirrors.clock(files)

    assert (found.state, said in found.found) == (state, True)


CLOCK = """
import json, sys
from taxiway.cli.doctor import mirrors
for _ in sys.stdin:
    found = mirrors.clock({conn_id: file for conn_id, file in mirrors.first_files().items() if conn_id == "tlc_mirror"})
    print("CLOCK", json.dumps([found.state, found.found, found.mend]), flush=True)
"""


def test_the_clock_of_this_machine_is_set_right(tmp_path: Path) -> None:
    """Nothing here may set the machine's clock: a process has one of its own, and looks again when it is set."""
    clock = FakedClock(tmp_path / "clock")
    with (
        mirror_with_a_clock(timedelta()) as address,
        subprocess.Popen(
            [sys.executable, "-c", CLOCK],
            env={**os.environ, "PYTHONPATH": str(ROOT / "plugins"), MIRROR: http(address), **clock.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        told = (json.loads(line[6:]) for line in process.stdout if line.startswith("CLOCK "))

        def look() -> list[str]:
            print(file=process.stdin, flush=True)
            # If it hangs, it is killed, and its pipe ends.
            limit = Timer(PATIENCE * 60, process.kill)
            limit.start()
            answer = next(told, None)
            limit.cancel()
            assert answer is not None, "the process has ended, or has said nothing for too long"
            return list(answer)

        clock.set(timedelta(hours=-1))
        state, found, mend = look()
        clock.set(timedelta())
        again = look()

    assert (state, " behind the mirror of tlc_mirror" in found) == (FAIL, True)
    assert mend.startswith("set it: timedatectl set-ntp true")
    assert again[0] == OK


def test_alerts_that_would_reach_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> Finding:
        ((_, found),) = examine(alerts.CHECKS)
        return found

    monkeypatch.delenv("AIRFLOW_VAR_TAXIWAY_ALERTS", raising=False)
    assert look() == ok("nobody is told: taxiway_alerts isn't set")
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_ALERTS", '[{"by": "fax"}]')
    found = look()
    assert (found.state, found.mend) == (FAIL, "correct the Variable taxiway_alerts: docs/alerts.md")
    assert found.found.startswith("taxiway_alerts can't be used, and nobody is told: ")

    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_ALERTS", '[{"by": "slack"}, {"by": "webhook", "connection": "pager"}]')
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_SLACK", http("http://127.0.0.1"))
    found = look()
    assert (found.state, "taxi_slack can't be used: found the type http, expected slackwebhook" in found.found) == (
        FAIL,
        True,
    )
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_SLACK", json.dumps({"conn_type": "slackwebhook", "password": "T0/B0/x"}))
    found = look()
    assert (found.state, found.found) == (FAIL, "by webhook over pager: there is no such connection")
    assert "airflow connections add pager --conn-type http --conn-host HOST: " in found.mend
    monkeypatch.setenv("AIRFLOW_CONN_PAGER", http("http://127.0.0.1"))
    found = look()
    assert (found.state, found.mend) == (OK, "")
    assert found.found.startswith("by slack over taxi_slack, by webhook over pager; to try them: ")


def test_a_clock_that_no_mirror_has_told() -> None:
    assert mirrors.clock({}).state == SKIP


def test_a_cache_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", str(tmp_path / "cache"))
    assert mirrors.cache().found == f"0 bytes of 10.7 GB in {tmp_path / 'cache'}"
    assert not (tmp_path / "cache").exists()

    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", "/proc/taxiway")
    found = mirrors.cache()
    assert (found.state, found.found.startswith("/proc can't be written to: ")) == (FAIL, True)
    assert "AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER" in found.mend

    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER", str(tmp_path / "cache"))
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_LIMIT", "900 TiB")
    found = mirrors.cache()
    assert (found.state, "are free there" in found.found) == (WARN, True)

    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_CACHE_LIMIT", "1 GB")
    monkeypatch.setenv("AIRFLOW_VAR_TAXIWAY_USE_CACHE", "no")
    assert "is fetched anew" in mirrors.cache().found


def make_doctor(home: Path, **variables: str) -> tuple[int, str, str]:
    """Run what ``make doctor`` runs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    done = subprocess.run(
        [sys.executable, "-m", "taxiway_local.doctor"],
        env={**kept, "AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT / "plugins"), **variables},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def home(small_dags: Path, tmp_path: Path) -> Path:
    for name in ("config", "include", "plugins"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "airflow.cfg").touch()
    return tmp_path


@pytest.mark.parametrize("broken", ["setting", "package"])
def test_make_doctor_without_an_airflow_that_starts(broken: str, home: Path) -> None:
    (home / "site").mkdir()
    (home / "site" / "sqlalchemy.py").write_text("raise ImportError('half installed')\n")
    variables = {
        "setting": ({METADATA: "nonsense"}, "ValueError: "),
        "package": ({"PYTHONPATH": f"{home / 'site'}{os.pathsep}{ROOT / 'plugins'}"}, "ImportError: half installed"),
    }
    given, said = variables[broken]

    code, printed, _ = make_doctor(home, **given)

    names = [line[6:].partition(":")[0] for line in printed.splitlines() if not line.startswith(" ")]
    assert (code, names) == (1, ["settings", "setup", "Python", "packages", "disk", "memory", "Airflow"])
    assert f"\nfail  Airflow: it doesn't start: {said}" in printed


def test_make_doctor_without_embedded_postgres(home: Path) -> None:
    """Any other command of Airflow ends at once there."""
    address = f"postgresql+psycopg2://airflow@/airflow?host={home}/nowhere"
    code, printed, said = make_doctor(home, **{METADATA: address})

    assert f"\nfail  metadata: Airflow's metadata database can't be reached: no server listens in {home}" in printed
    assert "then make setup\n" in printed
    assert (code, " checks: 1 failed, " in said) == (1, True)


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        (
            "airflow.cfg",
            "fail  setup: {home}/airflow.cfg isn't there: this checkout isn't set up\n      mend: make setup",
        ),
        (".env", "fail  settings: {home}/.env can't be read: found text without = in line 1"),
    ],
)
def test_make_doctor_before_airflow_can_be_asked(broken: str, line: str, home: Path) -> None:
    if broken == ".env":
        (home / ".env").write_text("half a setting\n")
    else:
        (home / broken).unlink()

    code, printed, _ = make_doctor(home)

    assert (code, line.format(home=home) in printed) == (1, True)
    assert "Airflow: " not in printed
    assert "\nok    Python: " in printed
