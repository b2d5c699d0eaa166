"""Passwords and keys stay where they belong: every trace of months that load and fail is searched for them.

A real Airflow with its services loads from a mirror that wants a password, a key and a signed
address, into a warehouse that wants a password, over TCP, and into the stand-ins for Google Cloud
with a service account's key, which gets a token for what it signs. Then everything is searched that
a run leaves: logs, metadata, answers of the API, the ledgers, the cache, names of processes. What
must be found there, a word in the mirror's address, shows that the search is able to find.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import psutil
import psycopg
import pytest
from psycopg import sql

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local import database, postgres_server
from taxiway_local.home import Home
from taxiway_local.samples import write_sample_months
from tests.integration.airflow_environment import (
    PATIENCE,
    AirflowEnvironment,
    free_port,
    shared_metadata_server,
    wait_until,
)
from tests.integration.secret_cloud import SecretCloud
from tests.integration.secret_dags.secret_gcp_months import CLOUD_CASES
from tests.integration.secret_dags.secret_months import CASES

MONTHS = [Month(2019, number) for number in range(1, 12)]
MISSING = ("2019-12-01", "2019-12-31")
LOGIN = "taxi-reader"
STORED_ENCRYPTED = ("connection", "variable")


def token() -> str:
    """Return letters and digits that stand nowhere by accident, and that no encoding of addresses or JSON changes."""
    return f"zq{secrets.token_hex(10)}"


@dataclass(frozen=True)
class Secrets:
    """The tokens that must not be found; a password holds its token between characters that get encoded."""

    mirror_password: str = field(default_factory=token)
    google_token: str = field(default_factory=token)
    mirror_wrong_password: str = field(default_factory=token)
    mirror_key: str = field(default_factory=token)
    mirror_query: str = field(default_factory=token)
    signature: str = field(default_factory=token)
    warehouse_password: str = field(default_factory=token)
    warehouse_wrong_password: str = field(default_factory=token)
    metadata_password: str = field(default_factory=token)
    admin_password: str = field(default_factory=token)
    jwt_secret: str = field(default_factory=token)
    api_secret: str = field(default_factory=token)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(vars(self).items())


def password(token: str) -> str:
    return f"p@/:%25 {token}#?&\"'\\"


def traces(token: str) -> list[bytes]:
    """Return what a token leaves: itself, which addresses and JSON keep as it is, in hexadecimal, and in base64."""
    raw = token.encode()
    found = [raw, raw.hex().encode()]
    for shift in range(3):
        # Base64 of a longer text holds one of three, by where the token begins; its ends depend on the neighbours.
        encoded = base64.b64encode(b"x" * shift + raw).decode()
        found.append(encoded[(4 if shift else 0) : len(encoded) // 4 * 4 - 4].encode())
    return found


def test_traces_are_found_in_whatever_form() -> None:
    secret = token()
    full = password(secret)
    forms = [
        full.encode(),
        quote(full, safe="").encode(),
        json.dumps({"p": full}).encode(),
        repr(full).encode(),
        full.encode().hex().encode(),
        *(base64.b64encode(f"{'u' * length}:{full}".encode()) for length in range(1, 7)),
    ]
    for form in forms:
        assert any(trace in form for trace in traces(secret)), form


class Places:
    """Texts by the place where they were found, each of them once."""

    def __init__(self) -> None:
        self.texts: dict[str, set[bytes]] = {}

    def add(self, place: str, text: str | bytes) -> None:
        self.texts.setdefault(place, set()).add(text if isinstance(text, bytes) else text.encode(errors="replace"))

    def holding(self, token: str) -> list[str]:
        """Return the places, each with what stands around the token."""
        left = traces(token)
        return [
            f"{place}: …{text[max(0, text.index(trace) - 120) : text.index(trace) + 60]!r}…"
            for place, texts in self.texts.items()
            for text in texts
            for trace in left
            if trace in text
        ]


def mirror_handler(folder: Path, known: Secrets, over: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Serves ``/<word>/<behaviour>/green/<file>`` to those who know password and key, by a signed address."""

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            _, word, behaviour, *rest = address.path.split("/")
            expected = base64.b64encode(f"{LOGIN}:{password(known.mirror_password)}".encode()).decode()
            allowed = (
                self.headers.get("Authorization") == f"Basic {expected}"
                and self.headers.get("X-Api-Key") == known.mirror_key
            )
            if not allowed:
                return self._answer(401, f"wrong: {self.headers.get('Authorization')}".encode())
            if not address.query:
                location = f"/{word}/{behaviour}/{'/'.join(rest)}?X-Signature={known.signature}&Expires=1"
                return self._answer(302, b"", {"Location": location})
            if parse_qs(address.query).get("X-Signature") != [known.signature]:
                return self._answer(403, b"")
            if behaviour == "fails":
                return self._answer(500, f"failed: {self.path}".encode())
            if behaviour == "page":
                return self._answer(200, f"<html>{self.path}</html>".encode(), {"Content-Type": "text/html"})
            if behaviour == "hangs":
                over.wait(60)
                return None
            file = folder / "/".join(rest)
            if not file.is_file():
                return self._answer(404, b"")
            return self._answer(200, file.read_bytes(), {"ETag": '"1"'})

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextlib.contextmanager
def serve_secrets(folder: Path, known: Secrets) -> Iterator[str]:
    over = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), mirror_handler(folder, known, over)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Warehouse:
    """The embedded server as `make setup` makes it, but reachable over TCP, where it asks for a password."""

    home: Home
    socket_folder: Path
    port: int

    def dump(self, places: Places) -> None:
        """Add every row of every table, and the server's log."""
        for name in ("taxi", "bare"):
            with self.connect(name) as connection:
                dump(connection, f"warehouse {name}", places, leaving=())
        places.add("log of the warehouse", (self.home.postgres / "log").read_bytes())

    def connect(self, name: str) -> psycopg.Connection[Any]:
        host = str(self.socket_folder)
        return psycopg.connect(host=host, port=self.port, user="postgres", dbname=name, autocommit=True)


@contextlib.contextmanager
def run_warehouse(known: Secrets) -> Iterator[Warehouse]:
    folder = Path(tempfile.mkdtemp(prefix="taxiway"))
    home, port = Home(folder), free_port()
    stop = ("pg_ctl", "stop", "-w", "-m", "immediate")
    try:
        server = database.start(home)
        with server.connect("postgres", user="postgres") as admin:
            secret = sql.Literal(password(known.warehouse_password))
            admin.execute(sql.SQL("ALTER ROLE taxiway PASSWORD {}").format(secret))
            admin.execute("CREATE DATABASE bare")
            admin.execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
            admin.execute(f"ALTER SYSTEM SET port = {port}")
        database.stop(home)
        rules = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (home.postgres / "pg_hba.conf").write_text(rules, encoding="utf-8")
        postgres_server._owned_folder(server.socket_folder)
        postgres_server._run(home, "pg_ctl", "start", "-w", "-l", "log")
        yield Warehouse(home, server.socket_folder, port)
    finally:
        if (home.postgres / "postmaster.pid").exists():
            postgres_server._run(home, *stop)
        shutil.rmtree(folder, ignore_errors=True)


def dump(connection: psycopg.Connection[Any], place: str, places: Places, *, leaving: tuple[str, ...]) -> None:
    """Add every row of every table, as text."""
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    for schema, table in tables:
        if table in leaving:
            continue
        name = sql.Identifier(schema, table)
        for (row,) in connection.execute(sql.SQL("SELECT whole::text FROM {} AS whole").format(name)):
            places.add(f"{place}, table {table}", row)


@dataclass
class World:
    """What has happened, and where to look.

    :param word: stands in the mirror's address: no secret, and must be found
    :param of_google: secrets of the way to Google Cloud, by what they are
    """

    word: str
    of_google: dict[str, str]
    known: Secrets
    airflow: AirflowEnvironment
    places: Places
    states: dict[str, str]
    backfill: subprocess.CompletedProcess[str]
    answers: dict[str, int]


def connections(word: str, known: Secrets, mirror: str, warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return the connections as a person enters them in the web UI, by their ids."""
    closed = free_port()
    extra: dict[str, Any] = {"X-Api-Key": known.mirror_key}

    def http(name: str, host: str, token: str = known.mirror_password, **more: Any) -> dict[str, Any]:
        given = {"conn_type": "http", "host": f"http://{host}", "login": LOGIN, "password": password(token)}
        return {"connection_id": name, **given, "extra": json.dumps({**extra, **more})}

    def postgres(name: str, token: str, port: int = warehouse.port, schema: str = "taxi") -> dict[str, Any]:
        given = {"conn_type": "postgres", "host": "127.0.0.1", "port": port, "login": "taxiway", "schema": schema}
        return {"connection_id": name, **given, "password": password(token)}

    return [
        http("mirror_good", f"{mirror}/{word}/good"),
        http("mirror_wrong_password", f"{mirror}/{word}/good", known.mirror_wrong_password),
        http("mirror_fails", f"{mirror}/{word}/fails"),
        http("mirror_hangs", f"{mirror}/{word}/hangs", timeout=0.5),
        http("mirror_hangs_long", f"{mirror}/{word}/hangs"),
        http("mirror_gone", f"127.0.0.1:{closed}/{word}/gone"),
        postgres("warehouse_good", known.warehouse_password),
        postgres("warehouse_wrong_password", known.warehouse_wrong_password),
        postgres("warehouse_gone", known.warehouse_password, port=closed),
        postgres("warehouse_without_rights", known.warehouse_password, schema="bare"),
    ]


def environment(word: str, known: Secrets, mirror: str, warehouse: Warehouse, home: Path) -> dict[str, str]:
    """Return the variables of every Airflow process: connections of the environment among them, one as an address."""
    quoted = {name: quote(password(value), safe="") for name, value in known}
    good = f"http://{mirror}/{word}/good"
    http = {"conn_type": "http", "login": LOGIN, "password": password(known.mirror_password)}
    key = {"X-Api-Key": known.mirror_key}
    return {
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API_AUTH__JWT_SECRET": f"{known.jwt_secret}{'0' * 64}",
        "AIRFLOW__API__SECRET_KEY": known.api_secret,
        "AIRFLOW_VAR_TAXIWAY_CACHE_FOLDER": str(home / "cache"),
        "AIRFLOW_CONN_TLC_MIRROR": json.dumps({**http, "host": good, "extra": key}),
        "AIRFLOW_CONN_TAXI_POSTGRES": (
            f"postgres://taxiway:{quoted['warehouse_password']}@127.0.0.1:{warehouse.port}/taxi"
        ),
        # Where a key or a password doesn't belong, and yet may be written: in an address.
        "AIRFLOW_CONN_MIRROR_QUERY": json.dumps({**http, "host": f"{good}?key={known.mirror_query}", "extra": key}),
        "AIRFLOW_CONN_MIRROR_ADDRESS": json.dumps(
            {
                "conn_type": "http",
                "host": f"http://{LOGIN}:{quoted['mirror_password']}@{mirror}/{word}/page",
                "extra": key,
            }
        ),
    }


class Api:
    """Airflow's REST API, as the user admin."""

    def __init__(self, airflow: AirflowEnvironment, admin_password: str) -> None:
        self.address = f"{airflow.base_url}/api/v2"
        status, answer = self._send(
            f"{airflow.base_url}/auth/token", {"username": "admin", "password": admin_password}, {}
        )
        assert status == 201, answer
        self.headers = {"Authorization": f"Bearer {json.loads(answer)['access_token']}"}

    def post(self, path: str, document: object) -> tuple[int, str]:
        return self._send(self.address + path, document, self.headers)

    def get(self, path: str) -> tuple[int, str]:
        return self._send(self.address + path, None, self.headers)

    def _send(self, address: str, document: object, headers: Mapping[str, str]) -> tuple[int, str]:
        request = urllib.request.Request(
            address,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


HOSTILE_MONTHS = [
    "2019-01'; DROP TABLE taxiway.loads; --",
    "../2019-01",
    "2019-01/..",
    "{{ 7*7 }}",
    "{{ dag_run.run_id }}",
    "%(month)s",
    "2019\\01",
    "2019-01\n",
    "2019-01\x00",
    "\uff12\uff10\uff11\uff19-01",
    "2019-13",
    "0000-01",
    "2019-01" * 10_000,
    "",
    201901,
    ["2019-01"],
    {"year": 2019},
    True,
]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    green: Source,
    _bigquery_server: StandIn,
    _cloud_storage_server: CloudStorage,
) -> Iterator[World]:
    """Load months in every way, with Airflow's services up, and collect what that leaves."""
    known, word, places = Secrets(), token(), Places()
    folder = tmp_path_factory.mktemp("secrets")
    home, dags, mirror_folder = folder / "home", folder / "dags", folder / "mirror"
    dags.mkdir()
    (dags / "taxi.py").symlink_to(ROOT / "dags" / "taxi.py")
    for name in ("secret_months.py", "secret_gcp_months.py"):
        (dags / name).symlink_to(Path(__file__).parent / "secret_dags" / name)
    write_sample_months([green], MONTHS, mirror_folder, rows=20)
    with contextlib.ExitStack() as stack:
        mirror = stack.enter_context(serve_secrets(mirror_folder, known))
        warehouse = stack.enter_context(run_warehouse(known))
        cloud = stack.enter_context(
            SecretCloud.prepared(_bigquery_server, _cloud_storage_server, known.google_token, MONTHS)
        )
        variables = {**environment(word, known, mirror, warehouse, home), **cloud.variables}
        airflow = AirflowEnvironment.create(shared_metadata_server(), home, dags=dags, extra=variables, own_api=True)
        stack.callback(airflow.close)
        (home / "passwords.json").write_text(json.dumps({"admin": known.admin_password}), encoding="utf-8")
        # The server lets everybody in by its socket; the password travels along all the same.
        address = airflow.variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert "postgres:@" in address
        airflow.variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = address.replace(
            "postgres:@", f"postgres:{quote(password(known.metadata_password), safe='')}@"
        )
        stack.enter_context(airflow.services())
        api = Api(airflow, known.admin_password)
        for connection in [*connections(word, known, mirror, warehouse), *cloud.connections]:
            status, answer = api.post("/connections", connection)
            assert status == 201, answer
            places.add("API, a connection that was made", answer)
        into_cloud, into_postgres = [f"taxi_{name}_gcp" for name in CLOUD_CASES], [f"taxi_{name}" for name in CASES]
        wanted = {*into_cloud, *into_postgres, "taxi_green"}
        wait_until(
            lambda: wanted <= {dag_id for (dag_id,) in airflow.query("SELECT dag_id FROM serialized_dag")},
            timeout=120,
            what="the DAGs to be read",
        )
        backfill = airflow.popen("dags", "backfill", "-s", MISSING[0], "-e", MISSING[1], "taxi_green")
        for dag_ids in (into_cloud, into_postgres):
            for dag_id, loaded in zip(dag_ids, MONTHS, strict=False):
                body = {"logical_date": None, "conf": {"month": str(loaded)}}
                status, answer = api.post(f"/dags/{dag_id}/dagRuns", body)
                assert status == 200, answer
        answers = {}
        for month in HOSTILE_MONTHS:
            body = {"logical_date": None, "conf": {"month": month}}
            answers[repr(month)[:40]], _ = api.post("/dags/taxi_succeeds/dagRuns", body)
        bystander = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", "input()", word], stdin=subprocess.PIPE, text=True)
        )

        def over() -> bool:
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    places.add("command lines of processes", "\0".join(process.cmdline()))
            return airflow.query("SELECT 1 FROM dag_run WHERE state IN ('queued', 'running') LIMIT 1") == []

        wait_until(over, timeout=300, what="all runs to end", interval=0.3)
        said, _ = backfill.communicate(timeout=PATIENCE * 120)
        bystander.communicate("\n")
        places.add("output of the backfill command", said)
        for path in ("/dags", "/connections", "/eventLogs?limit=1000", "/importErrors", "/config"):
            places.add(f"API, {path}", api.get(path)[1])
        instances = json.loads(api.get("/dags/~/dagRuns/~/taskInstances?limit=1000")[1])["task_instances"]
        for instance in instances:
            run = f"/dags/{instance['dag_id']}/dagRuns/{quote(instance['dag_run_id'])}"
            task = f"{run}/taskInstances/{instance['task_id']}"
            places.add("API, task instances", json.dumps(instance))
            if instance["task_id"] in ("download_month", "stage_month") and instance["state"] in ("success", "failed"):
                places.add("API, logs", api.get(f"{task}/logs/1?full_content=true")[1])
                places.add("API, XComs", api.get(f"{task}/xcomEntries/return_value")[1])
        with psycopg.connect(airflow.metadata.uri(airflow.database), autocommit=True) as metadata:
            dump(metadata, "metadata", places, leaving=STORED_ENCRYPTED)
            states = dict(metadata.execute("SELECT dag_id, state FROM dag_run WHERE dag_id <> 'taxi_green'").fetchall())
            for name in STORED_ENCRYPTED:
                column = "password, extra" if name == "connection" else "val"
                for row in metadata.execute(f"SELECT {column} FROM {name}"):
                    places.add(f"metadata, encrypted columns of {name}", repr(row))
        warehouse.dump(places)
        for row in cloud.ledger():
            places.add("BigQuery, ledger", row)
        for path in sorted(home.rglob("*")):
            places.add("names of files", str(path.relative_to(home)))
            if path.is_file() and not path.is_symlink() and path.name != "passwords.json":
                kind = path.relative_to(home).parts[0]
                places.add(f"files in {kind}", path.read_bytes())
        done = subprocess.CompletedProcess(backfill.args, backfill.returncode, said, "")
        yield World(word, cloud.secrets(), known, airflow, places, states, done, answers)


def test_every_way_was_gone(world: World) -> None:
    dags = [*(f"taxi_{name}" for name in CASES), *(f"taxi_{name}_gcp" for name in CLOUD_CASES)]
    assert world.states == {dag_id: "success" if "succeeds" in dag_id else "failed" for dag_id in dags}
    assert world.backfill.returncode == 1, world.backfill.stdout
    assert "the answer is 404" in world.backfill.stdout
    logs = b"\n".join(world.places.texts["files in logs"]).decode()
    for said in (
        "the answer is 401 Unauthorized",
        "the answer is 500",
        "no answer within 0.5 s",
        "Connection refused",
        "password authentication failed for user",
        "permission denied for database bare",
        "Timeout",
        "the mirror's address is",
        "needs BigQuery Job User on the project",
        "the credentials of the connection taxi_gcp don't work (RefreshError)",
        "the connection cloud_with_a_broken_key can't be used (",
    ):
        assert said in logs, said


@pytest.mark.parametrize(
    "place",
    [
        "API, /connections",
        "API, XComs",
        "API, logs",
        "API, task instances",
        "BigQuery, ledger",
        "command lines of processes",
        "files in cache",
        "files in logs",
        "metadata, table rendered_task_instance_fields",
        "metadata, table xcom",
        "output of the backfill command",
        "warehouse taxi, table loads",
    ],
)
def test_the_search_finds_what_is_there(world: World, place: str) -> None:
    assert any(found.startswith(f"{place}: ") for found in world.places.holding(world.word))


@pytest.mark.parametrize("name", [name for name, _ in Secrets()])
def test_a_secret_is_nowhere(world: World, name: str) -> None:
    assert world.places.holding(getattr(world.known, name)) == []


def test_what_opens_google_cloud_is_nowhere(world: World) -> None:
    """The key, and what was signed with it, for a token and in vain."""
    assert {name.split()[0] for name in world.of_google} == {"key", "signature"}
    assert min(map(len, world.of_google.values())) > 15
    assert {name: found for name, secret in world.of_google.items() if (found := world.places.holding(secret))} == {}


def test_keys_and_tokens_are_nowhere(world: World) -> None:
    fernet = world.airflow.variables["AIRFLOW__CORE__FERNET_KEY"].encode()
    web_token = re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")
    for place, texts in world.places.texts.items():
        assert not any(fernet in text for text in texts), place
        assert not any(web_token.search(text) for text in texts), place


@pytest.mark.parametrize("month", HOSTILE_MONTHS, ids=lambda month: repr(month)[:20])
def test_a_hostile_month_is_refused_by_the_api(world: World, month: object) -> None:
    assert 400 <= world.answers[repr(month)[:40]] < 500
    assert world.airflow.query("SELECT count(*) FROM dag_run WHERE dag_id = 'taxi_succeeds'") == [(1,)]
