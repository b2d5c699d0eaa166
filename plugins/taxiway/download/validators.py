"""What tells one version of a file at the mirror from another: ETag and Last-Modified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

MAX_LENGTH = 512
"""Longest validator that is made use of, in characters."""


@dataclass(frozen=True)
class Validators:
    """The validators that came with an answer (RFC 9110, section 8.8).

    :param etag: the header as it came, quotes and all
    :param last_modified: the header as it came
    :param dated: whether Last-Modified names one version only. It must be at least a second older than the answer:
        within one second the file could have changed again
    """

    etag: str | None = None
    last_modified: str | None = None
    dated: bool = False

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Validators:
        """Take the validators out of an answer's headers (a mapping that ignores case)."""
        etag, last_modified = _usable(headers.get("ETag")), _usable(headers.get("Last-Modified"))
        changed, answered = parse_http_date(last_modified), parse_http_date(headers.get("Date"))
        dated = changed is not None and answered is not None and answered - changed >= timedelta(seconds=1)
        return cls(etag, last_modified, dated)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Validators:
        """Read back what :func:`dataclasses.asdict` wrote."""
        return cls(document["etag"], document["last_modified"], document["dated"])

    @property
    def if_range(self) -> str | None:
        """The validator that bytes may be appended by: it names the same bytes, not similar ones."""
        if self.etag is not None and self.etag.startswith('"'):
            return self.etag
        return self.last_modified if self.dated else None

    @property
    def if_changed(self) -> dict[str, str]:
        """The headers that ask for the file only if it has changed; none if nothing tells."""
        headers = {}
        if self.etag is not None:
            headers["If-None-Match"] = self.etag
        if self.last_modified is not None and self.dated:
            headers["If-Modified-Since"] = self.last_modified
        return headers

    def contradicts(self, other: Validators) -> bool:
        """Say whether both name a version, and not the same one."""
        return any(
            mine is not None and theirs is not None and mine != theirs
            for mine, theirs in ((self.etag, other.etag), (self.last_modified, other.last_modified))
        )


def _usable(validator: str | None) -> str | None:
    """Leave out what can be neither sent back in a header nor kept: control characters, and pages of text."""
    return validator if validator is not None and validator.isprintable() and len(validator) <= MAX_LENGTH else None


def parse_http_date(text: str | None) -> datetime | None:
    """Read an HTTP date; None if there is none or it can't be read."""
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    if moment is not None and moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    return moment
