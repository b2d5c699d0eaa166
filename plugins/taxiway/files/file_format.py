"""What a format of files must provide, so that every step can read its files.

A module for a format has a class with the members of :class:`FileFormat`, and a line in
:data:`taxiway.files.formats.FORMATS`. Its name is in :data:`taxiway.sources.release.FORMATS` too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from taxiway.files.file_kinds import Kind
from taxiway.sources.source import Layout

HEAD = 64 * 1024
"""How many bytes of a body's start are read to say what it is."""

BLOCK = 1024 * 1024
"""The most bytes of one block of CSV. Formats that write the lines give a longer line as a block of its own."""


class FileFaultError(ValueError):
    """What is wrong with a file."""

    def __init__(self, found: str, *, truncated: bool = False) -> None:
        """Report what was found.

        :param found: what is wrong, in words that follow "found"
        :param truncated: whether everything up to the file's end is sound, and it only ends too early
        """
        super().__init__(found)
        self.truncated = truncated


class CheckBrokenOffError(Exception):
    """A check that ended before it could say anything of its file, in words that follow "found"; a retry may help."""


class NotOfTypeError(Exception):
    """A value that has not the type of its column as it is: only a closer look tells whether it can be read."""


class UnpackedSizeError(FileFaultError):
    """A file that holds more than it may; whether the rest of it is sound is not known."""

    def __init__(self, size: int, unpacked: int, kind: str) -> None:
        """Report how far the file was read.

        :param size: bytes of the file that were read until then
        :param unpacked: bytes that they had given
        :param kind: what the file is
        """
        super().__init__(f"{kind} whose first {size} bytes unpack to {unpacked} already")
        self.size = size
        self.unpacked = unpacked


@dataclass(frozen=True)
class FileContents:
    """What a sound file holds.

    :param size: bytes of the file itself
    :param sha256: of the file itself, in hexadecimal
    :param unpacked: bytes of what it unpacks to
    :param head: the first of these, at most :data:`HEAD`
    """

    size: int
    sha256: str
    unpacked: int
    head: bytes


class Digest(Protocol):
    """A hash that is fed a file's bytes."""

    def update(self, block: bytes, /) -> None:
        """Feed the next bytes."""


class FileFormat(Protocol):
    """A format: how its files are verified after the download, and how they become blocks of CSV.

    Blocks are what every later step reads, also to show a rejected row again: its position is its line in them. So the
    same file must give the same bytes each time.
    """

    @property
    def sound(self) -> str:
        """What a sound file is, in words that follow "expected": ``a sound gzip file of CSV rows``."""

    @property
    def content_type(self) -> str:
        """Media type of the file in the bucket, which keeps it as it came."""

    @property
    def is_csv(self) -> bool:
        """Whether BigQuery reads the file itself as CSV. If not, it reads a copy in ``csv.gz``."""

    @property
    def proves_whole(self) -> bool:
        """Whether :meth:`check` finds a file that ends too early. If not, the mirror must say how long it is."""

    def other_kind(self, head: bytes, content_type: str) -> Kind | None:
        """Say what a file is that can't be one of this format; None if it can.

        :param head: its first bytes, at most :data:`HEAD`; all of them if it is shorter
        :param content_type: the answer's header Content-Type, or an empty text
        """

    def check(self, path: Path, *, limit: int | None = None) -> FileContents:
        """Verify a file that was downloaded, from its first byte to its last.

        :param limit: bytes that it may unpack to; None for any number
        :raises FileFaultError: it is damaged, empty, or of another format
        :raises UnpackedSizeError: it unpacks to more than the limit
        :raises CheckBrokenOffError: something else than the file ended the check
        """

    def declared_types(self, path: Path) -> Mapping[str, str]:
        """Return the types that a file says its columns have, each as a type of a source, by the columns' names.

        :param path: the file
        :return: nothing for a column, or a format, without such a type
        """

    def blocks(
        self, path: Path, layout: Layout, digest: Digest | None = None, *, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield a file as CSV: a header line, then a line for each row.

        :param path: the file
        :param layout: the columns that a file of this month may have, for formats whose values have types
        :param digest: is fed all of the file's own bytes, in their order, before the last block is out
        :param limit: bytes that it may unpack to; None for any number
        :return: blocks as :data:`BLOCK` says
        :raises FileFaultError: as :meth:`check`
        :raises UnpackedSizeError: as :meth:`check`; what was yielded before is within the limit
        """


@runtime_checkable
class TypedFormat(Protocol):
    """What a :class:`FileFormat` may have besides, if the values of its files have types."""

    def typed_lines(
        self, path: Path, columns: Sequence[tuple[int, str]], digest: Digest | None = None, *, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield a file's rows as the texts that ids are made from (docs/row-identity.md), without a header.

        :param path: the file
        :param columns: place in the file and type of each column of the layout, in the layout's order
        :param digest: as for :meth:`FileFormat.blocks`
        :param limit: bytes that the rows may have; None for any number
        :return: blocks as :data:`BLOCK` says
        :raises NotOfTypeError: a value isn't of its column's type, or the rows may be larger than the limit
        :raises FileFaultError: as :meth:`FileFormat.check`
        """
