"""Cloud Storage without a cloud: gcp-storage-emulator, and what it lacks of what Taxiway relies on.

The emulator takes no preconditions, forgets a new bucket's settings, and knows no bucket of someone else's. These are
added here, in front of it; every precondition that isn't known is refused.
"""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import urllib.parse
from dataclasses import dataclass
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

_PERMISSIONS = re.compile(r"^/storage/v1/b/([^/]+)/iam/testPermissions$")
_BUCKET = re.compile(r"^(?:/upload|/download)?/storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?$")
_PRECONDITIONS = {"ifGenerationNotMatch", "ifMetagenerationNotMatch"}
_MULTI_REGIONS = {"US", "EU", "ASIA"}


@dataclass(frozen=True)
class StorageRequest:
    """One request that arrived.

    :param authorized: whether it had an Authorization header; its value isn't kept
    """

    method: str
    path: str
    query: dict[str, str]
    authorized: bool


class CloudStorage:
    """The emulator on a free port of the loopback interface. Use it as a context manager.

    ``denied`` has the permissions that the account doesn't have on any bucket, as far as it is asked for them.

    :param folder: where it keeps its objects; in memory without one
    :param port: of the server; a free one without it
    """

    def __init__(self, folder: Path | None = None, port: int = 0) -> None:
        # It warns of every 404, which are a part of the tests.
        logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
        self.storage = Storage(use_memory_fs=folder is None, data_dir=str(folder) if folder else None)
        self.foreign_buckets: set[str] = set()
        self.denied: set[str] = set()
        self._requests: list[StorageRequest] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The value for ``STORAGE_EMULATOR_HOST``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> list[StorageRequest]:
        """What was asked since the last reset, oldest first."""
        return list(self._requests)

    def own_elsewhere(self, bucket: str) -> None:
        """Let a bucket's name belong to someone else: it can't be looked at (403), nor created (409)."""
        self.foreign_buckets.add(bucket)

    def record(self, request: StorageRequest) -> None:
        self._requests.append(request)

    def reset(self) -> None:
        """Forget every bucket, object and request."""
        with self._server.lock:
            self.storage.wipe()
        self.foreign_buckets.clear()
        self.denied.clear()
        self._requests.clear()

    def __enter__(self) -> CloudStorage:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: CloudStorage

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away is none of ours.
        return


class _Handler(RequestHandler):  # type: ignore[misc]
    server: _Server

    def __init__(self, request: Any, address: Any, server: _Server) -> None:
        super().__init__(server.owner.storage, request, address, server)

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urllib.parse.urlsplit(self.path)
        query = {key: values[-1] for key, values in urllib.parse.parse_qs(split.query).items()}
        self.server.owner.record(StorageRequest(self.command, split.path, query, "Authorization" in self.headers))
        # The emulator reads the body itself; it is looked at here first.
        self.rfile = io.BytesIO(content)
        with self.server.lock:
            if self._is_answered_here(split.path, query, content):
                return
            getattr(super(), f"do_{self.command}")()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _is_answered_here(self, path: str, query: dict[str, str], content: bytes) -> bool:
        if path == "/storage/v1/b" and self.command == "POST":
            self._insert_bucket(json.loads(content))
            return True
        if found := _PERMISSIONS.match(path):
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("permissions", [])
            self._answer(200, {"permissions": [name for name in asked if name not in self.server.owner.denied]})
            return True
        found = _BUCKET.match(path)
        if found is None:
            return False
        bucket, name = urllib.parse.unquote(found[1]), urllib.parse.unquote(found[2] or "")
        if bucket in self.server.owner.foreign_buckets:
            who = "taxiway@stand-in.iam.gserviceaccount.com"
            self._refuse(403, "forbidden", f"{who} does not have storage.buckets.get access to the bucket {bucket}.")
            return True
        if unknown := _PRECONDITIONS & set(query):
            self._refuse(501, "notImplemented", f"The stand-in refuses the precondition {min(unknown)}")
            return True
        name = name or query.get("name", "") or self._name_in(query, content)
        generation, metageneration = self._versions(bucket, name)
        expected = {"ifGenerationMatch": generation, "ifMetagenerationMatch": metageneration}
        if any(query.get(condition, version) != version for condition, version in expected.items()):
            self._refuse(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
            return True
        if query.get("generation") and query.get("softDeleted") != "true" and query["generation"] != generation:
            self._refuse(404, "notFound", f"No such object: {bucket}/{name}#{query['generation']}")
            return True
        return False

    def _name_in(self, query: dict[str, str], content: bytes) -> str:
        if "upload_id" in query:
            try:
                return str(self.storage.get_resumable_file_obj(query["upload_id"])["name"])
            except NotFound:
                return ""
        if query.get("uploadType") == "resumable":
            return str(json.loads(content or b"{}").get("name", ""))
        if query.get("uploadType") == "multipart":
            # The first part is the object's metadata, as JSON.
            return str(json.loads(re.split(rb"\r?\n\r?\n", content, maxsplit=1)[1].split(b"\n--")[0])["name"])
        return ""

    def _versions(self, bucket: str, name: str) -> tuple[str, str]:
        """Generation and metageneration of an object; zeros if there is none."""
        try:
            found = self.storage.get_file_obj(bucket, name) if name else {}
        except NotFound:
            found = {}
        return str(found.get("generation", "0")), str(found.get("metageneration", "0"))

    def _insert_bucket(self, wanted: dict[str, Any]) -> None:
        name = wanted["name"]
        if name in self.server.owner.foreign_buckets:
            message = "The requested bucket name is not available. The bucket namespace is shared by all users."
            self._refuse(409, "conflict", message)
            return
        bucket = buckets.create_bucket(name, self.storage)
        if not bucket:
            self._refuse(409, "conflict", "Your previous request to create the named bucket succeeded and you own it.")
            return
        location = str(wanted.get("location") or "US").upper()
        bucket |= {key: value for key, value in wanted.items() if value is not None}
        bucket |= {"location": location, "locationType": "multi-region" if location in _MULTI_REGIONS else "region"}
        self.storage.create_bucket(name, bucket)
        self._answer(200, bucket)

    def _refuse(self, status: int, reason: str, message: str) -> None:
        errors = [{"domain": "global", "reason": reason, "message": message}]
        self._answer(status, {"error": {"code": status, "message": message, "errors": errors}})

    def _answer(self, status: int, made: dict[str, Any]) -> None:
        content = json.dumps(made).encode()
        self.send_response(status, HTTPStatus(status).phrase)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
