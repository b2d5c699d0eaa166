"""Says what a file is that should be CSV, and isn't: for errors, with what to do."""

from __future__ import annotations

import html
import re
import tarfile
from dataclasses import dataclass

from taxiway.messages import one_line, quoted

# The mirror chooses the text that these are tried on, so no pattern may read the same bytes again and again.
_HTML = re.compile(rb"\s*(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
_JSON = re.compile(rb"\s*[\[{]\s*[\[\]{}\"]")
_BOM = b"\xef\xbb\xbf"

LOOK = "Open the file's address, for example in a browser. If the file is broken, tell the mirror's administrator"
_OTHER_FORMAT = (
    "The release's format is CSV: correct 'path' and 'format' in the source's YAML file, or have the mirror serve CSV"
)
_UNPACK = "Unpack it, compress the CSV file in it with gzip, and have the mirror serve the result"
_UNPACK_GZIP = (
    "Have the mirror serve it under a name that ends in .csv.gz, with 'format: csv.gz' in the source's YAML file; or "
    "unpack it"
)
_UNPACK_TAR = (
    "Have the mirror serve the CSV file in it, compressed with gzip: 'tar -xOf ARCHIVE MEMBER | gzip > FILE.csv.gz'"
)
_COMPRESS = (
    "Have the mirror serve it compressed with gzip: 'gzip FILE.csv'. Or have it serve a name that ends in .csv, with "
    "'format: csv' in the source's YAML file"
)
_SAVE = "Save it as CSV in UTF-8, and compress it with gzip if the release's format is csv.gz"
_PAGE = (
    "Look at it in a browser: a page in the file's place is often that of a login, of an error or of a proxy. If it "
    "asks for a login, set login and password in the mirror's connection; else correct the connection's address"
)

_FORMATS = (
    (b"PAR1", "a Parquet file", _OTHER_FORMAT),
    (b"ORC", "an ORC file", _OTHER_FORMAT),
    (b"Obj\x01", "an Avro file", _OTHER_FORMAT),
    (b"ARROW1", "an Arrow file", _OTHER_FORMAT),
    (b"FEA1", "a Feather file", _OTHER_FORMAT),
    (b"SQLite format 3\x00", "an SQLite database", _OTHER_FORMAT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file (OLE)", _SAVE),
    (b"%PDF-", "a PDF document", _OTHER_FORMAT),
    (b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", LOOK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x1f\x8b", "a gzip file", _UNPACK_GZIP),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ\x00", "an xz file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (b"\x04\x22\x4d\x18", "an LZ4 file", _UNPACK),
    (b"\xff\xfe", "text in UTF-16", _SAVE),
    (b"\xfe\xff", "text in UTF-16", _SAVE),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS",
        "The address leads to the pointer in place of the file: correct the connection's address, or fetch the file "
        "with 'git lfs pull' on the mirror's machine",
    ),
)
# What a file of a kind begins with, what it is called, and what to do.


@dataclass(frozen=True)
class Kind:
    """What a file is.

    :param name: for example ``a tar archive``
    :param advice: what to do, as sentences
    :param detail: what tells more of it, for example its title; an empty text for nothing
    """

    name: str
    advice: str
    detail: str = ""

    @property
    def described(self) -> str:
        """Name and detail: ``an HTML page (title 'Sign in')``."""
        return f"{self.name} ({self.detail})" if self.detail else self.name


def is_html(head: bytes) -> bool:
    """Say whether a file's first bytes begin an HTML page."""
    return _HTML.match(head.removeprefix(_BOM)) is not None


def other_kind(head: bytes) -> Kind | None:
    """Say what a file is by its first bytes; None if it may be CSV.

    :param head: the file's first bytes; the more, the better
    """
    if is_html(head):
        return _page(head)
    if (member := _tar_member(head)) is not None:
        return Kind("a tar archive", _UNPACK_TAR, f"its first member is {quoted(member)}")
    line = head.partition(b"\n")[0].removesuffix(b"\r")
    # A header's first name may begin like another format: ORCID, PAR1.
    may_be_header = b"," in line and line.isascii() and line.decode().isprintable()
    for begin, name, advice in _FORMATS:
        if head.startswith(begin) and not may_be_header:
            if begin == b"PK\x03\x04" and (b"[Content_Types].xml" in head[:4096] or b"xl/" in head[:4096]):
                return Kind("an Excel workbook", _SAVE)
            return Kind(name, advice)
    text = head.removeprefix(_BOM)
    if text.lstrip().startswith((b"<?xml", b"<Error>")):
        return Kind("an XML document", LOOK, _beginning(text))
    if _JSON.match(text):
        return Kind("a JSON document", _OTHER_FORMAT, _beginning(text))
    return None


def describe_body(body: bytes, content_type: str) -> Kind:
    """Say what the body of an answer is, or what a file holds, that should have been something else.

    :param body: its first bytes
    :param content_type: the header Content-Type, or an empty text
    :return: for example ``an HTML page (text/html, title 'Sign in')``
    """
    media_type = content_type.partition(";")[0].strip().lower()
    label = one_line(media_type, 60) or "no Content-Type"
    if not body:
        return Kind("an empty body", LOOK, label)
    kind = other_kind(body) or (_page(body) if "html" in media_type else None)
    if kind is not None:
        return Kind(kind.name, kind.advice, f"{label}, {kind.detail}" if kind.detail else label)
    start = body[:200].decode(errors="replace")
    if "\ufffd" in start[:-1] or "\0" in start:
        return Kind(f"data ({label}) that begins with the bytes {body[:8].hex(' ')}", LOOK)
    advice = _COMPRESS if "," in start.partition("\n")[0] else LOOK
    return Kind(f"plain text ({label}) that begins '{one_line(start, 60)}'", advice)


def _beginning(head: bytes) -> str:
    return f"it begins '{one_line(head.decode(errors='replace'))}'"


def _page(head: bytes) -> Kind:
    title = _TITLE.search(head.decode(errors="replace"))
    named = f"title '{one_line(html.unescape(title[1]), 80)}'" if title else "without a title"
    return Kind("an HTML page", _PAGE, named)


def _tar_member(head: bytes) -> str | None:
    """Return the name of a tar archive's first member, whose header has a checksum; None if it isn't an archive."""
    try:
        return tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape").name
    except tarfile.HeaderError:
        return None
