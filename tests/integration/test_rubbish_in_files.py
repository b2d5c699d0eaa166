"""Files and answers full of rubbish: the month fails, and what is said of it is short, printable and leads on."""

from __future__ import annotations

import gzip
import io
import json
import logging
import random
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from stand_ins.bigquery import StandIn
from stand_ins.cloud_storage import CloudStorage
from taxiway.download.cache import Cache
from taxiway.download.download import download_month
from taxiway.errors import InvalidFileError, RejectLimitError, TaxiwayError
from taxiway.messages import LONGEST_MESSAGE
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway.warehouses.postgres import ledger
from taxiway.warehouses.postgres.tables import LoadTables
from tests.cloud_loading import Cloud
from tests.conftest import Connect
from tests.loading import begin_load, hash_rows, query, source_file, stage_month
from tests.mirror_faults import Answer, FaultyMirror, raw_server

MONTH = Month(2019, 3)
CSV = b"VendorID,lpep_pickup_datetime\r\n2,2019-03-01 00:00:00\r\n"
NASTY = "\x1b[2J\u202e\a\u2066"


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("green_tripdata_2019-03.csv")
        member.size = len(CSV)
        archive.addfile(member, io.BytesIO(CSV))
    return file.getvalue()


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, CSV)
    return file.getvalue()


# What a file holds in place of CSV, what the error calls it, and a part of its advice.
KINDS: dict[str, tuple[bytes, str, str]] = {
    "tar": (tar(), "a tar archive", "tar -xOf ARCHIVE MEMBER | gzip > FILE.csv.gz"),
    "zip": (zipped("green.csv"), "a ZIP archive", "Unpack it"),
    "xlsx": (zipped("[Content_Types].xml"), "an Excel workbook", "Save it as CSV"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Excel or Office file", "Save it as CSV"),
    "parquet": (b"PAR1" + bytes(600) + b"PAR1", "a Parquet file", "correct 'path'"),
    "json": (json.dumps([{"VendorID": NASTY}]).encode(), "a JSON document", "correct 'path'"),
    "html": (f"<html><title>{NASTY}{'x' * 5000}</title>".encode(), "an HTML page", "set login and password"),
    "xml": (f"<?xml version='1.0'?><Error>{NASTY * 500}".encode(), "an XML document", "Open the file's address"),
    "utf-16": (CSV.decode().encode("utf-16"), "text in UTF-16", "in UTF-8"),
    "7-zip": (b"7z\xbc\xaf\x27\x1c" + bytes(100), "a 7-Zip archive", "Unpack it"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS", "git lfs pull"),
}
# What looks more like a header: it is found when the month is staged.
HEADERS: dict[str, bytes] = {
    "NULs": b"\0" * 5000 + b"\n1,2\n",
    "one long name": b"x" * 60_000 + b"\n1,2\n",
    "many names": b",".join(b"column_%d" % number for number in range(5000)) + b"\n1,2\n",
    "nasty names": f"VendorID,{NASTY * 1000},{NASTY}\n1,2\n".encode(),
    "no UTF-8": b"VendorID,\xff\xfe\xfd" * 500 + b"\n",
    "no line end": b"\x1b[2J" * 50_000,
    "random": random.Random(11).randbytes(200_000),
    "semicolons": b"VendorID;lpep_pickup_datetime\n1;2\n",
    "quotation mark": b'VendorID,"' + b"\x1b" * 5000 + b"\n",
}


def assert_fit(text: str, longest: int = LONGEST_MESSAGE) -> None:
    assert text.isprintable()
    assert 0 < len(text) <= longest


class Fetching:
    """Fetches and stages a month from a mirror into a real Postgres, and looks at what is said of it."""

    def __init__(self, connect: Connect, source: Source, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.connection = connect()
        self.source = source
        self.cache = Cache(folder / "cache", 10**9)
        self.caplog = caplog
        caplog.set_level(logging.DEBUG, logger="taxiway")

    def fails(self, url: str) -> TaxiwayError:
        with pytest.raises(TaxiwayError) as caught:
            self._load(url)
        error = caught.value
        assert_fit(str(error))
        assert str(error).startswith("green 2019-03: ")
        if (cause := error.__cause__) is not None:
            assert_fit(str(cause))
        ((state, said),) = query(self.connection, "SELECT state, error FROM taxiway.loads")
        assert state == "failed"
        assert_fit(said, LONGEST_MESSAGE + len("download_month: "))
        assert said.endswith(str(error)[-40:])
        for record in self.caplog.records:
            assert record.getMessage().isprintable()
        return error

    def _load(self, url: str) -> None:
        tables = LoadTables(self.source, MONTH, "manual__1")
        with requests.Session() as session:
            fetched = begin_load(
                self.connection, tables, lambda: download_month(session, url, self.source, MONTH, self.cache)
            )
        assert fetched.file is not None
        hash_rows(self.connection, tables, stage_month(self.connection, tables, fetched.file))


@pytest.fixture
def fetching(connect: Connect, green: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Fetching:
    return Fetching(connect, green, tmp_path, caplog)


def served(mirror: FaultyMirror, source: Source, body: bytes, content_type: str = "application/gzip") -> str:
    mirror.put(f"/{source.file_path(MONTH)}", Answer(body, headers={"Content-Type": content_type}))
    return mirror.url


@pytest.mark.parametrize("packed", [True, False], ids=["in gzip", "as it is"])
@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_another_kind_is_called_what_it_is(name: str, packed: bool, fetching: Fetching) -> None:
    body, kind, advice = KINDS[name]
    with FaultyMirror() as mirror:
        url = served(mirror, fetching.source, gzip.compress(body) if packed else body)
        error = fetching.fails(url)
    assert isinstance(error, InvalidFileError)
    assert f"found {'a gzip file that holds ' if packed else ''}{kind}" in str(error)
    assert advice in str(error)


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_of_rubbish_is_quoted_in_short(name: str, fetching: Fetching) -> None:
    with FaultyMirror() as mirror:
        error = fetching.fails(served(mirror, fetching.source, gzip.compress(HEADERS[name])))
    assert "expected" in str(error)
    if name == "semicolons":
        assert "separated by ';'" in str(error)


def test_rows_of_rubbish_are_rejected_with_short_reasons(connect: Connect, green: Source, tmp_path: Path) -> None:
    """Over the limit, the error names the first of them."""
    header = ",".join(column.header for column in green.columns)
    rubbish = [NASTY * 3000, "\U000e0041" * 500, "x" * 100_000, "\x9b", "\\N"]
    rows = [f'"{text}"' + "," * (len(green.columns) - 1) for text in rubbish]
    path = tmp_path / "rubbish.csv.gz"
    raw = "\n".join([header, *rows, NASTY, "\0" * 900]).encode()
    path.write_bytes(gzip.compress(raw + b"\n" + b"\xff" * 3000 + b"\n"))
    connection = connect()
    tables = LoadTables(replace(green, max_rejected_share=0.5), MONTH, "manual__1")

    with pytest.raises(RejectLimitError) as caught:
        hash_rows(connection, tables, stage_month(connection, tables, source_file(path)))

    assert_fit(str(caught.value))
    reasons = query(connection, "SELECT reason FROM taxiway.rejected_rows")
    assert len(reasons) >= 3
    for (reason,) in reasons:
        assert_fit(reason, 300)


BAD = NASTY.encode()
ANSWERS = {
    "status line": b"HTTP/1.1 500 " + BAD * 2000 + b"\r\n\r\n",
    "no status line": BAD * 2000 + b"\r\n\r\n",
    "no status": b"HTTP/1.1 " + BAD * 100 + b"\r\n\r\n",
    "location": b"HTTP/1.1 302 Found\r\nLocation: http://other.test/" + BAD * 2000 + b"\r\n\r\n",
    "location without host": b"HTTP/1.1 302 Found\r\nLocation: ftp://" + BAD * 2000 + b"\r\n\r\n",
    "content type": b"HTTP/1.1 200 OK\r\nContent-Type: " + BAD * 2000 + b"\r\nContent-Length: 1\r\n\r\nx",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + BAD * 2000 + b"\r\n",
    "long header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "refusal": b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n<Error>" + BAD * 20_000,
    "retry": b"HTTP/1.1 503 " + BAD + b"\r\nRetry-After: " + b"9" * 3000 + b"\r\n\r\n" + bytes(3000),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_rubbish_is_quoted_in_short(name: str, fetching: Fetching) -> None:
    with raw_server(ANSWERS[name]) as url:
        fetching.fails(url)


def test_the_field_s_tar_inside_gzip(fetching: Fetching) -> None:
    path = ROOT.parent / "shared" / "field" / "tar_inside_gzip.csv.gz"
    if not path.is_file():
        pytest.skip("no files of the field beside the project")
    with FaultyMirror() as mirror:
        error = fetching.fails(served(mirror, fetching.source, path.read_bytes()))
    assert "holds a tar archive (application/gzip, its first member is 'green_tripdata_2020-12.csv')" in str(error)
    assert len(str(error)) < 500


def test_what_is_advised_for_a_tar_gives_a_file_that_loads(green: Source, tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("this system has no tar")
    archive, made = tmp_path / "archive", tmp_path / "made.csv.gz"
    archive.write_bytes(gzip.compress(tar()))
    command = KINDS["tar"][2].replace("ARCHIVE", str(archive)).replace("MEMBER", "green_tripdata_2019-03.csv")
    subprocess.run(command.replace("FILE.csv.gz", str(made)), shell=True, check=True)
    assert gzip.decompress(made.read_bytes()) == CSV


def test_an_error_of_a_library_is_kept_in_short_in_either_ledger(
    connect: Connect, green: Source, bigquery: StandIn, cloud_storage: CloudStorage
) -> None:
    rubbish = f"said: {NASTY}\0" * 3000
    connection = connect()
    with pytest.raises(ValueError, match="said"), ledger.step(connection, LoadTables(green, MONTH, "1"), "stage_month"):
        raise ValueError(rubbish)
    cloud = Cloud.connect().set_up()
    tables = cloud.tables(green, str(MONTH))
    with pytest.raises(ValueError, match="said"), cloud.opened(tables).step("stage_month"):
        raise ValueError(rubbish)

    for found in (
        query(connection, "SELECT state, error FROM taxiway.loads"),
        cloud.query("SELECT state, error FROM `$taxi.loads`"),
    ):
        ((state, said),) = found
        assert state == "failed"
        assert "said: " in said
        assert_fit(said, LONGEST_MESSAGE + len("stage_month: "))
