"""A file of the format csv, which has no checksum of its own, arrives whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import Download, download_month
from taxiway.download.month_file import unpacked_month
from taxiway.errors import DownloadError, FileTooLargeError, InvalidFileError, TaxiwayError
from taxiway.sources.source import Source
from tests.mirror_faults import Answer, FaultyMirror, cut_off, good, html_page
from tests.month_files import GREEN, MONTH, month_file

(RELEASE,) = GREEN.releases
SOURCE = replace(GREEN, releases=(replace(RELEASE, path="green/green_{month}.csv", format="csv"),))
PATH = "/" + SOURCE.file_path(MONTH)
BODY = gzip.decompress(month_file(rows=5000))
HALF = len(BODY) // 2


def fetch(mirror: FaultyMirror, cache: Cache, source: Source = SOURCE) -> Download:
    with requests.Session() as session:
        return download_month(session, mirror.url, source, MONTH, cache)


def failure(mirror: FaultyMirror, cache: Cache, answer: Answer, kind: type[TaxiwayError]) -> str:
    mirror.script(PATH, answer)
    with pytest.raises(kind) as caught:
        fetch(mirror, cache)
    return str(caught.value)


def test_a_file_is_fetched_measured_and_kept(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, BODY)
    download = fetch(mirror, cache)
    assert (download.size, download.unpacked_bytes) == (len(BODY), len(BODY))
    assert download.sha256 == hashlib.sha256(BODY).hexdigest()
    assert Path(download.path).read_bytes() == BODY == b"".join(unpacked_month(SOURCE, MONTH, download))
    assert SOURCE.filename(MONTH) == Path(download.path).name
    assert fetch(mirror, cache).from_cache


def test_only_the_rest_is_sent(mirror: FaultyMirror, cache: Cache) -> None:
    failure(mirror, cache, cut_off(BODY, HALF), DownloadError)
    mirror.put(PATH, BODY)
    assert Path(fetch(mirror, cache).path).read_bytes() == BODY
    assert mirror.seen[1].headers["range"] == f"bytes={HALF}-"
    assert mirror.sent == len(BODY)


@pytest.mark.parametrize("length", ["true", "chunked"])
def test_a_file_that_ends_too_early_can_be_retried(mirror: FaultyMirror, cache: Cache, length: str) -> None:
    failure(mirror, cache, cut_off(BODY, HALF, length=length), DownloadError)
    mirror.put(PATH, good(BODY, length=length))
    assert fetch(mirror, cache).size == len(BODY)


def test_a_file_without_a_length_is_refused(mirror: FaultyMirror, cache: Cache) -> None:
    """Nobody could tell that it ended too early."""
    message = failure(mirror, cache, good(BODY, length="none"), InvalidFileError)
    assert "Content-Length" in message


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (html_page("Sign in"), "an HTML page (text/html, title 'Sign in')"),
        (Answer(b""), "an empty body"),
        (Answer(b"\r\n \n"), "plain text"),
        (Answer(b"PAR1" + bytes(100)), "a Parquet file"),
        (Answer(gzip.compress(BODY)), "a gzip file"),
    ],
    ids=["page", "empty", "blank", "parquet", "gzip"],
)
def test_what_is_no_csv_is_named(mirror: FaultyMirror, cache: Cache, answer: Answer, found: str) -> None:
    message = failure(mirror, cache, answer, InvalidFileError)
    assert f"found {found}" in message
    assert "expected a CSV file" in message


def test_a_compression_on_the_way_is_undone(mirror: FaultyMirror, cache: Cache) -> None:
    packed = gzip.compress(BODY)
    mirror.put(PATH, good(packed, headers={"Content-Encoding": "gzip", "Content-Type": "text/csv"}))
    download = fetch(mirror, cache)
    assert Path(download.path).read_bytes() == BODY
    assert download.size == len(BODY)


@pytest.mark.parametrize("key", ["max_file_size", "max_unpacked_size"])
def test_a_file_over_a_limit_is_refused(mirror: FaultyMirror, cache: Cache, key: str) -> None:
    mirror.put(PATH, BODY)
    with pytest.raises(FileTooLargeError, match=key):
        fetch(mirror, cache, replace(SOURCE, **{key: len(BODY) - 1}))  # type: ignore[arg-type]
    assert fetch(mirror, cache, replace(SOURCE, **{key: len(BODY)})).size == len(BODY)  # type: ignore[arg-type]


def test_the_cache_forgets_it_as_any_other_file(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, BODY)
    path = Path(fetch(mirror, cache).path)
    os.utime(path, (time.time() - 10_000,) * 2)
    assert Cache(cache.folder, limit_bytes=1).evict() == (path,)
