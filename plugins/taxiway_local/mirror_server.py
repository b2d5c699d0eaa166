"""A mirror of taxi months on this machine: serves a folder over HTTP as a good mirror would.

Starlette answers ranges and conditional requests and uvicorn speaks HTTP; both come with
Airflow. It adds entity tags made from a file's content, so that a file that is written again with the same bytes keeps
its tag. It hides hidden files.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from taxiway.errors import InvalidArgumentError, TaxiwayError
from taxiway_local.exits import end

LOOPBACK = "127.0.0.1"
"""The only address that is listened on: the files are for this machine."""

_GRACE_SECONDS = 1
_MEDIA_TYPES = {".gz": "application/gzip", ".csv": "text/csv"}
_START_SECONDS = 30


class _Files(StaticFiles):
    """A folder's files, each with an entity tag from its content."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._tags: dict[tuple[str, int, int, int], str] = {}

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        # Starlette calls this in a worker thread: reading a big file for its tag keeps nobody waiting.
        if any(part.startswith(".") for part in Path(path).parts):
            return "", None  # a file that is still being written, or notes about one
        full_path, found = super().lookup_path(path)
        if found and Path(full_path).is_file():
            self._tag(full_path, found)
        return full_path, found

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):  # Starlette's own answer lacks Allow on Python 3.10
            return PlainTextResponse("Method Not Allowed", 405, {"Allow": "GET, HEAD"})
        return await super().get_response(path, scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        name = os.fspath(full_path)
        response = FileResponse(
            name,
            status_code,
            {"ETag": self._tag(name, stat_result)},
            next((kind for ending, kind in _MEDIA_TYPES.items() if name.endswith(ending)), None),
            stat_result=stat_result,
        )
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response

    def _tag(self, path: str, found: os.stat_result) -> str:
        key = path, found.st_ino, found.st_mtime_ns, found.st_size
        if key not in self._tags:
            digest = hashlib.sha256()
            with open(path, "rb") as file:  # noqa: PTH123
                while block := file.read(1 << 20):
                    digest.update(block)
            self._tags[key] = f'"{digest.hexdigest()}"'
        return self._tags[key]


class _Server(uvicorn.Server):
    """uvicorn, which says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self.settled.set()


class Mirror:
    """A running mirror, made by :func:`serve`; as a context manager it closes at the end.

    :ivar address: where it answers, ``http://127.0.0.1:PORT``
    """

    def __init__(self, server: _Server, listener: socket.socket) -> None:
        """Start answering; :func:`serve` makes what this takes."""
        self.address = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        self._server = server
        self._thread = threading.Thread(target=server.run, args=([listener],), name="mirror", daemon=True)
        self._thread.start()
        server.settled.wait(_START_SECONDS)
        if not server.started:
            listener.close()
            raise InvalidArgumentError(f"the mirror at {self.address} did not start within {_START_SECONDS} s")

    def close(self) -> None:
        """Stop answering; a download under way has a second to end. Closing twice is fine."""
        self._server.should_exit = True
        self._thread.join()

    def __enter__(self) -> Mirror:
        """Return itself: it answers already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def serve(folder: Path, *, port: int = 0) -> Mirror:
    """Serve a folder on the loopback address, in threads of this process, until it is closed.

    Requests are logged under ``uvicorn.access`` at level INFO, to wherever the process logs.

    :param folder: laid out as the mirror: ``green/green_tripdata_2019-01.csv.gz``; files may come and change
    :param port: TCP port; 0 takes a free one
    :return: the mirror, which answers already
    :raises InvalidArgumentError: if the folder is none, or the port can't be listened on
    """
    if not folder.is_dir():
        raise InvalidArgumentError(f"{folder} is not a folder: expected one that holds the mirror's files")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise InvalidArgumentError(
            f"port {port} of {LOOPBACK} can't be listened on ({error}): name another port, or 0 for a free one"
        ) from error
    config = uvicorn.Config(
        Starlette(routes=[Mount("/", _Files(folder))]),
        log_config=None,  # the process that serves decides about its log
        log_level=None,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return Mirror(_Server(config), listener)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a folder from the command line until SIGINT or SIGTERM.

    :param arguments: what follows the command's name; the process's own if none are given
    :return: the exit code: 0, or 2 where an argument can't be used
    """
    parser = argparse.ArgumentParser(
        prog="python -m taxiway_local.mirror_server",
        description="Serves a folder of sample months as the mirror would.",
    )
    parser.add_argument("--folder", type=Path, required=True, help="laid out as the mirror")
    parser.add_argument("--port", type=int, default=0, help="TCP port (default: a free one)")
    parser.add_argument("--quiet", action="store_true", help="log no requests")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING if options.quiet else logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with serve(options.folder, port=options.port) as mirror:
            print(mirror.address, flush=True)
            stop.wait()
    except TaxiwayError as error:
        print(f"mirror: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    end(main, "mirror")
