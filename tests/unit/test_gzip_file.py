"""A gzip file is read to its last byte, and what is wrong with it is told apart."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

import pytest

from taxiway.files.file_format import HEAD, FileContents, UnpackedSizeError
from taxiway.files.gzip_file import (
    GzipFaultError,
    check_gzip,
    unpacked_blocks,
    unpacked_head,
)

MIB = 1024 * 1024
DATA = random.Random(1).randbytes(200_000)
"""More than is read at once, and packs no smaller."""


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


ROWS = packed(b"a,b\n1,2\n")
MEMBER = packed(DATA)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "month.csv.gz"


@pytest.mark.parametrize("parts", [[b"a,b\n1,2\n"], [DATA], [DATA[:40_000], b"", DATA[40_000:]], [b""]], ids=len)
def test_all_members_are_read(parts: list[bytes], path: Path) -> None:
    file, data = b"".join(map(packed, parts)), b"".join(parts)
    path.write_bytes(file)

    contents = check_gzip(path, limit=len(data))

    assert contents == FileContents(len(file), hashlib.sha256(file).hexdigest(), len(data), data[:HEAD])
    assert b"".join(unpacked_blocks(path)) == data


def test_blocks_stay_small_and_none_is_empty(path: Path) -> None:
    path.write_bytes(packed(bytes(3 * MIB + 1)) + packed(b"") + packed(b"x"))

    assert [len(block) for block in unpacked_blocks(path)] == [MIB, MIB, MIB, 1, 1]


@pytest.mark.parametrize(
    ("file", "found", "truncated"),
    [
        (b"a,b\n1,2\n", "no gzip file: its first bytes are others", False),
        (b"\x1f\x8c" + ROWS[2:], "no gzip file: its first bytes are others", False),
        (ROWS + b"x", f"a gzip file with other data behind its end, from byte {len(ROWS)} on", False),
        (
            ROWS + MEMBER + ROWS + b"\0\0",
            f"a gzip file with other data behind its end, from byte {2 * len(ROWS) + len(MEMBER)} on",
            False,
        ),
        (b"\x1f", "a gzip file that breaks off after 1 bytes, inside its data", True),
        (ROWS[:-1], f"a gzip file that breaks off after {len(ROWS) - 1} bytes, inside its data", True),
        (ROWS + b"\x1f", f"a gzip file that breaks off after {len(ROWS) + 1} bytes, inside its data", True),
        (MEMBER[:150_000], "a gzip file that breaks off after 150000 bytes, inside its data", True),
    ],
    ids=range(8),
)
def test_what_is_wrong_is_told_apart(file: bytes, found: str, truncated: bool, path: Path) -> None:
    path.write_bytes(file)

    with pytest.raises(GzipFaultError) as caught:
        check_gzip(path)

    assert (str(caught.value), caught.value.truncated) == (found, truncated)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        (ROWS[:-8] + bytes(4) + ROWS[-4:], len(ROWS)),
        (ROWS[:10] + b"\xff" * 20, 30),
        (MEMBER[:100_000] + bytes(100) + MEMBER[100_100:], None),
    ],
    ids=["checksum", "data", "data further on"],
)
def test_damage_is_found_where_it_is(file: bytes, read: int | None, path: Path) -> None:
    path.write_bytes(file)

    with pytest.raises(GzipFaultError, match=r"^a gzip file damaged within its first \d+ bytes \(.+\)$") as caught:
        check_gzip(path)

    assert not caught.value.truncated
    assert read is None or f"first {read} bytes" in str(caught.value)


def test_a_file_may_unpack_to_its_limit(path: Path) -> None:
    path.write_bytes(MEMBER + ROWS)
    limit = len(DATA) + 8
    assert check_gzip(path, limit=limit).unpacked == limit

    with pytest.raises(UnpackedSizeError) as caught:
        check_gzip(path, limit=limit - 1)

    error = caught.value
    assert (error.size, error.unpacked, error.truncated) == (len(MEMBER + ROWS), limit, False)
    assert str(error) == f"a gzip file whose first {error.size} bytes unpack to {limit} already"


def test_the_file_itself_goes_by_in_small_blocks(path: Path) -> None:
    path.write_bytes(MEMBER + ROWS)
    read: list[bytes] = []

    class Kept:
        update = staticmethod(read.append)

    assert b"".join(unpacked_blocks(path, Kept())) == DATA + b"a,b\n1,2\n"

    assert b"".join(read) == MEMBER + ROWS
    assert max(map(len, read)) == 64 * 1024


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (MEMBER, DATA[:HEAD]),
        (ROWS, b"a,b\n1,2\n"),
        (ROWS[:-9], b"a,b\n1,2\n"),
        (b"a,b\n1,2\n" * 10, b""),
        (ROWS[:10] + b"\xff" * 20, b""),
        (b"", b""),
    ],
    ids=range(6),
)
def test_the_first_bytes_show_what_is_inside(body: bytes, head: bytes) -> None:
    assert unpacked_head(body) == head
