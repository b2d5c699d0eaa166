"""A backfill behind a proxy: downloads go through it, and nothing of this machine's own traffic does."""

from __future__ import annotations

import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.mirror_server import serve
from taxiway_local.samples import write_sample_month
from tests.conftest import PostgresServer
from tests.integration.airflow_environment import one_home
from tests.integration.taxi_airflow import GREEN_DAGS, TaxiAirflow
from tests.mirror_faults import FaultyMirror

HOST = "mirror.example"  # no name server knows it: only a proxy can
JANUARY = Month(2019, 1)


@dataclass
class Proxy:
    """An HTTP proxy that notes what it is asked for.

    :param folder: what ``mirror.example`` serves, as far as this proxy is concerned
    :param tunnel: where a tunnel to any host leads in truth; None refuses tunnels
    :param asked: method, host and port of each request
    """

    folder: Path
    tunnel: int | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def run(proxy: Proxy) -> Iterator[str]:
    """Run a proxy while the block runs; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            proxy.asked.append(("GET", parts.netloc))
            file = proxy.folder / parts.path.lstrip("/")
            found = parts.netloc == HOST and file.is_file()
            self.send_response(200 if found else 502)
            body = file.read_bytes() if found else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_CONNECT(self) -> None:
            proxy.asked.append(("CONNECT", self.path))
            if proxy.tunnel is None:
                self.send_error(502)
                return
            with socket.create_connection(("127.0.0.1", proxy.tunnel), timeout=30) as beyond:
                self.send_response(200)
                self.end_headers()
                pairs = {self.connection: beyond, beyond: self.connection}
                while True:
                    for source in select.select(list(pairs), [], [], 30)[0] or [None]:
                        data = source.recv(65536) if source else b""
                        if not data:
                            return
                        pairs[source].sendall(data)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def folder(tmp_path: Path, green: Source) -> Path:
    write_sample_month(green, JANUARY, tmp_path / "files" / green.file_path(JANUARY), rows=100)
    return tmp_path / "files"


@pytest.fixture
def taxi(postgres_server: PostgresServer) -> Iterator[TaxiAirflow]:
    taxi = TaxiAirflow.create(postgres_server, one_home(), f"http://{HOST}")
    taxi.use_dag_files(GREEN_DAGS)
    for name in [name for name in taxi.airflow.variables if name.lower().endswith("_proxy")]:
        del taxi.airflow.variables[name]
    try:
        yield taxi
    finally:
        taxi.close()


def load_january(taxi: TaxiAirflow, **variables: str) -> None:
    taxi.airflow.variables.update(variables)
    code, said = taxi.backfill("2019-01-01", "2019-01-31", "taxi_green")

    assert code == 0, said
    assert taxi.query("SELECT count(*) FROM public.green_tripdata") == [(100,)]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_download_goes_through_the_proxy_and_nothing_else(name: str, taxi: TaxiAirflow, folder: Path) -> None:
    proxy = Proxy(folder)
    with run(proxy) as address:
        load_january(taxi, **{name: address})

    assert set(proxy.asked) == {("GET", HOST)}


def test_a_secure_download_goes_through_a_tunnel(
    taxi: TaxiAirflow, folder: Path, green: Source, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "mirror.pem").write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "mirror.pem")
    connection = {
        "conn_type": "http",
        "host": f"https://{HOST}",
        "extra": {"verify": str(tmp_path / "mirror.pem")},
    }
    with FaultyMirror(context) as mirror:
        mirror.put(f"/{green.file_path(JANUARY)}", (folder / green.file_path(JANUARY)).read_bytes())
        proxy = Proxy(folder, tunnel=mirror.port)
        with run(proxy) as address:
            load_january(taxi, HTTPS_PROXY=address, AIRFLOW_CONN_TLC_MIRROR=json.dumps(connection))

    assert set(proxy.asked) == {("CONNECT", f"{HOST}:443")}


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_mirror_on_this_machine_needs_no_proxy(scheme: str, taxi: TaxiAirflow, folder: Path) -> None:
    """Nothing listens where the proxy should be; what the person has excluded stays excluded."""
    with socket.socket() as unused, serve(folder) as mirror:
        unused.bind(("127.0.0.1", 0))
        dead = f"{scheme}://127.0.0.1:{unused.getsockname()[1]}"
        connection = json.dumps({"conn_type": "http", "host": mirror.address})
        load_january(
            taxi,
            AIRFLOW_CONN_TLC_MIRROR=connection,
            NO_PROXY="intern.example",
            **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"), dead),
        )
