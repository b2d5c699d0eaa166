"""The format ``csv``: CSV as it is, not compressed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from taxiway.files import file_kinds
from taxiway.files.file_format import BLOCK, HEAD, Digest, FileContents, FileFaultError, UnpackedSizeError
from taxiway.files.file_kinds import Kind
from taxiway.sources.source import Layout


class CsvFile:
    """Reads files of CSV. Nothing in such a file tells whether it is whole: the length that the mirror says does."""

    sound = "a CSV file"
    content_type = "text/csv"
    is_csv = True
    proves_whole = False

    def other_kind(self, head: bytes, content_type: str) -> Kind | None:
        """Say what a file is that isn't CSV: an empty one, a page, or one that begins as another format does."""
        if not head.strip() or file_kinds.other_kind(head) is not None:
            return file_kinds.describe_body(head, content_type)
        return None

    def check(self, path: Path, *, limit: int | None = None) -> FileContents:
        """Measure a file, and look at its first bytes."""
        digest = hashlib.sha256()
        size, head = 0, b""
        for block in _read(path, digest, limit):
            size += len(block)
            head += block[: HEAD - len(head)]
        if (kind := self.other_kind(head, "")) is not None:
            raise FileFaultError(kind.described)
        return FileContents(size, digest.hexdigest(), size, head)

    def declared_types(self, path: Path) -> Mapping[str, str]:
        """Return nothing: CSV has no types."""
        return {}

    def blocks(
        self, path: Path, layout: Layout, digest: Digest | None = None, *, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield the file's own bytes."""
        return _read(path, digest, limit)


def _read(path: Path, digest: Digest | None, limit: int | None) -> Iterator[bytes]:
    size = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            size += len(block)
            if digest is not None:
                digest.update(block)
            if limit is not None and size > limit:
                raise UnpackedSizeError(size, size, "a CSV file")
            yield block
