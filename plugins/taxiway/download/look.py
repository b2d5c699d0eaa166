"""Asks which files a mirror has, and in which version, by HEAD: no file is fetched to find out.

Input: a source and a month. Output: what the mirror says of the file. Nothing is locked or written, and a second look
asks again.
"""

from __future__ import annotations

import enum
import hashlib
import re
from contextlib import closing
from dataclasses import dataclass

import requests

from taxiway.download.cache import Cache
from taxiway.download.download import CONNECT_TIMEOUT, READ_TIMEOUT
from taxiway.download.mirror_client import Mirror, content_length, retry_after_of
from taxiway.download.refusals import Refusal, refusal_of
from taxiway.download.validators import Validators
from taxiway.errors import DownloadError, DownloadRefusedError
from taxiway.messages import one_line
from taxiway.next_try import last_try, with_next_step
from taxiway.sources.months import Month
from taxiway.sources.source import Source

MOST_IN_VAIN = 3
"""After so many files in a row without an answer, a mirror isn't asked for more: each may take a minute."""

_NO_HEAD = (405, 501)
_OF_WHOLE = re.compile(r"bytes (?:[0-9]+-[0-9]+|\*)/([0-9]{1,18})")


class Presence(enum.Enum):
    """Whether a mirror has a file."""

    THERE = "there"
    ABSENT = "absent"
    HIDDEN = "absent, or not shown"
    """The answer 403, which storage such as the TLC's gives for a file that is absent."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class FileVersion:
    """What a mirror says of one version of a file.

    :param etag: the header as it came, or None
    :param last_modified: the header as it came, or None
    :param size: bytes, or None
    """

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None

    def is_same(self, other: FileVersion) -> bool | None:
        """Say whether both are one version of a file; None if nothing tells.

        ETags decide if both have one. They are compared weakly (RFC 9110, section 8.8.3.2): a server may mark the tag
        of a file as weak when it compresses the answer. A time or a size that differs tells of another version, too.
        """
        if self.etag and other.etag:
            return self.etag.removeprefix("W/") == other.etag.removeprefix("W/")
        told = [
            mine == theirs
            for mine, theirs in ((self.last_modified, other.last_modified), (self.size, other.size))
            if mine is not None and theirs is not None
        ]
        return all(told) if told else None

    @property
    def key(self) -> str:
        """A short name of the version, of letters and digits."""
        tag = self.etag.removeprefix("W/") if self.etag else f"{self.last_modified} {self.size}"
        return hashlib.sha256(tag.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        """Write it for a message."""
        size = None if self.size is None else f"{self.size} bytes"
        words = (self.etag and f"ETag {self.etag}", self.last_modified and f"changed {self.last_modified}", size)
        return ", ".join(word for word in words if word) or "no ETag, no Last-Modified and no size"


@dataclass(frozen=True)
class Look:
    """What a mirror says of a month's file.

    :param url: its address, without credentials
    :param presence: whether it is there
    :param said: the answer, in words
    :param version: which version is there; None if none is
    :param was_asked: whether it was asked for this file; if not, ``said`` says why
    :param refusal: what it means that the file isn't there; None if it is, wasn't asked for, or a redirect leads astray
    """

    url: str
    presence: Presence
    said: str
    version: FileVersion | None = None
    was_asked: bool = True
    refusal: Refusal | None = None

    @property
    def in_full(self) -> str:
        """What the mirror says, with the address that was asked, if one was."""
        return self.said if self.url in self.said or not self.was_asked else f"{self.url}: {self.said}"

    @property
    def found(self) -> str:
        """The same, without advice."""
        advice = with_next_step(self.refusal.value) if self.refusal else ""
        return self.in_full.removesuffix(f". {advice}")


def is_cached(cache: Cache, source: Source, month: Month, look: Look) -> bool:
    """Say whether the cache has the file as the mirror has it, so that a download takes it from there.

    :param look: what the mirror says of the month's file
    """
    path = source.file_path(month)
    recorded = cache.slot(look.url.removesuffix(f"/{path}"), path).recorded()
    if look.version is None or recorded is None:
        return False
    validators, size = recorded
    known = FileVersion(validators.etag, validators.last_modified, size)
    return bool(validators.if_changed) and look.version.is_same(known) is True


class Lookout:
    """Asks one mirror for files, one after another over one session.

    If the mirror asks to wait (``Retry-After``), or doesn't answer :data:`MOST_IN_VAIN` times in a row, it isn't asked
    for the remaining files.

    :ivar retry_after: seconds that the mirror asked to wait, if it did
    """

    def __init__(
        self,
        session: requests.Session,
        base_url: str,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        """Assign the parameters.

        :param session: carries the mirror's auth, headers, proxies and certificates
        :param base_url: the mirror's address
        :param connect_timeout: seconds to wait for a connection
        :param read_timeout: seconds to wait for an answer
        """
        self.session = session
        self.base_url = base_url
        self.timeouts = {"connect_timeout": connect_timeout, "read_timeout": read_timeout}
        self.retry_after: float | None = None
        self._in_vain = 0
        self._stopped = ""
        self._method = "HEAD"

    def look(self, source: Source, month: Month) -> Look:
        """Ask whether a month's file is there, and in which version.

        :raises DownloadRefusedError: the mirror's address can't be used
        """
        where = f"{source.name} {month}"
        mirror = Mirror(self.session, self.base_url, where, source.allowed_redirect_hosts, **self.timeouts)
        url = mirror.url(source.file_path(month))
        if self._stopped:
            return Look(url, Presence.UNKNOWN, f"not asked: {self._stopped}", was_asked=False)
        try:
            with last_try(False):
                response = self._ask(mirror, url)
        except (DownloadError, DownloadRefusedError) as error:
            refusal = error.refusal if isinstance(error.refusal, Refusal) else None
            look = Look(url, Presence.UNKNOWN, _without(error, f"{where}: "), refusal=refusal)
            return self._unanswered(look) if isinstance(error, DownloadError) else look
        with closing(response):
            return self._understood(url, response)

    def _ask(self, mirror: Mirror, url: str) -> requests.Response:
        """Ask by HEAD; if the mirror doesn't know it, for the first byte, of which nothing is read."""
        headers = {"Accept-Encoding": "identity"}
        if self._method == "HEAD":
            response = mirror.get(url, headers, method="HEAD")
            if response.status_code not in _NO_HEAD:
                return response
            response.close()
            self._method = "GET"
        return mirror.get(url, {**headers, "Range": "bytes=0-0"})

    def _understood(self, url: str, response: requests.Response) -> Look:
        status = response.status_code
        answer = f"the answer is {status} {one_line(response.reason or '', 60)}".rstrip()
        if status in (200, 206, 416):
            self._in_vain = 0
            if response.headers.get("Content-Type", "").lower().startswith("text/html"):
                return _other(url, f"{answer}, a web page in place of the file", Refusal.OTHER)
            return Look(url, Presence.THERE, answer, _version_of(response))
        self.retry_after = retry_after_of(response)
        refusal = refusal_of(status, b"", with_login=False, asks_to_wait=self.retry_after is not None)
        if refusal is Refusal.RETRY:
            if self.retry_after is None:
                return self._unanswered(_other(url, answer, refusal))
            self._stopped = f"the mirror asked to wait {self.retry_after:.0f} s"
            return _other(url, f"{answer}; it asks to wait {self.retry_after:.0f} s", refusal)
        self.retry_after, self._in_vain = None, 0
        found = {Refusal.ABSENT: Presence.ABSENT, Refusal.FORBIDDEN: Presence.HIDDEN}.get(refusal)
        if found is not None:
            return Look(url, found, answer, refusal=refusal)
        return _other(url, f"{answer}. {refusal.value}", refusal)

    def _unanswered(self, look: Look) -> Look:
        self._in_vain += 1
        if self._in_vain == MOST_IN_VAIN:
            self._stopped = f"the mirror gave no answer {MOST_IN_VAIN} times in a row"
        return look


def _version_of(response: requests.Response) -> FileVersion:
    """Take what names the version out of an answer's headers."""
    validators = Validators.from_headers(response.headers)
    whole = _OF_WHOLE.fullmatch(response.headers.get("Content-Range", "").strip())
    size = int(whole[1]) if whole else content_length(response) if response.status_code == 200 else None
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        size = None  # of the compressed answer
    return FileVersion(validators.etag, validators.last_modified, size)


def _other(url: str, said: str, refusal: Refusal) -> Look:
    """Return a look that doesn't tell whether the file is there."""
    return Look(url, Presence.UNKNOWN, said, refusal=refusal)


def _without(error: Exception, where: str) -> str:
    """Return what an error says, without its beginning, and without what it says about the next try."""
    said = str(error).removeprefix(where)
    return said.removesuffix(f". {Refusal.RETRY.value}").removesuffix(f". {Refusal.SILENT.value}")
