"""One file's way from the mirror into its place in the cache: asked for, received, verified, put in place."""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import requests

from taxiway.download.cache import CacheSlot, PartialFile, StoredFile
from taxiway.download.mirror_client import BrokenConnectionError, Mirror, blocks, content_length
from taxiway.download.size_limits import file_too_large, unpacked_too_large
from taxiway.download.validators import Validators
from taxiway.errors import DownloadError, FileTooLargeError, InvalidFileError
from taxiway.files.file_format import (
    HEAD,
    CheckBrokenOffError,
    FileContents,
    FileFaultError,
    FileFormat,
    UnpackedSizeError,
)
from taxiway.files.file_kinds import LOOK
from taxiway.files.gzip_file import GZIP_MAGIC, unpacked_blocks, unpacked_head
from taxiway.settings import format_size
from taxiway.sources.source import Source

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of the operating system that mean a full disk, a used-up quota, or a file larger than it takes."""

_GZIP_ENCODINGS = ("gzip", "x-gzip")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True)
class Arrival:
    """How a transfer ended.

    :param stored: the verified file's record
    :param from_cache: whether it was there already, and unchanged at the mirror
    :param fetched: how many of its bytes came this time; the rest came with an earlier try
    :param seconds: from the request to the last byte; verifying the whole file isn't included
    """

    stored: StoredFile
    from_cache: bool
    fetched: int
    seconds: float


class Transfer:
    """A transfer into a slot that the caller has locked."""

    def __init__(self, source: Source, format_: FileFormat, mirror: Mirror, url: str, slot: CacheSlot) -> None:
        """Assign the parameters.

        :param source: whose file; says how large it may be
        :param format_: the file's format
        :param mirror: the mirror
        :param url: the file's address, without credentials
        :param slot: the file's place in the cache
        """
        self.source = source
        self.format = format_
        self.mirror = mirror
        self.url = url
        self.slot = slot

    def run(self, stored: StoredFile | None) -> Arrival:
        """Fetch the file, unless the mirror says that it is the stored one.

        :param stored: the record of what is in the cache; None fetches in any case
        :raises TaxiwayError: as :func:`taxiway.download.download.download_month`
        :raises OSError: if the disk fails
        """
        try:
            arrival = self._attempt(stored, self.slot.partial())
            if arrival is None:
                # What an earlier try left and what the mirror has now are not one file: from the start, once.
                self.slot.drop_part()
                arrival = self._attempt(stored, None)
        except OSError as error:
            if error.errno in DISK_FULL:
                self.slot.drop_part()
            raise
        except FileTooLargeError:
            self.slot.drop_part()
            raise
        if arrival is None:
            raise self._retryable("a part of the file, which wasn't asked for", "The task is tried again")
        return arrival

    def _attempt(self, stored: StoredFile | None, part: PartialFile | None) -> Arrival | None:
        """Ask once; None if the part in the cache can't be continued."""
        # "identity": the file's own bytes are what is counted and hashed.
        headers = {"Accept-Encoding": "identity"}
        began = time.monotonic()
        if stored is not None:
            headers |= stored.validators.if_changed
        if part is not None:
            if part.size == part.total:
                # Whole, but never verified: asking for its last byte again shows whether it is still current.
                part = replace(part, size=part.size - 1)
                self.slot.shorten(part.size)
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validators.if_range or ""}
        with closing(self.mirror.get(self.url, headers)) as response:
            status = response.status_code
            if status == 304 and stored is not None:
                self._check_size(stored.size, f"a file of {stored.size} bytes, in the cache and unchanged")
                self.slot.drop_part()
                self.slot.touch()
                return Arrival(stored, from_cache=True, fetched=0, seconds=time.monotonic() - began)
            if status == 416 and part is not None:
                return None
            if status == 206:
                part = None if part is None else _continued(part, response)
                if part is None:
                    return None
            elif status == 200:
                part = None
            else:
                raise self.mirror.error(self.url, response)
            current = self._receive(response, part)
            seconds = time.monotonic() - began
        contents = self._verify(current, resumed=part is not None)
        if contents is None:
            return None
        verified = StoredFile(self.url, current.validators, contents.size, contents.sha256, contents.unpacked)
        self.slot.commit(verified)
        fetched = contents.size - (part.size if part else 0)
        return Arrival(verified, from_cache=False, fetched=fetched, seconds=seconds)

    def _receive(self, response: requests.Response, part: PartialFile | None) -> PartialFile:
        """Write an answer's body to the ``.part``: append it, or replace the part."""
        body = blocks(response)
        announced = content_length(response) if part is None else part.total
        self._check_size(announced or 0, f"a file of {announced} bytes, as the mirror says")
        if part is None:
            encoding = response.headers.get("Content-Encoding", "").strip().lower()
            current = PartialFile(Validators.from_headers(response.headers), encoding, announced)
            chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
            if announced is None and not chunked and not self.format.proves_whole:
                raise self._invalid(
                    "an answer that doesn't say how long the file is",
                    "Have the mirror send Content-Length, or serve the file compressed with gzip",
                )
            first, broken = self._first_bytes(body, response, encoding)
            self._check_size(len(first), f"{len(first)} bytes of a file, and it goes on")
            self.slot.begin(current)
        else:
            current, first, broken = part, b"", None
        received = current.size
        free = shutil.disk_usage(self.slot.path.parent).free
        if current.total is not None and current.total - received > free:
            coming = format_size(current.total - received)
            raise OSError(errno.ENOSPC, f"{coming} are to come, {format_size(free)} are free")
        with self.slot.part.open("ab") as file:
            received += file.write(first)
            try:
                for block in body:
                    self._check_size(received + len(block), f"{received + len(block)} bytes of a file, and it goes on")
                    received += file.write(block)
            except BrokenConnectionError as error:
                broken = error
        if broken is not None or received != (current.total or received):
            raise self._cut_off(current, received, broken)
        return current

    def _first_bytes(
        self, body: Iterator[bytes], response: requests.Response, encoding: str
    ) -> tuple[bytes, BrokenConnectionError | None]:
        """Read as much as tells what the body is, before a byte of it is stored."""
        first, broken = b"", None
        try:
            while len(first) < HEAD and (block := next(body, b"")):
                first += block
        except BrokenConnectionError as error:
            broken = error
        head = first[:HEAD]
        if (first or broken is None) and not self._is_wrapped(encoding, head):
            found = self.format.other_kind(head, response.headers.get("Content-Type", ""))
            if found is not None:
                raise self._invalid(found.described, found.advice)
        return first, broken

    def _is_wrapped(self, encoding: str, head: bytes) -> bool:
        """Say whether the server has compressed the file on its way, though asked not to.

        :param encoding: the answer's Content-Encoding
        :param head: the body's first bytes
        """
        if encoding not in _GZIP_ENCODINGS or not head.startswith(GZIP_MAGIC):
            return False
        return self.format.other_kind(unpacked_head(head), "") is None

    def _verify(self, current: PartialFile, *, resumed: bool) -> FileContents | None:
        """Check the whole ``.part``; None if it was put together from several answers and doesn't hold."""
        try:
            with self.slot.part.open("rb") as file:
                head = file.read(HEAD)
            if self._is_wrapped(current.encoding, head):
                self._unwrap()
            return self.format.check(self.slot.part, limit=self.source.max_unpacked_size)
        except CheckBrokenOffError as error:
            raise DownloadError(
                f"{self._where}: found {error}; expected it to read the file to its end. {self._keep(current)}. If "
                "this comes again, look whether the machine is short of memory, and whether pyarrow is installed"
            ) from error
        except FileFaultError as fault:
            if resumed:
                return None
            if fault.truncated and current.total is None:
                raise self._cut_off(current, self.slot.part.stat().st_size, None) from fault
            if isinstance(fault, UnpackedSizeError):
                raise unpacked_too_large(self.source, self._where, fault) from fault
            self.slot.drop_part()
            raise self._invalid(str(fault)) from fault

    def _unwrap(self) -> None:
        """Undo a compression that the server put around the file."""
        with self.slot.unwrapped.open("wb") as file:
            size = 0
            for block in unpacked_blocks(self.slot.part):
                size += len(block)
                self._check_size(size, f"{size} bytes of a file that came compressed once more, and it goes on")
                file.write(block)
        self.slot.unwrapped.replace(self.slot.part)

    def _check_size(self, size: int, found: str) -> None:
        if size > self.source.max_file_size:
            raise file_too_large(self.source, self._where, found)

    @property
    def _where(self) -> str:
        return self.mirror.where(self.url)

    def _cut_off(self, part: PartialFile, received: int, reason: BrokenConnectionError | None) -> DownloadError:
        total = "an unknown number of" if part.total is None else part.total
        return self._retryable(
            f"{received} of {total} bytes, then {reason or 'the connection closed'}", self._keep(part)
        )

    def _keep(self, part: PartialFile) -> str:
        """Keep what came, if the next try can go on with it; say so."""
        if part.validators.if_range is not None:
            return "What came is kept, and the next try goes on from there. The task is tried again"
        self.slot.drop_part()
        return (
            "The next try starts anew, for the mirror gives neither a strong ETag nor a Last-Modified. "
            "The task is tried again"
        )

    def _retryable(self, found: str, next_step: str) -> DownloadError:
        return DownloadError(f"{self._where}: found {found}; expected the whole file. {next_step}")

    def _invalid(self, found: str, advice: str = LOOK) -> InvalidFileError:
        return InvalidFileError(f"{self._where}: found {found}; expected {self.format.sound}. {advice}")


def _continued(part: PartialFile, response: requests.Response) -> PartialFile | None:
    """Return a part's record with the whole's length, if an answer is exactly the rest of the same version."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if match is None:
        return None
    first, last, total = map(int, match.groups())
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    same = (
        first == part.size
        and last == total - 1
        and part.total in (None, total)
        and content_length(response) in (None, total - first)
        and encoding == part.encoding
        and not part.validators.contradicts(Validators.from_headers(response.headers))
    )
    return replace(part, total=total) if same else None
