"""What the errors about a month's file advise leads on: each test does what the message says, and the month loads."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import Download, download_month
from taxiway.errors import (
    DownloadRefusedError,
    FileTooLargeError,
    HeaderError,
    InvalidFileError,
    MainTableError,
    MissingInputError,
    TaxiwayError,
)
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, load_source
from taxiway.warehouses.postgres.tables import LoadTables
from taxiway_local.samples import write_sample_month
from tests.conftest import Connect
from tests.loading import lines_of, load, stage_month
from tests.mirror_faults import FaultyMirror, redirect

MONTH = Month(2019, 3)
ROWS = 500


@pytest.fixture
def month(green: Source, tmp_path: Path) -> bytes:
    path = tmp_path / "sample" / green.download_name(MONTH)
    write_sample_month(green, MONTH, path, rows=ROWS)
    return path.read_bytes()


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[[FaultyMirror, Source], Download]:
    cache = Cache(tmp_path / "cache", 10**9)

    def fetch(mirror: FaultyMirror, source: Source) -> Download:
        with requests.Session() as session:
            return download_month(session, mirror.url, source, MONTH, cache)

    return fetch


Fetch = Callable[[FaultyMirror, Source], Download]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda path, whole: path.unlink(), MissingInputError),
        (lambda path, whole: path.write_bytes(whole[:-20]), InvalidFileError),
        (lambda path, whole: path.write_bytes(whole[:500] + b"\0" * 500 + whole[1000:]), InvalidFileError),
        (lambda path, whole: path.write_bytes(gzip.compress(gzip.decompress(whole))), MissingInputError),
        (lambda path, whole: path.write_bytes(b"other"), InvalidFileError),
    ],
    ids=["gone", "cut off", "damaged", "another one", "not gzip"],
)
def test_download_month_fetches_again_what_was_lost_since(
    damage: Callable[[Path, bytes], object],
    error: type[TaxiwayError],
    month: bytes,
    green: Source,
    connect: Connect,
    fetch: Fetch,
) -> None:
    connection = connect()
    with FaultyMirror() as mirror:
        mirror.put(f"/{green.file_path(MONTH)}", month)
        path = Path(fetch(mirror, green).path)
        downloaded = path.read_bytes()
        damage(path, month)
        said = "lear the task download_month with its downstream tasks to fetch it again"
        with pytest.raises(error, match=said):
            stage(connection, green, path, downloaded)
        assert load(connection, green, str(MONTH), Path(fetch(mirror, green).path)).inserted == ROWS


def stage(connection: psycopg.Connection[Any], source: Source, path: Path, downloaded: bytes) -> None:
    digest = hashlib.sha256(downloaded).hexdigest()
    file = Download(str(path), "http://mirror.test/file", None, None, len(downloaded), digest, from_cache=False)
    stage_month(connection, LoadTables(source, MONTH, "manual__1"), file)


@pytest.mark.parametrize("key", ["max_file_size", "max_unpacked_size"])
def test_a_limit_that_is_raised_lets_the_file_in(key: str, month: bytes, green: Source, fetch: Fetch) -> None:
    with FaultyMirror() as mirror:
        mirror.put(f"/{green.file_path(MONTH)}", month)
        with pytest.raises(FileTooLargeError, match=f"raise {key} in include/sources/green.yaml"):
            fetch(mirror, replace(green, **{key: 1000}))  # type: ignore[arg-type]
        assert fetch(mirror, replace(green, **{key: 10**7})).size == len(month)  # type: ignore[arg-type]


def test_a_host_that_is_added_may_be_redirected_to(month: bytes, green: Source, fetch: Fetch) -> None:
    path = f"/{green.file_path(MONTH)}"
    with FaultyMirror() as other, FaultyMirror() as mirror:
        other.put(path, month)
        mirror.put(path, redirect(other.url + path))
        with pytest.raises(DownloadRefusedError, match=f"add {other.host} to allowed_redirect_hosts"):
            fetch(mirror, green)
        assert fetch(mirror, replace(green, allowed_redirect_hosts=(other.host,))).size == len(month)


def test_a_new_column_that_is_added_to_the_yaml_file_loads(
    month: bytes, green: Source, connect: Connect, tmp_path: Path
) -> None:
    old = tmp_path / green.download_name(MONTH)
    old.write_bytes(month)
    header, *rows = lines_of(old)
    new = tmp_path / "new.csv.gz"
    new.write_bytes(gzip.compress("\n".join([header + ",cbd_fee", *(row + ",0.75" for row in rows)]).encode()))
    connection = connect()
    assert load(connection, green, "2019-03", old).inserted == ROWS

    with pytest.raises(HeaderError, match=r"unknown cbd_fee.*change include/sources/green\.yaml") as caught:
        load(connection, green, "2019-04", new)

    advice = re.search(r"add to its columns: (.*?) \. To leave out .*, set '(.*?)' there", str(caught.value))
    assert advice is not None
    text = re.sub(r"(?ms)^checks:.*?(?=^columns:)", "", (SOURCES_FOLDER / "green.yaml").read_text())
    (tmp_path / "green.yaml").write_text(f"{text}  {advice[1]}\n")
    changed = load_source(tmp_path / "green.yaml")
    assert load(connection, changed, "2019-04", new, "manual__2").inserted == ROWS
    assert load(connection, changed, "2019-03", old, "manual__3").unchanged == ROWS
    # The other advice.
    (tmp_path / "green.yaml").write_text(f"{advice[2]}\n{text}")
    ignoring = load_source(tmp_path / "green.yaml")
    with pytest.raises(MainTableError, match="cbd_fee"):
        load(connection, ignoring, "2019-05", new)
    with connection.transaction():
        connection.execute("ALTER TABLE public.green_tripdata DROP COLUMN cbd_fee")
    assert load(connection, ignoring, "2019-05", new).inserted == ROWS
