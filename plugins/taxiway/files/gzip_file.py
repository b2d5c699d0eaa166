"""Gzip files: checked through to their last byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from isal import isal_zlib

from taxiway.files.file_format import BLOCK, HEAD, Digest, FileContents, FileFaultError, UnpackedSizeError

GZIP_MAGIC = b"\x1f\x8b"
"""The first two bytes of every gzip member (RFC 1952)."""

_READ_BLOCK = 64 * 1024
# The decompressor copies what is left of a block behind a member's end: with many small members, large blocks are slow.
_GZIP_WBITS = 31
_DAMAGED: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stubs say: an instance


class GzipFaultError(FileFaultError):
    """What is wrong with a gzip file."""


def check_gzip(path: Path, *, limit: int | None = None) -> FileContents:
    """Unpack a file from end to end, keeping nothing: every member's checksum and length must hold.

    :param limit: bytes that it may unpack to; None for any number
    :raises GzipFaultError: if the file is damaged, ends too early or goes on after its last member
    :raises UnpackedSizeError: if it unpacks to more than the limit; the rest of it is not read
    """
    digest = hashlib.sha256()
    unpacked, head = 0, b""
    for block in unpacked_blocks(path, digest, limit=limit):
        unpacked += len(block)
        head += block[: HEAD - len(head)]
    return FileContents(path.stat().st_size, digest.hexdigest(), unpacked, head)


def unpacked_blocks(path: Path, digest: Digest | None = None, *, limit: int | None = None) -> Iterator[bytes]:
    """Yield what a gzip file unpacks to, in blocks of at most :data:`BLOCK`.

    :param digest: is fed the file's own bytes on the way
    :param limit: bytes that it may unpack to, all its members together; None for any number
    :raises GzipFaultError: as :func:`check_gzip`
    :raises UnpackedSizeError: as :func:`check_gzip`; what was yielded before is within the limit
    """
    size, total = 0, 0
    member = None
    with path.open("rb", buffering=0) as file:
        while block := file.read(_READ_BLOCK):
            size += len(block)
            if digest is not None:
                digest.update(block)
            while block:
                if member is None:
                    if not GZIP_MAGIC.startswith(block[:2]):
                        raise _not_a_member(size - len(block))
                    member = isal_zlib.decompressobj(_GZIP_WBITS)
                try:
                    unpacked = member.decompress(block, BLOCK)
                except _DAMAGED as error:
                    raise GzipFaultError(f"a gzip file damaged within its first {size} bytes ({error})") from error
                total += len(unpacked)
                if limit is not None and total > limit:
                    raise UnpackedSizeError(size, total, "a gzip file")
                if unpacked:
                    yield unpacked
                if member.eof:
                    block, member = member.unused_data, None
                else:
                    block = member.unconsumed_tail
    if member is not None:
        raise GzipFaultError(f"a gzip file that breaks off after {size} bytes, inside its data", truncated=True)


def _not_a_member(position: int) -> GzipFaultError:
    if position:
        return GzipFaultError(f"a gzip file with other data behind its end, from byte {position} on")
    return GzipFaultError("no gzip file: its first bytes are others")


def unpacked_head(body: bytes) -> bytes:
    """Unpack what the first bytes of a gzip file give, at most :data:`HEAD`; nothing if they are damaged."""
    try:
        return isal_zlib.decompressobj(_GZIP_WBITS).decompress(body, HEAD)
    except _DAMAGED:
        return b""
