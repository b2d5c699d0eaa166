"""What ``make setup``, ``make demo``, ``make up`` and ``make down`` run, in a home of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway_local import database, own_home, postgres_server
from taxiway_local.home import Home
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from taxiway_local.setup import _stamp
from tests.integration.airflow_environment import PATIENCE, wait_until
from tests.integration.forked_python import forked_python
from tests.loading import load

YEAR = [f"2019-{number:02d}" for number in range(9, 13)]
"""The months that green has of it in these homes; ``test_install.py`` loads all twelve."""

DAG_FILES = ("hello_world", "taxi", "taxi_gcp", "wrong_sources")
"""Each backfill of a new DAG reads all that there are, and each ``airflow dags test``."""

RELEASES = {
    "green": [("from: 2019-01", "from: 2019-09")],
    "yellow": [("from: 2019-01", "from: 2021-11"), ("to: 2021-07", "to: 2021-11"), ("from: 2021-08", "from: 2021-12")],
}
"""What the releases of sources say in the repository, and in these homes, where a year has few months."""


def new_home(prefix: str) -> Path:
    """Make a checkout of its own: its DAG files and its sources are few, and these have few months."""
    home = Path(tempfile.mkdtemp(prefix=prefix))
    for name in ("config", "dags", "include", "plugins", "stand_ins"):
        shutil.copytree(ROOT / name, home / name)
    shutil.copy(ROOT / "requirements.txt", home)
    for path in home.glob("dags/**/*.py"):
        if path.stem not in DAG_FILES:
            path.unlink()
    for name in ("fhv", "fhvhv"):
        (home / "include" / "sources" / f"{name}.yaml").unlink()
    for name, changes in RELEASES.items():
        path = home / "include" / "sources" / f"{name}.yaml"
        text = path.read_text(encoding="utf-8")
        for before, after in changes:
            assert text.count(f" {before}\n") == 1
            text = text.replace(f" {before}\n", f" {after}\n")
        path.write_text(text, encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Each of these characters means something to a shell, to Postgres's settings or to Airflow's.
    home = new_home('my 100% "taxi" o\'way, #é {x} ')
    try:
        yield home
    finally:
        run(home, "services", "down")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def other_home() -> Iterator[Path]:
    home = new_home("other home ")
    try:
        yield home
    finally:
        run(home, "services", "down")
        shutil.rmtree(home, ignore_errors=True)


def run(
    home: Path, module: str, *arguments: str, timeout: float = 300, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run one of the local commands in a process that is forked, as are the backfills that it starts."""
    given = {**environment(home), **variables}
    return forked_python().run(f"taxiway_local.{module}", *arguments, env=given, cwd=home, timeout=timeout)


def start(home: Path, module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of the local commands as the Makefile does."""
    return subprocess.run(
        [sys.executable, "-m", f"taxiway_local.{module}", *arguments],
        env={**environment(home), **variables},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(home / "plugins"),
        # Nothing listens on port 9: whatever a command asks of this machine through a proxy, it asks in vain.
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9"),
    }


def table(printed: str) -> dict[str, list[int]]:
    """Read the demo's closing table: month to rows read, inserted, deleted, unchanged, rejected."""
    rows = {}
    for line in printed.splitlines():
        cells = [cell.strip() for cell in re.split("[│|]", line)]
        if len(cells) > 6 and re.fullmatch(r"\d{4}-\d{2}|all", cells[1]):
            rows[cells[1]] = [int(cell.replace(",", "")) for cell in cells[2:7]]
    return rows


def test_setup_then_demo(home: Path) -> None:
    missing = f"\nfail  setup: {home}/airflow.cfg isn't there: this checkout isn't set up\n      mend: make setup\n"
    assert missing in run(home, "doctor").stdout
    # An airflow command that ran before the setup has left Airflow's own defaults.
    (home / "airflow.cfg").write_text("[core]\nload_examples = True\n[database]\nsql_alchemy_conn = sqlite:////x.db\n")
    done = start(home, "setup")
    assert done.returncode == 0, done.stderr
    again = start(home, "setup")
    assert (again.returncode, again.stdout) == (0, ""), "a second setup has nothing to do"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700, "no folder of somebody else's is opened for the server"
    assert "sqlite" not in (home / "airflow.cfg").read_text()
    assert "load_examples = False" in (home / "airflow.cfg").read_text()
    assert "min_heartbeat_interval = 1\n" in (home / "airflow.cfg").read_text()
    for path in (home / "airflow.cfg", home / ".taxiway" / "passwords.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((home / ".taxiway" / "postgres").stat().st_mode) == 0o700

    done = start(home, "demo", "--rows", "60")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "$ airflow dags backfill -s 2019-01-01 -e 2019-12-31 taxi_green\n" in done.stdout
    assert table(done.stdout) == {**{month: [60, 60, 0, 0, 0] for month in YEAR}, "all": [240, 240, 0, 0, 0]}


def test_the_demo_of_a_year_in_two_formats_and_of_a_file_of_no_month(home: Path) -> None:
    done = run(home, "demo", "--source", "yellow", "--year", "2021", "--rows", "30")

    assert done.returncode == 0, done.stdout + done.stderr
    months = ["2021-11", "2021-12"]
    assert table(done.stdout) == {**{month: [30, 30, 0, 0, 0] for month in months}, "all": [60, 60, 0, 0, 0]}
    server = database.find(Home(home))
    assert server is not None
    with server.connect("taxi") as warehouse:
        names = warehouse.execute("SELECT DISTINCT filename FROM yellow_tripdata ORDER BY 1").fetchall()
    assert names == [("yellow_tripdata_2021-11.csv",), ("yellow_tripdata_2021-12.parquet",)]

    done = run(home, "demo", "--source", "zones")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The rows are in public.taxi_zone_lookup" in done.stdout

    for year, expected in (("2018", "it has no month of 2018 whose file should be there"), ("21", "expected a year")):
        done = run(home, "demo", "--year", year)
        assert (done.returncode, expected in done.stdout) == (2, True), done.stdout


def test_metadata_of_ones_own_are_set_up_once(other_home: Path) -> None:
    """The warehouse stays embedded: the server's own database for metadata has no tables, and needs none."""
    address = f"sqlite:///{other_home}/metadata.db"
    (other_home / ".env").write_text(f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN={address}\n")
    done = start(other_home, "setup")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Creating Airflow's metadata" in done.stdout
    assert (other_home / "metadata.db").exists()

    again = run(other_home, "setup")
    assert (again.returncode, again.stdout) == (0, ""), "a second setup has nothing to do"

    server = database.find(Home(other_home))
    base = "postgresql+psycopg2://me:x@/d?host=/a"
    others = (f"{address}.other", base, base.replace("=/a", "=/b"), base.replace("me", "you"))
    stamps = [_stamp(Home(other_home), server, each)["metadata"] for each in (address, *others)]
    assert len(set(stamps)) == 5, "another database is set up in its turn"
    assert _stamp(Home(other_home), server, base.replace(":x", ":y"))["metadata"] == stamps[2], "no password is kept"


def test_a_server_that_does_not_start_shows_its_log_line_by_line(other_home: Path) -> None:
    home = Home(other_home)
    address = database.start(home).url("airflow", driver=database.METADATA_DRIVER)
    assert database.stop(home)
    with (home.postgres / "postgresql.conf").open("a") as stream:
        stream.write("no_such_setting = 1\n")

    done = run(other_home, "setup")

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"make setup stops: embedded Postgres in {home.postgres} doesn't start: ")
    assert f"--- the end of {home.postgres}/log" in lines
    assert [line for line in lines if 'unrecognized configuration parameter "no_such_setting"' in line]
    assert "\\n" not in done.stderr

    home.airflow_config.touch()
    empty = str(other_home / ".taxiway")
    said = run(other_home, "doctor", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=address, AIRFLOW__CORE__DAGS_FOLDER=empty)
    (line,) = [line for line in said.stdout.splitlines() if line.startswith("fail  metadata: embedded Postgres in ")]
    assert 'unrecognized configuration parameter "no_such_setting"' in line


def runs_and_loads(home: Path) -> list[object]:
    """Return every run of the home's Airflow, and the months of its warehouse."""
    server = database.find(Home(home))
    assert server is not None
    with server.connect("airflow") as metadata, server.connect("taxi") as warehouse:
        runs = metadata.execute("SELECT dag_id, run_id, start_date FROM dag_run ORDER BY id").fetchall()
        there = warehouse.execute("SELECT to_regclass('taxiway.months')").fetchone() != (None,)
        return [runs, warehouse.execute("TABLE taxiway.months").fetchall() if there else []]


def test_the_demo_of_google_cloud_leaves_the_checkouts_airflow_alone(home: Path) -> None:
    assert run(home, "setup").returncode == 0
    before = runs_and_loads(home)
    # What a demo that was killed has left.
    left = home / ".taxiway" / "demo-gcp-killed"
    left.mkdir(parents=True)
    (left / own_home.LOCK).touch()
    done = run(home, "demo_gcp", "--rows", "50")

    assert done.returncode == 0, done.stdout + done.stderr
    commands = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert [line.split()[2:4] + line.split()[-1:] for line in commands[:3]] == [
        ["dags", "test", "gcp_setup"],
        ["dags", "backfill", "taxi_green_gcp"],
        ["dags", "backfill", "taxi_green"],
    ]
    assert commands[3].startswith("$ airflow dags test taxi_compare")
    # The table of BigQuery's ledger, and what the comparison says of Postgres.
    assert table(done.stdout) == {month: [50, 50, 0, 0, 0] for month in YEAR[:3]}
    for month in YEAR[:3]:
        assert f"green {month}: 50 rows, the same in Postgres and in BigQuery" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    for rows, said in (("0", "ROWS=0: a sample month has at least one row"), ("-", "ROWS=-: expected a whole number")):
        refused = run(home, "demo_gcp", f"--rows={rows}")
        assert (refused.returncode, refused.stdout, refused.stderr) == (2, f"The demo stops: {said}\n", "")
    assert runs_and_loads(home) == before
    assert f"removing {left.resolve()}, which a killed run has left" in done.stdout
    assert list((home / ".taxiway").glob("demo-gcp*")) == []


@pytest.mark.parametrize(
    ("number", "code", "until"),
    [(signal.SIGINT, 130, "$ airflow dags test gcp_setup"), (signal.SIGTERM, 143, "Creating Airflow's metadata")],
)
def test_a_stopped_demo_of_google_cloud_leaves_nothing(
    home: Path, number: signal.Signals, code: int, until: str
) -> None:
    process = start_demo(home, "demo_gcp", until=until)
    refused = run(home, "demo_gcp", "--rows", "50")
    assert (refused.returncode, "another make demo-gcp is running" in refused.stdout) == (2, True)
    os.killpg(process.pid, number)
    rest, _ = process.communicate(timeout=PATIENCE * 120)

    assert process.returncode == code, rest
    if number == signal.SIGINT:
        assert "Traceback" not in rest
        assert "nothing of it is left" in rest
    assert list((home / ".taxiway").glob("demo-gcp*")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "0"], "at least one row"),
        (["--rows", "many"], "ROWS=many: expected a whole number"),
        (["--rows="], "ROWS=: expected a whole number"),
        (["--mirror", "ftp://x"], "MIRROR=ftp://x: expected http:// or https://"),
        (["--mirror", "http://me:secret@h?x"], "MIRROR=http://h: expected http:// or https://"),
    ],
)
def test_the_demo_refuses_what_it_cannot_do(home: Path, arguments: list[str], said: str) -> None:
    done = run(home, "demo", *arguments)

    assert done.returncode == 2
    assert said in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("folder", [f"{'d' * 60}/{'e' * 60}", "é" * 40, "a,b", "two\nlines", '`$HOME` "\\'])
@pytest.mark.parametrize("programs", ["in place", "copied"])
def test_the_server_starts_below_any_folder_and_changes_none(
    folder: str, programs: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket lies where nobody else can enter; programs that can't be run where they are, are copied."""
    if programs == "copied":
        monkeypatch.setattr(postgres_server, "_PLAIN_PATH", re.compile("(?!)"))
    above = tmp_path_factory.mktemp("deep")
    above.chmod(0o700)
    home = Home(above / folder)
    home.root.mkdir(parents=True)
    try:
        server = database.start(home)
        with server.connect("taxi") as connection:
            assert connection.execute("SELECT current_user, inet_server_addr() IS NULL").fetchone() == ("taxiway", True)
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert len(str(server.socket_folder)) < 80
        for private in (server.socket_folder, home.postgres, above):
            assert stat.S_IMODE(private.stat().st_mode) == 0o700
        copy = postgres_server._short_folder(home, "programs")
        assert copy.exists() == (programs == "copied")
        assert database.find(home) == server
        assert database.start(home) == server
    finally:
        assert database.stop(home)
    assert database.find(home) is None
    assert not server.socket_folder.exists()
    assert not copy.exists()


def test_a_short_folder_of_somebody_elses_is_not_used(tmp_path: Path) -> None:
    home = Home(tmp_path / "a,b")
    home.root.mkdir()
    other = postgres_server._short_folder(home, "socket")
    other.symlink_to(tmp_path)
    try:
        with pytest.raises(
            postgres_server.ServerError, match="expected a folder of our own: work as its owner, or remove it"
        ):
            database.start(home)
    finally:
        other.unlink()


def start_demo(home: Path, module: str, *arguments: str, until: str) -> subprocess.Popen[str]:
    """Start a demo as a terminal would, and wait until it has printed something."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"taxiway_local.{module}", "--rows", "70", *arguments],
        env=environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    seen = ""
    while until not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    return process


def test_the_demo_replaces_nothing_real_without_the_word_and_ctrl_c_leaves_nothing_half_done(home: Path) -> None:
    """Real months come from this machine, too; samples are known after their files were moved away."""
    folder, green = home / "of my own", load_source(home / "include" / "sources" / "green.yaml")
    october = write_sample_month(green, Month(2019, 10), folder / green.file_path(Month(2019, 10)), rows=30, seed=7)
    assert run(home, "setup").returncode == 0
    server = database.find(Home(home))
    assert server is not None
    with serve(folder) as mirror:
        url = f"{mirror.address}/{green.file_path(Month(2019, 10))}"
        with server.connect("taxi") as warehouse:
            load(warehouse, green, "2019-10", october.path, accept_deletions=True, url=url)
        for arguments in ((), ("--mirror", mirror.address)):
            done = run(home, "demo", "--rows", "70", *arguments)
            said = done.stdout
            assert done.returncode == 2, said
            assert f"real data is in 1 month of green (2019-10 from {mirror.address}/green/" in said
            assert said.count("\n") == 1, "commands stay whole, however narrow the terminal is"
    (home / ".taxiway" / "samples").rename(home / "samples of 60 rows")

    # What it advises leads on, and can be stopped.
    assert f"make demo REPLACE=1 ROWS=70 MIRROR={mirror.address}. " in said
    process = start_demo(home, "demo", "--replace", until="running")
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE * 120)
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert "Nothing is half done. Finish the rest: make demo REPLACE=1 ROWS=70\n" in rest
    assert "airflow dags backfill" not in rest, "that would fetch real files"
    with server.connect("airflow") as metadata:
        open_runs = metadata.execute("SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')").fetchone()
        assert open_runs == (0,)

    # The samples of the other months are replaced, too, each by its own.
    done = run(home, "demo", "--rows", "70", "--replace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"REPLACE=1: replacing 1 month loaded from {mirror.address}" in done.stdout
    counts = table(done.stdout)
    assert counts["2019-10"][:3] == [70, 70, october.rows]
    assert {counts[month][0] for month in YEAR} == {70}
    assert all(read == inserted + unchanged for read, inserted, _, unchanged, _ in counts.values())
    of_samples = {sum(counts[month][2:4]) for month in YEAR if month != "2019-10"}
    assert {60} <= of_samples <= {60, 70}, "70, if the stopped demo has come so far"


def test_services_that_do_not_start_show_their_logs_line_by_line(home: Path) -> None:
    assert run(home, "setup").returncode == 0
    done = run(home, "services", "up", AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS="no_such.CONFIG")

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    ended = re.fullmatch(r"make up stops: Airflow didn't start: (.+) ended", lines[0])
    assert ended, done.stderr
    for name in ended[1].split(", "):
        assert f"--- the end of {home}/logs/services/{name}.log" in lines
    assert [line for line in lines[1:] if "no_such.CONFIG" in line]
    assert "\\n" not in done.stderr
    assert not (home / ".taxiway" / "services.json").exists()


def test_up_and_down(home: Path) -> None:
    """The port is taken, as ports are; the services come up on another, ask for a password, and end."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start(home, "services", "up", AIRFLOW__API__PORT=str(port))
        assert done.returncode == 0, done.stdout + done.stderr
    address = re.search(r"Airflow is up: (http://127\.0\.0\.1:(\d+))", done.stdout)
    assert address
    assert int(address[2]) != port
    password = json.loads((home / ".taxiway" / "passwords.json").read_text())["admin"]
    assert f"admin  with the password  {password}" in done.stdout

    login = urllib.request.Request(
        f"{address[1]}/auth/token",
        data=json.dumps({"username": "admin", "password": password}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(login, timeout=30) as answer:
        assert json.load(answer)["access_token"]
    services = json.loads((home / ".taxiway" / "services.json").read_text())["services"]
    processes = [psutil.Process(service["pid"]) for service in services]
    family = [child for process in processes for child in [process, *process.children(recursive=True)]]
    listening = set()
    for process in family:
        with suppress(psutil.NoSuchProcess):  # one of those that a service starts for a moment
            sockets = process.net_connections(kind="inet")
            listening |= {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}, "nothing can be reached from another machine"
    again = run(home, "services", "up")
    assert address[1] in again.stdout, "what runs already is found again"
    found = run(home, "doctor", AIRFLOW__CORE__DAGS_FOLDER=str(home / "dags" / "learn")).stdout
    assert f"\nok    setup: {home}/airflow.cfg\n" in found
    assert f"\nok    api server: runs at {address[1]}\n" in found
    for name in ("scheduler", "dag processor", "triggerer"):
        assert f"\nok    {name}: runs on " in found

    # Plain airflow, from any folder, is this project's.
    asked = subprocess.run(
        [str(Path(sys.executable).with_name("airflow")), "config", "get-value", "core", "dags_folder"],
        env=environment(home),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert asked.stdout == f"{home}/dags\n", asked.stdout + asked.stderr

    # A scheduler that runs the DAG would not know the demo's mirror, so the demo says so.
    server = database.find(Home(home))
    assert server is not None
    with server.connect("airflow") as metadata:
        metadata.execute("UPDATE dag SET is_paused = false WHERE dag_id = 'taxi_green'")
        refused = run(home, "demo", "--rows", "70")
        metadata.execute("UPDATE dag SET is_paused = true WHERE dag_id = 'taxi_green'")
    assert refused.returncode == 2
    assert "Pause it" in refused.stdout

    done = run(home, "services", "down")
    assert done.returncode == 0
    for name in ("api-server", "scheduler", "dag-processor", "triggerer", "embedded Postgres"):
        assert name in done.stdout
    wait_until(lambda: not any(process.is_running() for process in family), timeout=30, what="every process to end")
    assert run(home, "services", "down").stdout == "Nothing was running\n"


def test_a_checkout_that_has_moved_works_where_it_is(home: Path, green: Source) -> None:
    """The last demo of this home, which moves with its data: one file is an earlier sample, all others are the same."""
    moved = home.with_name(f"{home.name} elsewhere")
    assert run(home, "setup").returncode == 0
    assert run(home, "services", "down").returncode == 0
    home.rename(moved)
    try:
        early = subprocess.run(
            [sys.executable, "-m", "airflow", "dags", "list"],
            env=environment(moved),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert early.returncode == 1
        assert "in which no server listens: embedded Postgres listens in /" in early.stderr
        assert "Run make setup" in early.stderr
        assert "Traceback" not in early.stderr
        assert run(moved, "setup").returncode == 0
        files, before = moved / "samples elsewhere", moved / "samples of 60 rows" / "60-rows"
        (moved / ".taxiway" / "samples" / "70-rows").rename(files)
        shutil.copy(before / green.file_path(Month(2019, 9)), files / green.file_path(Month(2019, 9)))
        with serve(files) as mirror:
            done = run(moved, "demo", "--mirror", mirror.address)

        assert done.returncode == 0, done.stdout + done.stderr
        assert "Replacing the samples in 4 months of 2019\n" in done.stdout, "they are known without their files"
        counts = table(done.stdout)
        assert (counts["2019-09"][0], sum(counts["2019-09"][2:4])) == (60, 70)
        assert [counts[month] for month in YEAR[1:]] == [[70, 0, 0, 70, 0]] * 3
        assert not home.exists(), "nothing is written to the old place"
        assert f"{home}/" not in (moved / "airflow.cfg").read_text()
    finally:
        run(moved, "services", "down")
        moved.rename(home)


def test_a_mirror_that_does_not_answer_is_told_at_once(home: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = run(home, "demo", "--mirror", f"http://127.0.0.1:{unused.getsockname()[1]}", timeout=60)

    assert done.returncode == 2
    assert "doesn't answer" in done.stdout


def test_a_command_says_that_its_metadata_was_deleted(home: Path) -> None:
    """The settings are still there, and name a server that is gone."""
    if not (home / "airflow.cfg").exists():
        assert run(home, "setup").returncode == 0
    assert run(home, "services", "down").returncode == 0
    shutil.rmtree(home / ".taxiway")

    def dry_run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "airflow", "dags", "backfill", "-n", "-s", "2019-09-01", "taxi_green"],
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    refused = dry_run()
    assert refused.returncode == 1
    assert refused.stderr.startswith("airflow: Airflow's metadata database can't be reached: no server listens in /")
    assert refused.stderr.endswith("Run make setup, which makes a new one\n")
    assert refused.stderr.count("\n") == 1, "nothing of the driver's"
    # What it advises leads on.
    assert run(home, "setup").returncode == 0
    done = dry_run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("2019-09 ")
