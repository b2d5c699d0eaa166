"""What goes wrong on the way is told apart, says what was found, and leaves nothing in the cache."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import download_month
from taxiway.errors import (
    DownloadError,
    DownloadRefusedError,
    InvalidFileError,
    MonthNotFoundError,
    RetryAfterTooLongError,
    TaxiwayError,
)
from taxiway.paths import ROOT
from tests.mirror_faults import Answer, FaultyMirror, cut_off, good, held, html_page, status
from tests.month_files import GREEN, MONTH, PATH, fetch, files_below, month_file

BODY = month_file()


def failure(mirror: FaultyMirror, cache: Cache, kind: type[TaxiwayError], **options: float) -> TaxiwayError:
    """Fetch, and return the error, of exactly this kind, that names source, month and address."""
    with pytest.raises(TaxiwayError) as caught:
        fetch(mirror, cache, **options)
    assert type(caught.value) is kind
    assert str(caught.value).startswith("green 2019-03: ")
    assert mirror.url + PATH in str(caught.value)
    assert "" not in files_below(cache.folder)
    assert ".json" not in files_below(cache.folder)
    return caught.value


@pytest.mark.parametrize("code", [404, 410])
def test_month_that_the_mirror_lacks(mirror: FaultyMirror, cache: Cache, code: int) -> None:
    mirror.script(PATH, status(code))
    error = failure(mirror, cache, MonthNotFoundError)
    assert f"the answer is {code}" in str(error)
    assert "check whether this month is published" in str(error)
    assert len(mirror.seen) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_trouble_that_passes_can_be_retried(mirror: FaultyMirror, cache: Cache, code: int) -> None:
    mirror.script(PATH, status(code))
    error = failure(mirror, cache, DownloadError)
    assert f"the answer is {code}" in str(error)
    assert isinstance(error, DownloadError)
    assert error.retry_after is None


@pytest.mark.parametrize("code", [429, 503, 403])
def test_wait_that_the_mirror_asks_for_is_kept(mirror: FaultyMirror, cache: Cache, code: int) -> None:
    mirror.script(PATH, status(code, retry_after="17"))
    error = failure(mirror, cache, DownloadError)
    assert isinstance(error, DownloadError)
    assert error.retry_after == 17
    assert "it asks to wait 17 s" in str(error)


def test_wait_can_be_given_as_a_moment(mirror: FaultyMirror, cache: Cache) -> None:
    moment = format_datetime(datetime.now(timezone.utc) + timedelta(minutes=10), usegmt=True)
    mirror.script(PATH, status(503, retry_after=moment), status(503, retry_after="soon"))
    error = failure(mirror, cache, DownloadError)
    assert isinstance(error, DownloadError)
    assert error.retry_after == pytest.approx(600, abs=30)
    second = failure(mirror, cache, DownloadError)
    assert isinstance(second, DownloadError)
    assert second.retry_after is None


@pytest.mark.parametrize(
    ("asked", "when"),
    [("901", r"after 20\d\d-\d\d-\d\d \d\d:\d\d UTC"), ("9" * 12, "then")],
    ids=["901 s", "too far off"],
)
def test_wait_that_is_too_long_is_final(mirror: FaultyMirror, cache: Cache, asked: str, when: str) -> None:
    mirror.script(PATH, status(429, retry_after=asked))
    error = failure(mirror, cache, RetryAfterTooLongError)
    assert f"it asks to wait {asked} s, and a task waits 900 s at most" in str(error)
    assert re.search(f"Load the month again {when}$", str(error))


def test_longest_wait_is_waited(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, status(429, retry_after="900"))
    error = failure(mirror, cache, DownloadError)
    assert isinstance(error, DownloadError)
    assert error.retry_after == 900


@pytest.mark.parametrize(
    "asked", ["9" * 5000, "-5", "1.5", "Tue, 05 Mar 99999999999999999999 08:00:00 GMT", "Tue, 05 Mar 2019 +99999999999"]
)
def test_wait_that_can_not_be_read_is_none(mirror: FaultyMirror, cache: Cache, asked: str) -> None:
    mirror.script(PATH, status(503, retry_after=asked))
    error = failure(mirror, cache, DownloadError)
    assert isinstance(error, DownloadError)
    assert error.retry_after is None


def test_headers_that_are_absurd_do_no_harm(mirror: FaultyMirror, cache: Cache) -> None:
    absurd = {"etag": '"a\x01b"', "last_modified": "x" * 5000, "headers": {"Content-Length": "9" * 5000}}
    mirror.script(PATH, good(BODY, length="none", **absurd))
    download = fetch(mirror, cache)
    assert (download.size, download.etag, download.last_modified) == (len(BODY), None, None)


@pytest.mark.parametrize("code", [400, 401, 403, 405, 204, 206, 304])
def test_refusal_and_oddities_are_final(mirror: FaultyMirror, cache: Cache, code: int) -> None:
    mirror.put(PATH, status(code, body=b""))
    if code == 206:
        assert "found a part of the file, which wasn't asked for" in str(failure(mirror, cache, DownloadError))
    else:
        assert f"the answer is {code}" in str(failure(mirror, cache, DownloadRefusedError))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (html_page("Sign in"), "an HTML page (text/html, title 'Sign in')"),
        (html_page("&lt;Not\n   found&gt;"), "an HTML page (text/html, title '<Not found>')"),
        (Answer(b"\xef\xbb\xbf \n<HTML><p>", headers={}), "an HTML page (no Content-Type, without a title)"),
        (Answer(b"Oops", headers={"Content-Type": "text/html"}), "an HTML page (text/html, without a title)"),
        (
            Answer(gzip.compress(html_page("Zipped").body), headers={"Content-Type": "text/html"}),
            "a gzip file that holds an HTML page (text/html, title 'Zipped')",
        ),
        (
            Answer(b"<?xml version='1.0'?><Error>\n<Code>AccessDenied", headers={"Content-Type": "application/xml"}),
            "an XML document (application/xml, it begins '<?xml version='1.0'?><Error> <Code>AccessDenied')",
        ),
        (
            Answer(b"VendorID,lpep_pickup_datetime\r\n2,2019-03-01", headers={"Content-Type": "text/csv"}),
            "plain text (text/csv) that begins 'VendorID,lpep_pickup_datetime 2,2019-03-01'",
        ),
        (Answer(b"PK\x03\x04" + bytes(100)), "a ZIP archive (no Content-Type)"),
        (Answer(b"PAR1" + bytes(100)), "a Parquet file (no Content-Type)"),
        (
            Answer(b"\x00\x01\x02\xff", headers={"Content-Type": "a/b"}),
            "data (a/b) that begins with the bytes 00 01 02",
        ),
        (Answer(b""), "an empty body (no Content-Type)"),
        (Answer(b"", length="chunked"), "an empty body (no Content-Type)"),
        (Answer(b"", length="none"), "an empty body (no Content-Type)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_gzip_file_is_named(mirror: FaultyMirror, cache: Cache, answer: Answer, found: str) -> None:
    mirror.script(PATH, answer)
    error = failure(mirror, cache, InvalidFileError)
    assert f"found {found}" in str(error)
    assert "expected a sound gzip file" in str(error)
    assert files_below(cache.folder) == set()


@pytest.mark.parametrize("body", [b"<!---->" * 9000, b"<html>" + b"<title>" * 9000, b"<title " * 9000])
def test_page_made_to_be_slow_to_recognise_is_not(mirror: FaultyMirror, cache: Cache, body: bytes) -> None:
    began = time.process_time()
    mirror.script(PATH, Answer(body, headers={"Content-Type": "text/html"}))
    assert "an HTML page (text/html, without a title)" in str(failure(mirror, cache, InvalidFileError))
    assert time.process_time() - began < 1


def test_log_is_safe_from_what_a_page_says(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, html_page("\x1b[2J" + "x" * 500 + "\nERROR fake line"))
    message = str(failure(mirror, cache, InvalidFileError))
    assert message.isprintable()
    assert len(message) < 600


FLIPPED = BODY[: len(BODY) // 2] + bytes([BODY[len(BODY) // 2] ^ 0xFF]) + BODY[len(BODY) // 2 + 1 :]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        pytest.param(FLIPPED, "a gzip file damaged within", id="a byte is wrong"),
        pytest.param(BODY[:-8] + b"\0\0\0\0" + BODY[-4:], "(Error -6 Incorrect checksum found)", id="CRC"),
        pytest.param(BODY[:-4] + b"\0\0\0\0", "(Error -6 Incorrect checksum found)", id="length"),
        pytest.param(BODY[:-1], f"a gzip file that breaks off after {len(BODY) - 1} bytes", id="a byte is missing"),
        pytest.param(BODY[:5], "a gzip file that breaks off after 5 bytes", id="not even a header"),
        pytest.param(BODY + b"\n", f"other data behind its end, from byte {len(BODY)} on", id="a byte too many"),
        pytest.param(BODY + bytes(512), f"other data behind its end, from byte {len(BODY)} on", id="padding"),
        pytest.param(BODY + BODY[:100], f"breaks off after {len(BODY) + 100} bytes", id="second member is cut"),
        pytest.param(gzip.compress(b""), "a gzip file with nothing in it", id="no content"),
        pytest.param(gzip.compress(BODY), "a gzip file inside a gzip file", id="compressed twice at the mirror"),
    ],
)
def test_corrupt_file_is_named_and_dropped(mirror: FaultyMirror, cache: Cache, body: bytes, found: str) -> None:
    mirror.put(PATH, body)
    error = failure(mirror, cache, InvalidFileError)
    assert found in str(error)
    assert files_below(cache.folder) == set()


@pytest.mark.parametrize("where", [0, 1, 2, 1000, len(BODY) - 1])
@pytest.mark.parametrize("length", ["true", "chunked"])
@pytest.mark.parametrize("reset", [False, True])
def test_connection_that_breaks_can_be_retried(
    mirror: FaultyMirror, cache: Cache, where: int, length: str, reset: bool
) -> None:
    mirror.script(PATH, cut_off(BODY, where, length=length, reset=reset))
    mirror.put(PATH, BODY)
    error = failure(mirror, cache, DownloadError)
    if length == "true" and not reset:
        assert f"found {where} of {len(BODY)} bytes, then the connection broke" in str(error)
    assert fetch(mirror, cache).size == len(BODY)


def test_file_without_a_length_that_ends_too_early_can_be_retried(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, cut_off(BODY, 1000, length="none"))
    mirror.put(PATH, BODY)
    error = failure(mirror, cache, DownloadError)
    assert "found 1000 of an unknown number of bytes, then the connection closed" in str(error)
    assert fetch(mirror, cache).size == len(BODY)


def test_announced_length_that_is_too_large_can_be_retried(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, good(BODY, length=len(BODY) + 10))
    error = failure(mirror, cache, DownloadError)
    assert f"found {len(BODY)} of {len(BODY) + 10} bytes" in str(error)


@pytest.mark.parametrize("rows", [2_000, 40_000])
def test_announced_length_that_is_too_small_leaves_a_broken_file(mirror: FaultyMirror, cache: Cache, rows: int) -> None:
    body = month_file(rows)
    mirror.script(PATH, good(body, length=len(body) - 10))
    error = failure(mirror, cache, InvalidFileError)
    assert f"a gzip file that breaks off after {len(body) - 10} bytes" in str(error)


def test_answer_that_never_comes_times_out(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, held(good(BODY)))
    assert "no answer within 0.2 s" in str(failure(mirror, cache, DownloadError, read_timeout=0.2))


def test_body_that_stops_coming_times_out(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, held(good(BODY), after=1000))
    error = failure(mirror, cache, DownloadError, read_timeout=0.2)
    assert f"found 1000 of {len(BODY)} bytes, then nothing more came in time" in str(error)
    assert files_below(cache.folder) == {".part", ".part.json"}


def test_server_that_is_not_there_can_be_retried(cache: Cache) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with requests.Session() as session, pytest.raises(DownloadError) as caught:
        download_month(session, f"http://127.0.0.1:{port}", GREEN, MONTH, cache)
    assert f"green 2019-03: http://127.0.0.1:{port}{PATH}: no answer: [Errno" in str(caught.value)
    assert "Connection refused" in str(caught.value)


def test_server_that_speaks_no_tls_is_named(mirror: FaultyMirror, cache: Cache) -> None:
    with requests.Session() as session, pytest.raises(DownloadError, match="no secure connection") as caught:
        download_month(session, mirror.url.replace("http:", "https:"), GREEN, MONTH, cache)
    assert isinstance(caught.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize(
    "address", ["", "ftp://127.0.0.1/x", "127.0.0.1:80", "http://", "http://127.0.0.1:port", "http://h/x?key=secret"]
)
def test_address_that_can_not_be_used_is_final(cache: Cache, address: str) -> None:
    with (
        requests.Session() as session,
        pytest.raises(DownloadRefusedError, match=r"green 2019-03: .*address") as caught,
    ):
        download_month(session, address, GREEN, MONTH, cache)
    assert "secret" not in str(caught.value)


def test_full_disk_is_named_and_nothing_put_in_place(mirror: FaultyMirror, cache: Cache) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full, a file that is always full")
    mirror.put(PATH, BODY)
    path = Path(fetch(mirror, cache).path)
    mirror.put(PATH, month_file(seed=2))
    path.with_name(path.name + ".part").symlink_to(full)

    with pytest.raises(DownloadError, match=r"green 2019-03: the disk of the cache .* is full .*Make space"):
        fetch(mirror, cache)

    assert path.read_bytes() == BODY
    assert files_below(cache.folder) == {"", ".json"}


def test_file_larger_than_the_disk_is_not_begun(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.script(PATH, good(BODY, length=10**17))
    with pytest.raises(DownloadError, match=r"is full .*are to come, .* are free"):
        fetch(mirror, cache, max_file_size=10**18)
    assert files_below(cache.folder) == set()


LIMITED = """
import resource, sys
from pathlib import Path
import requests
from tests.mirror_faults import FaultyMirror
from tests.month_files import PATH, fetch, month_file
from taxiway.download.cache import Cache
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
cache = Cache(Path(sys.argv[1]), 10**9)
with FaultyMirror() as mirror:
    mirror.put(PATH, month_file())
    try:
        fetch(mirror, cache)
    except Exception as error:
        print(type(error).__name__, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(fetch(mirror, cache).size)
    print([seen.status for seen in mirror.seen])
"""


def test_file_larger_than_the_system_takes_is_named_and_nothing_kept(cache: Cache) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(cache.folder)],
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    refused, size, statuses = done.stdout.splitlines()
    assert refused.startswith(f"DownloadError green 2019-03: the cache {cache.folder} can't hold a file this large")
    assert (size, statuses) == (str(len(BODY)), "[200, 200]")
    assert files_below(cache.folder) == {"", ".json"}


def test_cache_that_can_not_be_written_is_named(mirror: FaultyMirror, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    mirror.put(PATH, BODY)
    with pytest.raises(DownloadError, match=r"green 2019-03: the cache .*file/cache can't be used: .*Make the folder"):
        fetch(mirror, Cache(file / "cache", 10**9))


def test_no_thread_of_a_server_is_left(mirror: FaultyMirror, cache: Cache) -> None:
    before = threading.active_count()
    with FaultyMirror() as other:
        other.put(PATH, BODY)
        fetch(other, cache)
    assert threading.active_count() == before
