"""A file that is too large, as it comes or unpacked, is stopped on the way, and nothing of it is kept."""

from __future__ import annotations

import gzip
import itertools
import re
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest

from taxiway.download.cache import Cache
from taxiway.errors import FileTooLargeError
from taxiway.files.file_format import FileFaultError, UnpackedSizeError
from taxiway.files.gzip_file import GzipFaultError, check_gzip, unpacked_blocks
from tests.mirror_faults import FaultyMirror, cut_off, good
from tests.month_files import PATH, fetch, files_below, month_file

BODY = month_file(40_000)
UNPACKED = len(gzip.decompress(BODY))
KB = 1000
MB = 1_000_000


def too_large(mirror: FaultyMirror, cache: Cache, **options: object) -> str:
    """Fetch, and return the message of the error, which names source, month and address; nothing is left."""
    with pytest.raises(FileTooLargeError) as caught:
        fetch(mirror, cache, **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"green 2019-03: {mirror.url}{PATH}: found ")
    assert files_below(cache.folder) == set()
    return str(caught.value)


def bomb(unpacked: int) -> bytes:
    """Zeros, packed as small as gzip makes them."""
    packer = zlib.compressobj(9, wbits=31)
    blocks = (packer.compress(bytes(min(MB, unpacked - start))) for start in range(0, unpacked, MB))
    return b"".join(blocks) + packer.flush()


def member_with(flag: int, field: bytes) -> bytes:
    """A gzip member with an optional field in its header (RFC 1952): 4 for extra, 8 for a name, 16 for a comment."""
    plain = gzip.compress(b"a,b\n1,2\n", mtime=0)
    return plain[:3] + bytes([flag]) + plain[4:10] + field + plain[10:]


def test_announced_size_is_refused_before_a_byte_is_stored(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, BODY)
    message = too_large(mirror, cache, max_file_size=len(BODY) - 1)
    assert f"found a file of {len(BODY)} bytes, as the mirror says" in message
    assert f"expected at most {len(BODY) - 1} bytes" in message
    assert "raise max_file_size in include/sources/green.yaml" in message


@pytest.mark.parametrize("length", ["none", "chunked"])
def test_size_that_nobody_announced_is_noticed_as_it_comes(mirror: FaultyMirror, cache: Cache, length: str) -> None:
    mirror.put(PATH, good(BODY, length=length))
    message = too_large(mirror, cache, max_file_size=400 * KB)
    found = int(message.split("found ")[1].split(" bytes of a file, and it goes on")[0])
    assert 400 * KB < found < len(BODY)


@pytest.mark.parametrize("length", ["true", "none", "chunked"])
def test_file_of_exactly_the_limits_is_taken(mirror: FaultyMirror, cache: Cache, length: str) -> None:
    mirror.put(PATH, good(BODY, length=length))
    assert fetch(mirror, cache, max_file_size=len(BODY), max_unpacked_size=UNPACKED).size == len(BODY)


def test_limit_counts_what_an_earlier_try_left(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, cut_off(BODY, 500 * KB, length="chunked"))
    mirror.put(PATH, BODY)
    with pytest.raises(Exception, match="the next try goes on from there"):
        fetch(mirror, cache)
    assert ".part" in files_below(cache.folder)
    assert f"found a file of {len(BODY)} bytes" in too_large(mirror, cache, max_file_size=600 * KB)
    assert [seen.status for seen in mirror.seen] == [200, 206]


def test_file_in_the_cache_counts_too(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, BODY)
    fetch(mirror, cache)
    with pytest.raises(FileTooLargeError, match=f"found a file of {len(BODY)} bytes, in the cache and unchanged"):
        fetch(mirror, cache, max_file_size=500 * KB)
    assert fetch(mirror, cache).from_cache


def test_server_that_compresses_once_more_does_not_get_around_the_limit(mirror: FaultyMirror, cache: Cache) -> None:
    inner = gzip.compress(bytes(range(256)) * 100, 0)
    mirror.put(PATH, good(gzip.compress(inner), headers={"Content-Encoding": "gzip"}))
    message = too_large(mirror, cache, max_file_size=10 * KB)
    assert "bytes of a file that came compressed once more, and it goes on" in message
    assert fetch(mirror, cache, max_file_size=len(inner)).size == len(inner)


def test_bomb_is_not_unpacked_to_its_end(mirror: FaultyMirror, cache: Cache) -> None:
    body = bomb(200 * MB)
    assert len(body) < 300 * KB
    mirror.put(PATH, body)
    message = too_large(mirror, cache, max_unpacked_size=20 * MB)
    found = re.search("whose first ([0-9]+) bytes unpack to ([0-9]+) already", message)
    assert found is not None
    size, unpacked = int(found[1]), int(found[2])
    assert size < len(body) / 2
    assert 20 * MB < unpacked < 22 * MB
    assert f"expected at most {20 * MB} bytes (20.0 MB)" in message
    assert "raise max_unpacked_size in include/sources/green.yaml" in message


def test_bomb_of_many_members_is_one(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, month_file() + bomb(1 * MB) * 200)
    assert "unpack to" in too_large(mirror, cache, max_unpacked_size=20 * MB)


def test_what_was_yielded_is_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(BODY)
    for limit in (0, 1, MB, UNPACKED - 1):
        blocks: list[bytes] = []
        with pytest.raises(UnpackedSizeError) as caught:
            blocks.extend(unpacked_blocks(path, limit=limit))
        assert sum(map(len, blocks)) <= limit < caught.value.unpacked
    assert b"".join(unpacked_blocks(path, limit=UNPACKED)) == gzip.decompress(BODY)
    assert isinstance(caught.value, FileFaultError)


@pytest.mark.parametrize(
    ("flag", "field"),
    [
        pytest.param(8, b"n" * 30 * MB + b"\0", id="name"),
        pytest.param(16, b"c" * 30 * MB + b"\0", id="comment"),
        pytest.param(4, b"\xff\xff" + b"e" * 65535, id="extra field"),
        pytest.param(8, b"n" * 30 * MB, id="name without an end"),
        pytest.param(0, b"", id="nothing"),
    ],
)
def test_memory_stays_small_whatever_a_members_header_holds(tmp_path: Path, flag: int, field: bytes) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(member_with(flag, field) * 2)
    tracemalloc.start()
    try:
        if b"\0" in field or flag != 8:
            assert check_gzip(path, limit=1000).unpacked == 16
        else:
            with pytest.raises(GzipFaultError):
                check_gzip(path, limit=1000)
        assert tracemalloc.get_traced_memory()[1] < 5 * MB
    finally:
        tracemalloc.stop()


def test_memory_stays_small_where_one_line_is_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(bomb(100 * MB))
    tracemalloc.start()
    try:
        assert max(map(len, unpacked_blocks(path))) <= 1024 * 1024
        assert check_gzip(path).unpacked == 100 * MB
        assert tracemalloc.get_traced_memory()[1] < 5 * MB
    finally:
        tracemalloc.stop()


def test_many_small_members_take_no_longer_each_than_a_few(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"") * 200_000)
    began = time.process_time()
    assert check_gzip(path).unpacked == 0
    assert time.process_time() - began < 5


def test_endless_body_ends(mirror: FaultyMirror, cache: Cache) -> None:
    """However the mirror dresses it up, no more than the limit and what was on its way is taken in."""
    endless = good(b"".join(itertools.repeat(bomb(MB), 5000)), length="none")
    assert len(endless.body) > 4 * MB
    mirror.put(PATH, endless)
    too_large(mirror, cache, max_file_size=300 * KB)
