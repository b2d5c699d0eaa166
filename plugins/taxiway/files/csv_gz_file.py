"""The format ``csv.gz``: CSV in gzip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from taxiway.files import file_kinds, gzip_file
from taxiway.files.file_format import Digest, FileContents
from taxiway.files.file_kinds import Kind
from taxiway.files.gzip_file import GZIP_MAGIC, GzipFaultError
from taxiway.sources.source import Layout


class CsvGzFile:
    """Reads files of CSV in gzip, whose checksums tell that they are whole."""

    sound = "a sound gzip file of CSV rows"
    content_type = "application/gzip"
    # Not with ``Content-Encoding: gzip``, which would have objects unpacked on their way out of the bucket.
    is_csv = True
    proves_whole = True

    def other_kind(self, head: bytes, content_type: str) -> Kind | None:
        """Say what a file is that isn't gzip, or what a gzip file holds that isn't CSV."""
        if not head or not GZIP_MAGIC.startswith(head[:2]):
            return file_kinds.describe_body(head, content_type)
        inside = gzip_file.unpacked_head(head)
        # A gzip file in a gzip file may be the server's doing, which is undone later.
        if not inside.startswith(GZIP_MAGIC) and file_kinds.other_kind(inside) is not None:
            kind = file_kinds.describe_body(inside, content_type)
            return Kind(f"a gzip file that holds {kind.name}", kind.advice, kind.detail)
        return None

    def check(self, path: Path, *, limit: int | None = None) -> FileContents:
        """Unpack a file from end to end."""
        contents = gzip_file.check_gzip(path, limit=limit)
        if contents.head.startswith(GZIP_MAGIC):
            raise GzipFaultError("a gzip file inside a gzip file")
        if contents.unpacked == 0:
            raise GzipFaultError("a gzip file with nothing in it")
        return contents

    def declared_types(self, path: Path) -> Mapping[str, str]:
        """Return nothing: CSV has no types."""
        return {}

    def blocks(
        self, path: Path, layout: Layout, digest: Digest | None = None, *, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield what a file unpacks to."""
        return gzip_file.unpacked_blocks(path, digest, limit=limit)
