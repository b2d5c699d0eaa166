"""Fetches a month's file into the cache: whole and verified, or not at all."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from filelock import Timeout

from taxiway.download.cache import Cache
from taxiway.download.mirror_client import Mirror
from taxiway.download.transfer import DISK_FULL, Transfer
from taxiway.errors import DownloadError
from taxiway.files.formats import format_of
from taxiway.settings import format_size, in_all_units
from taxiway.sources.months import Month
from taxiway.sources.source import Source

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection to the mirror."""

READ_TIMEOUT = 60.0
"""Seconds to wait for the next bytes of an answer."""

LOCK_TIMEOUT = 3600.0
"""Seconds to wait for another process that fetches the same file."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """A month's file, fetched and verified.

    :param path: its path in the cache
    :param url: its address, without credentials
    :param etag: the mirror's ETag, as it came
    :param last_modified: the mirror's Last-Modified, as it came
    :param size: bytes of the file
    :param sha256: of the file, in hexadecimal
    :param from_cache: whether it was there already, and unchanged at the mirror
    :param unpacked_bytes: bytes that it unpacks to; None if a task of an earlier version fetched it
    """

    path: str
    url: str
    etag: str | None
    last_modified: str | None
    size: int
    sha256: str
    from_cache: bool
    unpacked_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, as they travel between tasks."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Download:
        """Read back what :meth:`to_dict` gave."""
        return cls(**document)


def download_month(
    session: requests.Session,
    base_url: str,
    source: Source,
    month: Month,
    cache: Cache,
    *,
    use_cache: bool = True,
    connect_timeout: float = CONNECT_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    lock_timeout: float = LOCK_TIMEOUT,
) -> Download:
    """Fetch a month's file, or take it from the cache if the mirror's is unchanged.

    :param session: carries the mirror's auth, headers, proxies and certificates
    :param base_url: the mirror's address; the source's path follows it
    :param source: whose file
    :param month: which month
    :param cache: the folder that keeps the file; other files may be deleted from it afterwards
    :param use_cache: False fetches the file whatever the cache holds
    :param connect_timeout: seconds to wait for a connection
    :param read_timeout: seconds to wait for the next bytes
    :param lock_timeout: seconds to wait for another process that fetches the same file
    :return: the verified file
    :raises MonthNotFoundError: if the mirror has no such file, or may not show it: 404, 410, or a storage's 403
    :raises InvalidFileError: if the complete file isn't a sound one of its format
    :raises FileTooLargeError: if it is larger than the source allows, packed or unpacked
    :raises RetryAfterTooLongError: if the mirror asks to wait longer than a task waits between two tries
    :raises DownloadRefusedError: if the mirror, or a rule about redirects, refuses
    :raises DownloadError: for everything that a retry may fix, a full disk included
    """
    subject = f"{source.name} {month}"
    mirror = Mirror(
        session,
        base_url,
        subject,
        source.allowed_redirect_hosts,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
    )
    file_path = source.file_path(month)
    slot = cache.slot(mirror.base_url, file_path)
    url = mirror.url(file_path)
    began = time.monotonic()
    with _disk_errors(subject, cache.folder):
        try:
            with slot.locked(lock_timeout):
                arrival = Transfer(source, format_of(source, month), mirror, url, slot).run(
                    slot.stored() if use_cache else None
                )
        except Timeout as error:
            raise DownloadError(
                f"{subject}: another process has been fetching {url} for more than {lock_timeout:g} s. "
                "Look for a run of the same month that hangs, or try again later"
            ) from error
        stored = arrival.stored
        if arrival.from_cache:
            log.info("%s: unchanged, taken from the cache (%s, %s)", subject, format_size(stored.size), url)
        else:
            resumed = "" if arrival.fetched == stored.size else f", the rest of {format_size(stored.size)}"
            log.info(
                "%s: fetched %s from %s in %.1f s, verified after %.1f s%s",
                subject,
                format_size(arrival.fetched),
                url,
                arrival.seconds,
                time.monotonic() - began,
                resumed,
            )
            cache.evict()
    log.info("%s: the file unpacks to %s", subject, in_all_units(stored.unpacked_bytes))
    return Download(
        path=str(slot.path.absolute()),
        url=stored.url,
        etag=stored.validators.etag,
        last_modified=stored.validators.last_modified,
        size=stored.size,
        sha256=stored.sha256,
        from_cache=arrival.from_cache,
        unpacked_bytes=stored.unpacked_bytes,
    )


@contextmanager
def _disk_errors(subject: str, folder: Path) -> Iterator[None]:
    """Say what a failed read or write in the cache means."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise DownloadError(
                f"{subject}: the cache {folder} can't hold a file this large ({error}); nothing was put in the cache. "
                "Lift the limit of the process (ulimit -f) or of the file system, or choose another folder"
            ) from error
        if error.errno in DISK_FULL:
            raise DownloadError(
                f"{subject}: the disk of the cache {folder} is full ({error}); nothing was put in the cache. "
                "Make space, lower the cache's limit, or choose another folder"
            ) from error
        raise DownloadError(
            f"{subject}: the cache {folder} can't be used: {error}. Make the folder writable, or choose another"
        ) from error
