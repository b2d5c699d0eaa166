"""The warehouse's connection, with what notices a server that is gone without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from functools import partial

import psycopg
import pytest

from taxiway.errors import SettingError
from taxiway.orchestration.hooks.gcp_hooks import bigquery_client, storage_client
from taxiway.orchestration.hooks.mirror_hook import MirrorHook
from taxiway.orchestration.hooks.postgres_hook import CONNECTION_DEFAULTS, WarehouseHook
from taxiway.warehouses.bigquery.settings import GcpSettings
from taxiway.warehouses.postgres.session import keep_alive
from tests.conftest import Connect
from tests.loading import query


@pytest.fixture
def address(connect: Connect) -> dict[str, object]:
    """Return a connection's fields, as Airflow's environment takes them."""
    info = connect().info
    return {"conn_type": "postgres", "host": info.host, "port": info.port, "login": info.user, "schema": info.dbname}


def test_a_silent_server_is_noticed_within_a_minute(
    address: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(address))

    with closing(WarehouseHook(postgres_conn_id="taxi_postgres").get_conn()) as connection:
        given = connection.info.get_parameters()

    assert {name: given.get(name) for name in CONNECTION_DEFAULTS} == {
        name: str(value) for name, value in CONNECTION_DEFAULTS.items()
    }


def test_the_connections_own_extra_comes_first(address: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"application_name": "mine", "keepalives_idle": "7"}
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps({**address, "extra": extra}))

    with closing(WarehouseHook(postgres_conn_id="taxi_postgres").get_conn()) as connection:
        given = connection.info.get_parameters()

    assert (given["application_name"], given["keepalives_idle"]) == ("mine", "7")
    assert given["tcp_user_timeout"] == str(CONNECTION_DEFAULTS["tcp_user_timeout"])


def test_a_connection_that_is_lost_at_once_says_why(connect: Connect) -> None:
    """A pooler accepts the login, and ends the connection at its first statement."""
    lost, other = connect(), connect()
    assert query(other, "SELECT pg_terminate_backend(%s, 10000)", [lost.info.backend_pid]) == [(True,)]

    with pytest.raises(psycopg.errors.AdminShutdown):
        keep_alive(lost)


SETTINGS = GcpSettings("a-project", "us-central1", "a-bucket", "a_dataset", 1)
UNREADABLE = [
    ("{conn_type: postgres}", "JSONDecodeError"),
    ('{"conn_type": "postgres", "hostt": "db.example"}', "hostt"),
    ('{"conn_type": "postgres", "host": "db.example", "port": "five"}', "Expected integer value for `port`"),
    ("postgres://loader:s3cr3t@db.example:five/taxi", "ValueError"),
]


CONNECTIONS = [
    ("taxi_postgres", WarehouseHook.get_connection),
    ("tlc_mirror", MirrorHook.get_connection),
    ("taxi_gcp", partial(bigquery_client, SETTINGS)),
    ("taxi_gcp", partial(storage_client, SETTINGS)),
]


@pytest.mark.parametrize(("value", "found"), UNREADABLE)
@pytest.mark.parametrize(("conn_id", "connect_to"), CONNECTIONS)
def test_a_variable_that_airflow_cannot_read_is_refused(
    conn_id: str,
    connect_to: Callable[[str], object],
    value: str,
    found: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Airflow takes the stored connection instead: another warehouse, or another mirror."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)

    with pytest.raises(SettingError, match=f"the variable AIRFLOW_CONN_{conn_id.upper()} can't be read") as error:
        connect_to(conn_id)

    assert found in str(error.value)
    assert "s3cr3t" not in str(error.value)


EXPECTED = {
    "taxi_postgres": "postgres",
    "tlc_mirror": "http or https",
    "taxi_gcp": "google_cloud_platform or gcpbigquery",
}
ADDRESSES = {
    "http": "http://h.example/x",
    "postgres": "postgres://me:s3cr3t@h.example/x",
    "mysql": "mysql://h.example/x",
}


@pytest.mark.parametrize(
    ("conn_id", "connect_to", "kind"),
    [(*each, kind) for each in CONNECTIONS for kind in ADDRESSES if not EXPECTED[each[0]].startswith(kind)],
)
def test_a_connection_of_another_type_is_refused(
    conn_id: str,
    connect_to: Callable[[str], object],
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for written in (ADDRESSES[kind], json.dumps({"conn_type": kind, "host": "h.example", "password": "s3cr3t"})):
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", written)
        with pytest.raises(SettingError) as error:
            connect_to(conn_id)

        assert str(error.value) == (
            f"the connection {conn_id} can't be used: found the type {kind}, expected {EXPECTED[conn_id]}: "
            f"correct the variable AIRFLOW_CONN_{conn_id.upper()} in .env, as .env.example shows it, or in the shell. "
            f"Then run the month again"
        )


@pytest.mark.parametrize("kind", [None, "", "generic"])
def test_a_connection_that_names_no_type_is_taken(
    kind: str | None, address: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow's command line stores ``generic`` for a type that it doesn't know, such as ``postgresql``."""
    del address["conn_type"]
    if kind is not None:
        address["conn_type"] = kind
    monkeypatch.setenv("AIRFLOW_CONN_TAXI_POSTGRES", json.dumps(address))

    WarehouseHook(postgres_conn_id="taxi_postgres").get_conn().close()
