"""A SOCKS 5 proxy (RFC 1928), as far as it is the same for every test, and servers in threads of this process."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SocksProxy(socketserver.StreamRequestHandler):
    """Lets each client in, and notes the host that it asks for; a subclass says what happens then."""

    asked: list[bytes]

    def handle(self) -> None:
        _, methods = self.rfile.read(2)
        self.rfile.read(methods)
        self.wfile.write(b"\x05\x00")
        *_, length = self.rfile.read(5)
        self.asked.append(self.rfile.read(length + 2)[:-2])
        self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[tuple[str, int]]:
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address
        finally:
            server.shutdown()
            thread.join()
