"""A package index on loopback that leads on to this machine's own: a test sees what pip asks it for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def _own_index() -> str:
    """Return the address of the index that pip uses here."""
    pip = [sys.executable, "-m", "pip", "config", "get"]
    for name in (":env:.index-url", "global.index-url"):
        found = subprocess.run([*pip, name], capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip():
            return found.stdout.strip()
    code = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


class PackageIndex:
    """The index, on a free port. Use it as a context manager.

    :ivar requests: the paths that pip asked for
    """

    def __init__(self) -> None:
        self.own = os.environ.get("PIP_INDEX_URL") or _own_index()
        self.requests: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.index = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The value for ``PIP_INDEX_URL``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/simple"

    def __enter__(self) -> PackageIndex:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    index: PackageIndex


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        index = self.server.index
        index.requests.append(self.path)
        self.send_response(302)
        self.send_header("Location", f"{index.own.rstrip('/')}{self.path.removeprefix('/simple')}")
        self.send_header("Content-Length", "0")
        self.end_headers()
