"""Uploads a month's file to Cloud Storage, as it is: the bucket keeps the file as it came."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from taxiway.download.month_file import gone, require_same
from taxiway.errors import MissingInputError, SupersededError, TransientWarehouseError
from taxiway.warehouses.bigquery.errors import explains
from taxiway.warehouses.bigquery.settings import GcpSettings

if TYPE_CHECKING:
    from google.cloud import storage

FETCHED_BY = "taxiway_fetched_load_id"
"""Metadata of an object: the attempt that downloaded its bytes."""

REQUEST_SECONDS = 120.0
"""Longest wait for one answer."""

_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class Stored:
    """An object of the bucket.

    :param name: its name in the bucket
    :param generation: which version it is
    :param skipped: whether it was there already, with the same bytes
    """

    name: str
    generation: int
    skipped: bool


@dataclass(frozen=True)
class Bucket:
    """The bucket.

    :param client: Google's client
    :param settings: its name
    :param where: source, month and task, for messages
    :param outcome: what has been published so far, for messages; nothing is said of it without
    """

    client: storage.Client
    settings: GcpSettings
    where: str
    outcome: str = ""

    @explains
    def upload(
        self,
        path: Path,
        name: str,
        fetched_load_id: str,
        is_later: Callable[[str], bool] = lambda _: False,
        *,
        content_type: str,
        sha256: str | None = None,
    ) -> Stored:
        """Upload a file, unless the object is there with the same size and checksum.

        A reader sees the object whole, or the one before. Nobody's newer version is overwritten unseen.

        :param path: the file
        :param name: the object's name
        :param fetched_load_id: the attempt that downloaded the file
        :param is_later: whether an attempt, the one that downloaded what is there, has fetched the later file
        :param content_type: the file's media type
        :param sha256: of the file, in hexadecimal; if another file has taken its place, nothing is uploaded
        :raises SupersededError: another file is there, a later one
        :raises TransientWarehouseError: somebody else wrote the object meanwhile; trying again helps
        :raises MissingFileError: the file is gone, or is another one
        """
        # Opened once: what is uploaded is what was looked at, also if another file takes its path meanwhile.
        with self._opened(path) as file:
            return self._upload(file, name, fetched_load_id, is_later, content_type, sha256)

    def _upload(
        self,
        file: BinaryIO,
        name: str,
        fetched_load_id: str,
        is_later: Callable[[str], bool],
        content_type: str,
        sha256: str | None,
    ) -> Stored:
        from google.api_core.exceptions import PreconditionFailed

        known = _known_by(file)
        size, md5 = known.size, known.md5
        if sha256 is not None:
            require_same(self.where, file.name, known.sha256, sha256)
        bucket = self.client.bucket(self.settings.bucket)
        found = bucket.get_blob(name, timeout=REQUEST_SECONDS)
        if found is not None and (found.size, found.md5_hash) == (size, md5):
            self._renew(found, fetched_load_id, is_later)
            return Stored(name, int(found.generation or 0), skipped=True)
        if found is not None and is_later(_fetched_by(found)):
            raise SupersededError(
                f"{self.where}: a run that began later has put another file into {self.address(name)} meanwhile (MD5 "
                f"{found.md5_hash}); expected to put the one with {md5} there. Nothing was changed: run the month "
                f"again if this file is the right one"
            )
        blob = bucket.blob(name)
        blob.metadata = {FETCHED_BY: fetched_load_id}
        try:
            blob.upload_from_file(
                file,
                rewind=True,
                size=size,
                content_type=content_type,
                if_generation_match=int(found.generation or 0) if found is not None else 0,
                # A run that finds its file's bytes there already changes the metadata alone.
                if_metageneration_match=int(found.metageneration or 0) if found is not None else None,
                checksum="md5",
                timeout=REQUEST_SECONDS,
            )
        except PreconditionFailed:
            now = bucket.get_blob(name, timeout=REQUEST_SECONDS)
            # The answer to an upload that worked may be lost, and the request repeated.
            if now is not None and (now.size, now.md5_hash) == (size, md5):
                return Stored(name, int(now.generation or 0), skipped=False)
            raise self._changed(name) from None
        return Stored(name, int(blob.generation or 0), skipped=False)

    @explains
    def confirm(self, path: Path, name: str, fetched_load_id: str, is_later: Callable[[str], bool]) -> bool:
        """Say whether the object has the bytes of a file; if it has, note that this attempt has fetched them, too.

        A run with an older file then doesn't replace it.

        :param path: the file
        :param name: the object's name
        :param fetched_load_id: the attempt that downloaded the file
        :param is_later: whether an attempt, the one that downloaded what is there, has fetched the later file
        :raises TransientWarehouseError: somebody else wrote the object meanwhile; trying again helps
        :raises MissingFileError: the file is gone
        """
        with self._opened(path) as file:
            known = _known_by(file)
        found = self.client.bucket(self.settings.bucket).get_blob(name, timeout=REQUEST_SECONDS)
        if found is None or (found.size, found.md5_hash) != (known.size, known.md5):
            return False
        self._renew(found, fetched_load_id, is_later)
        return True

    def _opened(self, path: Path) -> BinaryIO:
        try:
            return path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise gone(self.where, path) from None

    def _renew(self, found: storage.Blob, fetched_load_id: str, is_later: Callable[[str], bool]) -> None:
        """Note the attempt that fetched an object's bytes last."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        theirs = _fetched_by(found)
        if theirs == fetched_load_id or is_later(theirs):
            return
        generation, metageneration = int(found.generation or 0), int(found.metageneration or 0)
        found.metadata = {**(found.metadata or {}), FETCHED_BY: fetched_load_id}
        try:
            found.patch(if_generation_match=generation, if_metageneration_match=metageneration, timeout=REQUEST_SECONDS)
        except (NotFound, PreconditionFailed):
            raise self._changed(str(found.name)) from None

    def _changed(self, name: str) -> TransientWarehouseError:
        return TransientWarehouseError(
            f"{self.where}: {self.address(name)} was changed by another run meanwhile; expected the version that was "
            f"there before. The task is tried again"
        )

    @explains
    def require_generation(self, name: str, generation: int) -> None:
        """Make sure that an object is still the version that was uploaded: a load job reads whichever is there.

        :raises MissingInputError: it is another one, or gone
        """
        found = self.client.bucket(self.settings.bucket).get_blob(name, timeout=REQUEST_SECONDS)
        if found is None or int(found.generation or 0) != generation:
            state = "is gone" if found is None else f"has the generation {found.generation}"
            raise MissingInputError(
                f"{self.where}: {self.address(name)} {state}, expected the generation {generation} that was uploaded: "
                f"another run has changed it. Clear the task upload_month with its downstream tasks"
            )

    @explains
    def delete(self, name: str) -> None:
        """Delete an object; one that is absent stays absent."""
        from google.api_core.exceptions import NotFound

        try:
            self.client.bucket(self.settings.bucket).delete_blob(name, timeout=REQUEST_SECONDS)
        except NotFound:
            return

    @explains
    def names(self, prefix: str) -> list[str]:
        """Return the names of the objects that begin so."""
        found = self.client.list_blobs(self.settings.bucket, prefix=prefix, timeout=REQUEST_SECONDS)
        return [str(blob.name) for blob in found]

    def address(self, name: str) -> str:
        """Return an object's address."""
        return f"gs://{self.settings.bucket}/{name}"


def _fetched_by(blob: storage.Blob) -> str:
    return str((blob.metadata or {}).get(FETCHED_BY) or "")


@dataclass(frozen=True)
class _Known:
    """What tells a file from others; the MD5 as Cloud Storage writes it."""

    size: int
    md5: str
    sha256: str


def _known_by(file: BinaryIO) -> _Known:
    size, md5, sha256 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha256()
    while block := file.read(_BLOCK):
        size += len(block)
        md5.update(block)
        sha256.update(block)
    return _Known(size, base64.b64encode(md5.digest()).decode(), sha256.hexdigest())
