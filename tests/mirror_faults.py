"""A real HTTP server on a free loopback port that does what its script says.

A test puts files on it, and may script answers for the next requests of a path,
faults among them; afterwards it reads what was asked and how many bytes were sent::

    with FaultyMirror() as mirror:
        mirror.put("/green/a.csv.gz", body)
        mirror.script("/green/a.csv.gz", cut_off(body, after=100), status(503, retry_after="7"))
        ...
        assert [seen.status for seen in mirror.seen] == [200, 503, 206]

Where the script of a path is empty, the file is served as a good mirror does: strong
ETag, Last-Modified, conditional requests, ranges.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

LAST_MODIFIED = "Tue, 05 Mar 2019 08:00:00 GMT"
WAIT = 180.0
"""Seconds after which an answer is held no more. On a slow machine, a test's next step may take a minute."""


@dataclass(frozen=True)
class Answer:
    """One answer, good or bad.

    :param body: the whole body; a range is taken out of it
    :param status: of the answer
    :param headers: besides those below; they win over all others
    :param etag: None sends none
    :param last_modified: None sends none
    :param conditional: whether a condition that holds is answered 304
    :param ranges: whether a range that is asked for is answered 206
    :param length: ``true``, ``none`` (the end of the connection ends the body), ``chunked``, or a number that is a lie
    :param cut_after: end the connection after so many bytes of the body
    :param reset: end it with a reset rather than properly
    :param hold: wait for this event before the body's bytes behind ``cut_after`` (or, without it, before the headers)
    :param started: set when the answer has gone as far as ``hold``
    :param block: bytes of body that go out at once
    :param pause: seconds between two of these
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    last_modified: str | None = None
    conditional: bool = True
    ranges: bool = True
    length: int | Literal["true", "none", "chunked"] = "true"
    cut_after: int | None = None
    reset: bool = False
    hold: threading.Event | None = None
    started: threading.Event | None = None
    block: int = 65536
    pause: float = 0.0


@dataclass
class Seen:
    """One request that came, and what was answered.

    :param path: its path
    :param headers: its headers, names in lower case
    :param method: GET or HEAD
    :param status: of the answer
    :param sent: bytes of body that went out
    :param client: the connection that it came over
    :param at: when it came, by the clock of :func:`time.monotonic`
    """

    path: str
    headers: dict[str, str]
    method: str = "GET"
    status: int = 0
    sent: int = 0
    client: int = 0
    at: float = field(default_factory=time.monotonic)


def good(body: bytes, **changes: object) -> Answer:
    """A file as a good mirror serves it."""
    etag = f'"{sha256(body).hexdigest()[:16]}"'
    answer = Answer(body, headers={"Content-Type": "application/gzip"}, etag=etag, last_modified=LAST_MODIFIED)
    return replace(answer, **changes)  # type: ignore[arg-type]


def status(code: int, *, retry_after: str | None = None, body: bytes = b"no file") -> Answer:
    """An answer without the file: 404, 429, 500."""
    return Answer(body, code, {"Retry-After": retry_after} if retry_after else {}, conditional=False, ranges=False)


def html_page(title: str = "Sign in", code: int = 200) -> Answer:
    """A page in place of the file."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>no file</body></html>".encode()
    return Answer(page, code, {"Content-Type": "text/html; charset=utf-8"}, conditional=False, ranges=False)


def cut_off(body: bytes, after: int, **changes: object) -> Answer:
    """A file whose connection ends too early."""
    return replace(good(body, **changes), cut_after=after)


def held(answer: Answer, after: int | None = None) -> Answer:
    """An answer that stops until the test sets its event ``hold``; ``started`` says that it has come so far."""
    return replace(answer, cut_after=after, hold=threading.Event(), started=threading.Event())


def slow(body: bytes, block: int, pause: float) -> Answer:
    """A file that trickles in."""
    return good(body, block=block, pause=pause)


def redirect(location: str, code: int = 302) -> Answer:
    """A redirect."""
    return Answer(b"", code, {"Location": location})


class FaultyMirror:
    """The server; use it in a ``with`` statement, which also ends it where the test fails.

    :param tls: speak https, with this context's certificate
    :ivar folder: its files are served, too, laid out as the mirror; they may come and change
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = "http" if tls is None else "https"
        self.folder: Path | None = None
        self.seen: list[Seen] = []
        self._files: dict[str, Answer] = {}
        self._scripts: dict[str, list[Answer]] = defaultdict(list)
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        """Its host and port, as allowed_redirect_hosts names them."""
        return f"127.0.0.1:{self.port}"

    @property
    def sent(self) -> int:
        """Bytes of body that went out, over all requests."""
        return sum(seen.sent for seen in self.seen)

    def put(self, path: str, answer: Answer | bytes) -> None:
        """Serve a file under a path from now on, whenever its script is empty."""
        self._files[path] = good(answer) if isinstance(answer, bytes) else answer

    def script(self, path: str, *answers: Answer) -> None:
        """Answer the next requests of a path so, one after the other."""
        self._scripts[path].extend(answers)

    def reset(self, folder: Path | None = None) -> None:
        """Forget all files, scripts and requests; serve a folder from now on, or nothing."""
        self.seen.clear()
        self._files.clear()
        self._scripts.clear()
        self.folder = folder

    def next_answer(self, path: str) -> Answer:
        with self._lock:
            script = self._scripts[path]
            return script.pop(0) if script else self._files.get(path) or self._in_folder(path)

    def _in_folder(self, path: str) -> Answer:
        file = self.folder and self.folder / path.lstrip("/")
        return good(file.read_bytes()) if file and file.is_file() else status(404)

    def pause(self, seconds: float) -> None:
        """Let some time pass, or wait for the server's end."""
        self._closing.wait(seconds)

    def wait(self, event: threading.Event) -> None:
        """Wait for a test's event, or for the server's end."""
        for _ in range(int(WAIT / 0.02)):
            if event.wait(0.02) or self._closing.is_set():
                return

    def connected(self, connection: socket.socket, *, is_open: bool) -> None:
        with self._lock:
            (self._connections.add if is_open else self._connections.discard)(connection)

    def __enter__(self) -> FaultyMirror:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        with self._lock:
            for connection in self._connections:
                # Wakes a handler that waits for the next request of a connection kept open.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Answer every request with the same bytes, whatever they are."""
    stopped = threading.Event()

    def serve(listening: socket.socket) -> None:
        while not stopped.is_set():
            with suppress(OSError):
                client, _ = listening.accept()
                with client:
                    client.recv(65536)
                    client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=[listening])
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stopped.set()
            with suppress(OSError):
                socket.create_connection(listening.getsockname(), timeout=5).close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what these tests are about."""


def _handler(mirror: FaultyMirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            mirror.connected(self.connection, is_open=True)

        def finish(self) -> None:
            mirror.connected(self.connection, is_open=False)
            super().finish()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()}, self.command)
            seen.client = self.client_address[1]
            mirror.seen.append(seen)
            answer = mirror.next_answer(self.path)
            code, body, headers = _decide(answer, seen.headers)
            seen.status = code
            if answer.hold and answer.cut_after is None:
                self._hold(answer)
            self.send_response_only(code)
            for name, value in ({"Date": self.date_time_string()} | headers | dict(answer.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self._send_body(answer, seen, body)

        def _send_body(self, answer: Answer, seen: Seen, body: bytes) -> None:
            end = len(body) if answer.cut_after is None else answer.cut_after
            self._write(answer, seen, body[:end])
            if answer.hold and answer.cut_after is not None:
                self._hold(answer)
                self._write(answer, seen, body[end:])
                end = len(body)
            if answer.length == "chunked" and end >= len(body):
                self.wfile.write(b"0\r\n\r\n")
            # A lie about the length is only seen where the connection ends.
            self.close_connection = answer.length not in ("true", "chunked") or end < len(body)
            if answer.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True

        def _write(self, answer: Answer, seen: Seen, data: bytes) -> None:
            for start in range(0, len(data), answer.block):
                if start and answer.pause:
                    self.wfile.flush()
                    mirror.pause(answer.pause)
                block = data[start : start + answer.block]
                framed = b"%x\r\n%b\r\n" % (len(block), block) if answer.length == "chunked" else block
                # First: when the client has the last block, the test may look at once.
                seen.sent += len(block)
                try:
                    self.wfile.write(framed)
                except OSError:
                    seen.sent -= len(block)
                    raise
            self.wfile.flush()

        def _hold(self, answer: Answer) -> None:
            assert answer.hold is not None
            if answer.started is not None:
                answer.started.set()
            mirror.wait(answer.hold)

    return Handler


def _decide(answer: Answer, asked: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of an answer, as RFC 9110 orders conditions and ranges."""
    headers = {}
    if answer.etag is not None:
        headers["ETag"] = answer.etag
    if answer.last_modified is not None:
        headers["Last-Modified"] = answer.last_modified
    if answer.status == 200 and answer.conditional and _unchanged(answer, asked):
        return 304, b"", headers
    code, body = answer.status, answer.body
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.get("range", ""))
    same = asked.get("if-range") in (None, answer.etag, answer.last_modified)
    if code == 200 and answer.ranges and wanted and same:
        start = int(wanted[1])
        if start >= len(body):
            return 416, b"", headers | {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"}
        part = body[start : int(wanted[2]) + 1 if wanted[2] else len(body)]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        code, body = 206, part
    if answer.length == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    elif answer.length != "none":
        headers["Content-Length"] = str(len(body) if answer.length == "true" else answer.length)
    else:
        headers["Connection"] = "close"
    return code, body, headers


def _unchanged(answer: Answer, asked: Mapping[str, str]) -> bool:
    if "if-none-match" in asked:
        return asked["if-none-match"] == answer.etag
    return "if-modified-since" in asked and asked["if-modified-since"] == answer.last_modified
