"""A warehouse that refuses: what a retry can't fix fails at once, and says what does; the rest is tried again."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException

from stand_ins.bigquery import service_account_key
from taxiway.errors import TransientWarehouseError
from taxiway.orchestration.hooks import postgres_hook as warehouse_hook
from taxiway.orchestration.operators.compare_months import CompareMonthsOperator
from taxiway.orchestration.operators.drop_staging import DropStagingOperator
from tests.cloud_loading import SETTINGS
from tests.conftest import PostgresServer
from tests.faults.disguised_server import DisguisedServer, PoolerThatWaits, SpoiledEncryption, UntrustedServer
from tests.faults.killable_server import KillableServer
from tests.faults.task_runner import execute_task
from tests.integration.airflow_environment import free_port
from tests.integration.gcp_airflow import gcp_variables, google_connection

PASSWORD = "a password of this server"
HBA = """
local all postgres,stranger,taxiway trust
local all loader,limited,nologin,barred scram-sha-256
"""
WHERE = r"^green 2019-01: drop_staging, connection taxi_postgres: Postgres says: "
CORRECT = (
    r"correct the connection taxi_postgres \(AIRFLOW_CONN_TAXI_POSTGRES in \.env, or Admin, Connections in the web UI\)"
)
TRIED_AGAIN = r"; the task is tried again\. If that goes on failing, "


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> Iterator[KillableServer]:
    """A server that asks for passwords, and doesn't know everybody."""
    server = KillableServer()
    try:
        (server.socket_folder / "data" / "pg_hba.conf").write_text(HBA)
        with server.connect(autocommit=True) as admin:
            for role in ("limited LOGIN CONNECTION LIMIT 1", "nologin", "barred LOGIN", "stray LOGIN"):
                name, _, options = role.partition(" ")
                admin.execute(f"CREATE ROLE {name} {options} PASSWORD '{PASSWORD}'")
            admin.execute(f"ALTER ROLE loader NOSUPERUSER PASSWORD '{PASSWORD}'")
            admin.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
            admin.execute("GRANT CONNECT ON DATABASE postgres TO loader, limited, nologin")
            admin.execute("CREATE SCHEMA taxiway_staging AUTHORIZATION loader")
            admin.execute("CREATE DATABASE closed ALLOW_CONNECTIONS false")
            admin.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.close()


class Step:
    """A step that does little more than connect, with the connection as Airflow's environment has it."""

    def __init__(self, server: KillableServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.right = {
            "conn_type": "postgres",
            "host": str(server.socket_folder),
            "login": "loader",
            "password": PASSWORD,
            "schema": "postgres",
        }
        monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)

    def run(self, **fields: Any) -> None:
        self._monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps({**self.right, **fields}))
        execute_task("drop_staging", "green", "2019-01", "manual__1", 1, {})


@pytest.fixture
def step(server: KillableServer, monkeypatch: pytest.MonkeyPatch) -> Step:
    return Step(server, monkeypatch)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"password": "wrong"}, r'.*"loader" \(SQLSTATE 28P01\)\. .*: login or password are wrong: ' + CORRECT),
        ({"password": None}, r".*no password supplied\. .* are missing, or not what the server asks for: " + CORRECT),
        (
            {"login": "stranger"},
            r'.*"stranger" does not exist \(SQLSTATE 28000\)\. .* let this login in from here: ',
        ),
        ({"login": "stray"}, r".*no pg_hba\.conf entry .*\(SQLSTATE 28000\)\. .* a line in pg_hba\.conf that fits it"),
        ({"login": "nologin"}, r".*not permitted to log in \(SQLSTATE 28000\)\. .* its right to log in"),
        ({"login": "barred"}, r".*\(SQLSTATE 42501\)\. .* lacks a right: have .* run .*/set_up_warehouse\.sql"),
        ({"schema": "absent"}, r'.*"absent" does not exist \(SQLSTATE 3D000\)\. .* no such database: ' + CORRECT),
        ({"extra": {"options": "-c no_such=1"}}, r".*\(SQLSTATE 42704\)\. .* the options in the connection's extra"),
        ({"extra": {"sslmode": "always"}}, r'.*invalid sslmode value: "always"\. .* of its extra, can\'t be used: '),
        ({"extra": {"ssl_mode": "x"}}, r'invalid connection option "ssl_mode"\. .* of its extra, can\'t be used: '),
        ({"extra": {"connect_timeout": "x"}}, r"bad value for connect_timeout.* of its extra, can't be used: "),
        ({"extra": {"keepalives": "x"}}, r".*invalid integer value .* of its extra, can't be used: "),
        ({"port": 70000}, r'.*invalid port number: "70000"\. .*: one of its fields, or of its extra, can\'t be used: '),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_another_try_cannot_mend_fails_at_once_and_leads_on(step: Step, fields: dict[str, Any], said: str) -> None:
    if "keepalives" in str(fields):
        fields = {"host": "127.0.0.1", **fields}
    with pytest.raises(
        AirflowFailException, match=WHERE + f"(?:{said}).*, and clear the task with its downstream tasks$"
    ) as refused:
        step.run(**fields)
    assert PASSWORD not in str(refused.value)

    step.run()  # the connection is corrected


def test_a_right_that_the_advised_file_gives(step: Step, server: KillableServer, root: Path) -> None:
    name = server.create_database()
    try:
        with server.connect(name, autocommit=True) as admin:
            admin.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
            advised = (root / "include/sql/postgres/set_up_warehouse.sql").read_text()
            admin.execute("CREATE ROLE taxiway LOGIN")
            with pytest.raises(AirflowFailException, match=r"permission denied for database .*SQLSTATE 42501"):
                step.run(login="taxiway", schema=name)
            admin.execute(advised.replace("%", "%%"))
            step.run(login="taxiway", schema=name)
    finally:
        server.drop_database(name)


def test_the_servers_language_does_not_matter(step: Step, server: KillableServer) -> None:
    german = {
        b"password authentication failed": b"Passwortpruefung misslungen.  ",
        b"does not exist": b"gibt es nicht.",
        b"FATAL": b"FATAL",
    }
    with DisguisedServer(server.socket_folder / ".s.PGSQL.5432", german) as proxy:
        address = {"host": "127.0.0.1", "port": proxy.port}
        with pytest.raises(AirflowFailException, match=r"Passwortpruefung misslungen.*28P01.*login or password are"):
            step.run(**address, password="wrong")
        with pytest.raises(AirflowFailException, match=r"gibt es nicht\. \(SQLSTATE 3D000\).*has no such database"):
            step.run(**address, schema="absent")


def test_a_pooler_that_refuses_the_login(step: Step, server: KillableServer) -> None:
    """PgBouncer has one SQLSTATE for all that it refuses itself, that of a broken protocol."""
    with DisguisedServer(server.socket_folder / ".s.PGSQL.5432", {b"C28P01": b"C08P01"}) as pooler:
        address = {"host": "127.0.0.1", "port": pooler.port}
        with pytest.raises(
            AirflowFailException, match=r"SQLSTATE 08P01\).*: login, password or database are missing, or"
        ):
            step.run(**address, password="wrong")
        step.run(**address)


def test_a_pooler_that_takes_no_options(step: Step, server: KillableServer) -> None:
    as_pgbouncer = {
        b"C42704": b"C08P01",
        b"unrecognized configuration parameter": b"unsupported startup parameter       ",
    }
    with DisguisedServer(server.socket_folder / ".s.PGSQL.5432", as_pgbouncer) as pooler:
        address = {"host": "127.0.0.1", "port": pooler.port}
        with pytest.raises(AirflowFailException, match=r"takes no options: .* and take options out of its extra"):
            step.run(**address, extra={"options": "-c no_such=1"})
        step.run(**address)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schema": "absent"}, r"SQLSTATE 3D000.*the server has no such database"),
        ({"login": "stranger"}, r"SQLSTATE 28000.*doesn't let this login in from here"),
        ({"password": "wrong"}, r"SQLSTATE 28P01.*login or password are wrong"),
    ],
    ids=str,
)
def test_a_pooler_that_says_only_once_why_its_server_refuses(
    fields: dict[str, Any], said: str, step: Step, server: KillableServer
) -> None:
    with PoolerThatWaits(server.socket_folder / ".s.PGSQL.5432") as pooler:
        address = {"host": "127.0.0.1", "port": pooler.port, "extra": {"sslmode": "disable"}}
        with pytest.raises(AirflowFailException, match=said):
            step.run(**address, **fields)


def test_encryption_that_does_not_fit_the_server(step: Step, server: KillableServer, tmp_path: Path) -> None:
    path = server.socket_folder / ".s.PGSQL.5432"
    said = r".*sslmode, sslrootcert or the certificates in the connection's extra don't fit the server: "
    with DisguisedServer(path, {}) as plain:
        address = {"host": "127.0.0.1", "port": plain.port}
        with pytest.raises(AirflowFailException, match=f"does not support SSL{said}"):
            step.run(**address, extra={"sslmode": "require"})
        step.run(**address, extra={"sslmode": "prefer"})
    with UntrustedServer(path, tmp_path) as untrusted:
        address = {"host": "localhost", "port": untrusted.port}
        extra = {"sslmode": "verify-full", "sslrootcert": "system"}
        with pytest.raises(AirflowFailException, match=f"certificate verify failed{said}"):
            step.run(**address, extra=extra)
        with pytest.raises(AirflowFailException, match=f'"/nowhere" does not exist{said}'):
            step.run(**address, extra={"sslmode": "verify-ca", "sslrootcert": "/nowhere"})


@pytest.mark.parametrize("behind", [b"loader", b"set_config", b"BEGIN", b"DROP TABLE"])
def test_a_network_that_spoils_encrypted_bytes_is_tried_again(
    step: Step, server: KillableServer, tmp_path: Path, behind: bytes
) -> None:
    with SpoiledEncryption(server.socket_folder / ".s.PGSQL.5432", tmp_path, behind) as spoiled:
        address = {"host": "127.0.0.1", "port": spoiled.port, "extra": {"sslmode": "require"}}
        with pytest.raises(
            TransientWarehouseError, match=f"SSL error: .*bad record mac.*{TRIED_AGAIN}check whether the"
        ):
            step.run(**address)


def resolve_to(monkeypatch: pytest.MonkeyPatch, code: int, text: str) -> None:
    """Let the name server answer so: what a real one does depends on the network of this machine."""

    def unresolved(*_: object, **__: object) -> None:
        raise socket.gaierror(code, text)

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)


def test_an_unknown_host_is_looked_for_again_and_then_fails(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(warehouse_hook.time, "sleep", pauses.append)
    resolve_to(monkeypatch, socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(AirflowFailException, match=f"{WHERE}.*resolve.*no host has that name: {CORRECT}"):
        step.run(host="warehouse.invalid")
    assert pauses == list(warehouse_hook.UNKNOWN_HOST_PAUSES)


def test_a_name_server_that_does_not_answer_is_asked_again_by_the_next_try(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, socket.EAI_AGAIN, "Temporary failure in name resolution")
    with pytest.raises(TransientWarehouseError, match=f"Temporary failure.*{TRIED_AGAIN}check whether the server runs"):
        step.run(host="warehouse.invalid")


def test_a_server_that_is_too_old_or_of_another_encoding(step: Step, server: KillableServer) -> None:
    """Said before any statement that such a server doesn't know."""
    older = {
        b"server_version\x0018.": b"server_version\x0013.",
        b"server_encoding\x00UTF8": b"server_encoding\x00BIG5",
    }
    with (
        DisguisedServer(server.socket_folder / ".s.PGSQL.5432", older) as proxy,
        pytest.raises(
            AirflowFailException,
            match=r"^green 2019-01: drop_staging, connection taxi_postgres: the warehouse runs Postgres 13 with the "
            r"encoding BIG5, expected Postgres 17 or newer and UTF8",
        ),
    ):
        step.run(host="127.0.0.1", port=proxy.port)


def test_a_connection_that_is_missing_or_cannot_be_read(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TAXI_POSTGRES", raising=False)
    with pytest.raises(
        AirflowFailException,
        match=r"^green 2019-01: drop_staging: the connection taxi_postgres isn't there, or can't be read: .*"
        r"airflow connections add taxi_postgres --conn-type postgres",
    ):
        execute_task("drop_staging", "green", "2019-01", "manual__1", 1, {})
    for text in ("{", json.dumps({**step.right, "bogus": 1}), json.dumps({**step.right, "port": "one"})):
        monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", text)
        with pytest.raises(
            AirflowFailException,
            match=r"^green 2019-01: drop_staging: the variable AIRFLOW_CONN_TAXI_POSTGRES can't be read .*correct it "
            r"in \.env",
        ):
            execute_task("drop_staging", "green", "2019-01", "manual__1", 1, {})
    for extra in (["a"], "{sslmode"):
        with pytest.raises(AirflowFailException, match=r"taxi_postgres has an extra .* expected a JSON object"):
            step.run(extra=extra)


@pytest.mark.parametrize("kind", ["nothing listens", "no socket", "no answer", "limited", "closed"])
def test_what_may_pass_is_tried_again(step: Step, server: KillableServer, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as sessions:
        if kind == "limited":  # for one case only: a session that is closed ends a moment later
            host = str(server.socket_folder)
            only = psycopg.connect(host=host, user="limited", password=PASSWORD, dbname="postgres")
            sessions.callback(only.close)
        fields, said = {
            "nothing listens": ({"host": "127.0.0.1", "port": free_port()}, "refused.*check whether the server runs"),
            "no socket": (
                {"host": "/nowhere"},
                "No such file.*check whether .* and whether host and port",
            ),
            "no answer": (
                {"host": "127.0.0.1", "port": silent.getsockname()[1], "extra": {"connect_timeout": 2}},
                "timeout expired.*check whether the server runs",
            ),
            "limited": ({"login": "limited"}, r"SQLSTATE 53300.*raise max_connections .* role's CONNECTION LIMIT"),
            "closed": ({"schema": "closed"}, r"SQLSTATE 55000.*ALLOW_CONNECTIONS"),
        }[kind]
        with pytest.raises(TransientWarehouseError, match=f"{WHERE}.*{said}") as failed:
            step.run(**fields)
        assert "; the task is tried again. If that goes on failing, " in str(failed.value)


def test_the_last_try_says_what_comes_next(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    address = {**step.right, "host": "127.0.0.1", "port": free_port()}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(address))
    run = SimpleNamespace(run_id="manual__1", run_type="manual", logical_date=None)
    last = "this was the last try: clear the task with its downstream tasks to try again"
    for try_number, said in ((3, "the task is tried again"), (4, last)):
        context: Any = {"dag_run": run, "ti": SimpleNamespace(try_number=try_number, max_tries=3)}
        with pytest.raises(TransientWarehouseError) as failed:
            DropStagingOperator(task_id="drop_staging", source_name="green", month="2019-01").execute(context)
        assert f"; {said}. If that goes on failing, " in str(failed.value)


def test_a_comparison_says_the_same(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    key = service_account_key("http://127.0.0.1", SETTINGS.project)
    google = {"AIRFLOW_CONN_TAXI_GCP": google_connection(keyfile_dict=json.dumps(key))}
    refusing = {"AIRFLOW_CONN_TAXI_POSTGRES": json.dumps({**step.right, "password": "wrong"})}
    for name, value in {**gcp_variables(SETTINGS), **google, **refusing}.items():
        monkeypatch.setenv(name, value)
    operator = CompareMonthsOperator(task_id="compare", source_names=["green"], month="2019-01")
    said = f"^green 2019-01: compare, connection taxi_postgres: .*28P01.*{CORRECT}"
    with pytest.raises(AirflowFailException, match=said):
        operator.execute({})
