"""Docker Hub and the products' REST API on this machine: what the learning DAGs ask where there is no network.

``python -m stand_ins.web_apis`` serves both until Ctrl-C, and prints the connections that lead to them.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PULLS: dict[str, int | None] = {"kestra/kestra": 12_345_678, "apache/airflow": 1_234_567_890, "library/postgres": None}
"""Pulls by repository; None for one whose answer has no such field."""

PRODUCTS: list[dict[str, Any]] = [
    {"id": 1, "title": "City lamp", "category": "home", "brand": "Aurora", "price": 24.5, "stock": 12},
    {"id": 2, "title": "Desk lamp", "category": "home", "brand": "Aurora", "price": 31.0, "stock": 3},
    {"id": 3, "title": "Travel mug", "category": "kitchen", "brand": "Borea", "price": 12.99, "stock": 40},
    {"id": 4, "title": "Tea pot", "category": "kitchen", "brand": "Borea", "price": 45.0, "stock": 7},
    {"id": 5, "title": "Road map", "category": "travel", "price": 8.25, "stock": 100},
    {"id": 6, "title": "Taxi sign", "category": "travel", "brand": "Checker", "price": 129.0, "stock": 1},
    {"id": 7, "title": "Gift card", "category": "other", "brand": "Checker", "stock": 999},
]
"""One product has no brand, and one has no price."""


class WebApis:
    """Both APIs on one port of the loopback interface. Use it as a context manager.

    :param port: of the server; a free one without it
    :ivar pulls: what Docker Hub answers; a test may change it
    :ivar products: what the products' API answers
    :ivar requests: the paths that were asked for, oldest first
    """

    def __init__(self, port: int = 0) -> None:
        self.pulls = dict(PULLS)
        self.products = list(PRODUCTS)
        self.requests: list[str] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.apis = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def connections(self) -> dict[str, str]:
        """The variables that lead Airflow's connections here."""
        connection = json.dumps({"conn_type": "http", "host": self.url})
        return {"AIRFLOW_CONN_DOCKER_HUB": connection, "AIRFLOW_CONN_PRODUCTS_API": connection}

    def answer(self, path: str) -> tuple[HTTPStatus, dict[str, Any]]:
        """Return the status and the document for a path."""
        self.requests.append(path)
        match path.strip("/").split("/"):
            case ["v2", "repositories", namespace, name] if f"{namespace}/{name}" in self.pulls:
                pulls = self.pulls[f"{namespace}/{name}"]
                count = {} if pulls is None else {"pull_count": pulls}
                return HTTPStatus.OK, {"namespace": namespace, "name": name, "star_count": 1, **count}
            case ["products"]:
                total = len(self.products)
                return HTTPStatus.OK, {"products": self.products, "total": total, "skip": 0, "limit": total}
        return HTTPStatus.NOT_FOUND, {"message": f"nothing at {path}"}

    def __enter__(self) -> WebApis:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    apis: WebApis


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        status, document = self.server.apis.answer(urllib.parse.urlsplit(self.path).path)
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve both until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m stand_ins.web_apis", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port (default: a free one)")
    given = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with WebApis(given.port) as apis:
        print("\n".join(f"{name}='{value}'" for name, value in apis.connections.items()), flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
