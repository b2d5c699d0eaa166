"""Those who are told: a real mail server and a real HTTP server, on free ports of the loopback interface.

The path ``/refused`` of the HTTP server takes nothing.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from tests.integration.airflow_environment import free_port


@dataclass
class Receivers:
    """What has come in.

    :param smtp: port of the mail server
    :param http: address of the HTTP server
    :param silent: port of a server that takes connections and says nothing
    :param mails: the mails, in their order
    :param posts: path and JSON of the requests, in their order
    """

    smtp: int
    http: str
    silent: int
    mails: list[EmailMessage] = field(default_factory=list)
    posts: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    def posted(self, path: str) -> list[Any]:
        return [body for found, body in self.posts if found == path]

    @property
    def connections(self) -> dict[str, dict[str, Any]]:
        """Airflow's connections to the servers, by their ids."""
        plain = {"from_email": "taxiway@example.com", "disable_ssl": True, "disable_tls": True}
        return {
            "taxi_smtp": {"conn_type": "smtp", "host": "127.0.0.1", "port": self.smtp, "extra": json.dumps(plain)},
            "taxi_slack": {"conn_type": "slackwebhook", "host": self.http, "password": "T0/B0/s3cr3t"},
            "taxi_webhook": {"conn_type": "http", "host": self.http},
        }

    def told_by_all(self) -> list[str]:
        """Return the subjects that each of the three was told: by mail, in Slack and by the path ``/hook``.

        Each of them may be sooner than the others: it may be asked again.
        """
        slack = [body["text"].splitlines()[0] for body in self.posted("/T0/B0/s3cr3t")]
        hook = [body["title"] for body in self.posted("/hook")]
        return self.subjects if self.subjects == slack == hook else []

    def clear(self) -> None:
        self.mails.clear()
        self.posts.clear()


def text_of(mail: EmailMessage) -> str:
    """The page of a mail."""
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


@contextmanager
def receivers() -> Iterator[Receivers]:
    """Run the servers while the block runs."""
    found: Receivers

    class Mailbox(Message):
        def prepare_message(self, session: Any, envelope: Any) -> EmailMessage:
            mail = message_from_bytes(envelope.content, policy=policy.default)
            mail["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
            return mail

        def handle_message(self, message: Any) -> None:
            found.mails.append(message)

    class Poster(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/refused":
                self.send_error(403)
                return
            found.posts.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    mailserver = Controller(Mailbox(), hostname="127.0.0.1", port=free_port())
    web = ThreadingHTTPServer(("127.0.0.1", 0), Poster)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = Receivers(mailserver.port, f"http://127.0.0.1:{web.server_port}", silent.getsockname()[1])
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        mailserver.start()
        try:
            yield found
        finally:
            mailserver.stop()
            web.shutdown()
            web.server_close()
            thread.join()
