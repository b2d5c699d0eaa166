"""A TCP proxy in front of a Postgres that cuts a connection, or does something worse, where its test says."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BLOCK = 16 * 1024


@dataclass(frozen=True)
class Cut:
    """Where a connection is cut.

    :param after: how much has to pass, in ``unit``
    :param unit: ``bytes``, or ``messages``: what came in one piece, of either side
    :param lost: whether what made it full is lost, too; else it still arrives, and its answer is lost
    :param reset: cut by a reset rather than by an orderly end
    :param behind: what a client must have said before, one after another, in messages of their own; only what
        passes behind them is counted
    """

    after: int
    unit: str
    lost: bool
    reset: bool
    behind: tuple[bytes, ...] = ()


class CuttingProxy:
    """Forwards loopback TCP connections to a Unix socket; use it in a ``with`` statement.

    :param target: the Unix socket
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._cut: Cut | None = None
        self._awaited: list[bytes] = []
        self._instead: Callable[[], None] | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.passed = {"bytes": 0, "messages": 0}
        self.cuts = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def arm(self, cut: Cut | None, instead: Callable[[], None] | None = None) -> None:
        """Count from zero again, and cut a connection once, there.

        :param instead: what to do in that moment, instead of cutting the connection first
        """
        with self._lock:
            self._cut, self._instead = cut, instead
            self._awaited = list(cut.behind) if cut else []
            self.passed = {"bytes": 0, "messages": 0}

    def __enter__(self) -> CuttingProxy:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            _close(*pair)
        for thread in self._threads:
            thread.join()

    def welcome(self, client: socket.socket) -> bool:
        """Say whether a client that has just arrived is let through; another kind of proxy greets it first."""
        return True

    def disguise(self, block: bytes) -> bytes:
        """Return what the client is given of what the server said: as many bytes."""
        return block

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._target))
            except OSError:
                _close(client, server)
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self.welcome(client):
                _close(client, server)
                continue
            self._pairs.append((client, server))
            for ends in ((client, server), (server, client)):
                thread = threading.Thread(target=self._pump, args=(*ends, client, server))
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, to: socket.socket, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(BLOCK):
                if source is server:
                    block = self.disguise(block)
                cut = self._count(block, of_client=source is client)
                if cut is None or not cut.lost:
                    to.sendall(block)
                if cut is not None:
                    if self._instead is not None:
                        self._instead()
                    if cut.reset:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
        _close(client, server)

    def _count(self, block: bytes, *, of_client: bool) -> Cut | None:
        with self._lock:
            if self._awaited:
                if of_client and self._awaited[0] in block:
                    del self._awaited[0]
                return None
            self.passed["bytes"] += len(block)
            self.passed["messages"] += 1
            cut = self._cut
            if cut is None or self.passed[cut.unit] < cut.after:
                return None
            self._cut = None
            self.cuts += 1
            return cut


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
