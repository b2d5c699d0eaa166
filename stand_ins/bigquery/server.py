"""The HTTP server: BigQuery's v2 endpoints, and a token endpoint for the key of a made-up service account."""

from __future__ import annotations

import json
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stand_ins.bigquery.api import Api, Request
from stand_ins.bigquery.catalog import Catalog
from stand_ins.bigquery.errors import BigQueryError
from stand_ins.bigquery.faults import Faults, RecordedRequest
from stand_ins.bigquery.jobs import Jobs

_MOST_BYTES = 10 * 1024 * 1024


class StandIn:
    """BigQuery on a free port of the loopback interface. Use it as a context manager.

    ``access_token`` is given to each client that asks for a token. ``assertions`` are what clients signed for it.

    :param path: file of the database; in memory without one
    :param port: of the server; a free one without it
    """

    def __init__(self, path: str = ":memory:", port: int = 0) -> None:
        self.faults = Faults()
        self.catalog = Catalog(path)
        self.jobs = Jobs(self.catalog, self.faults)
        self.access_token = "stand-in"
        self.assertions: list[str] = []
        self._requests: list[RecordedRequest] = []
        self._answered: list[tuple[RecordedRequest, int]] = []
        self._answering = threading.Condition()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.stand_in = self
        self._server.api = Api(self.catalog, self.jobs, self.faults)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The value for ``BIGQUERY_EMULATOR_HOST``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked so far, oldest first."""
        return list(self._requests)

    def record(self, request: RecordedRequest) -> None:
        self._requests.append(request)

    def forget_requests(self) -> None:
        self._requests.clear()
        with self._answering:
            self._answered.clear()

    def note_answer(self, request: RecordedRequest, status: int) -> None:
        with self._answering:
            self._answered.append((request, status))
            self._answering.notify_all()

    def wait_until_answered(
        self, status: int, *, path_ending: str, user_agent: str = "", timeout: float = 30
    ) -> RecordedRequest:
        """Wait until a request was answered with a status.

        :param path_ending: how its path ends
        :param user_agent: part of what its client calls itself
        :return: the first such request
        """

        def found() -> RecordedRequest | None:
            each = (request for request, code in self._answered if code == status)
            ended = (request for request in each if request.path.endswith(path_ending))
            return next((request for request in ended if user_agent in request.user_agent), None)

        with self._answering:
            if not self._answering.wait_for(found, timeout):
                raise TimeoutError(f"no request to {path_ending} was answered with {status} within {timeout} s")
            request = found()
        assert request is not None
        return request

    def reset(self) -> None:
        """Forget everything: faults, jobs, datasets, what was asked."""
        self.faults.clear()
        self.jobs.forget()
        with self.catalog.lock:
            for project, name in list(self.catalog.datasets):
                self.catalog.delete_dataset(project, name, with_tables=True)
        self.forget_requests()

    def start(self) -> StandIn:
        self._thread.start()
        return self

    def stop(self) -> None:
        self.faults.clear()
        self._server.shutdown()
        self._server.server_close()
        self.jobs.join()
        self.catalog.close()

    def __enter__(self) -> StandIn:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    stand_in: StandIn
    api: Api

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is none of ours; everything else is told in an answer.
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_: object) -> None:
        return

    def _serve(self) -> None:
        split = urllib.parse.urlsplit(self.path)
        query = {key: values[-1] for key, values in urllib.parse.parse_qs(split.query).items()}
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        stand_in = self.server.stand_in
        if split.path in ("/token", "/token/refused"):
            signed = urllib.parse.parse_qs(content.decode()).get("assertion", [])
            stand_in.assertions.extend(signed)
            if split.path == "/token":
                given = {"access_token": stand_in.access_token, "expires_in": 3600, "token_type": "Bearer"}
                self._answer(200, given)
            else:
                self._answer(400, {"error": "invalid_grant", "error_description": f"Refused: {signed}"})
            return
        try:
            body = json.loads(content) if content else None
        except ValueError:
            body = None
        request = RecordedRequest(
            method=self.command,
            path=split.path,
            query=query,
            body=body,
            authorized="Authorization" in self.headers,
            user_agent=self.headers.get("User-Agent", ""),
        )
        stand_in.record(request)
        try:
            if len(content) > _MOST_BYTES:
                message = f"Request payload size exceeds the limit: {_MOST_BYTES} bytes."
                raise BigQueryError("requestTooLarge", message)
            path = urllib.parse.unquote(split.path)
            asked = Request(self.command, path, query, body or {}, self.headers.get("If-Match"))
            answer = self.server.api.answer(asked)
            status, made = (204, None) if answer is None else (200, answer)
        except BigQueryError as error:
            status, made = error.code, error.body()
        except Exception as error:
            failed = BigQueryError("notImplemented", f"The BigQuery stand-in failed: {type(error).__name__}: {error}")
            status, made = failed.code, failed.body()
        stand_in.note_answer(request, status)
        self._answer_or_fail(split.path, status, made)

    def _answer_or_fail(self, path: str, status: int, made: dict[str, Any] | None) -> None:
        fault = self.server.stand_in.faults.take_answer(self.command, path)
        if fault == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault is not None:
            reasons = {"503": "backendError", "500": "internalError", "404": "notFound", "403": "accessDenied"}
            reasons["412"] = "conditionNotMet"
            reason = reasons.get(fault, "rateLimitExceeded")
            body = BigQueryError(reason, f"{reason}: made to fail by the test").body()
            body["error"]["code"] = int(fault)
            self._answer(int(fault), body)
        else:
            self._answer(status, made)

    def _answer(self, status: int, made: dict[str, Any] | None) -> None:
        content = b"" if made is None else json.dumps(made).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve
