from __future__ import annotations

import hashlib
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from taxiway.errors import InvalidArgumentError
from taxiway.paths import ROOT
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from taxiway_local.mirror_server import Mirror, serve
from taxiway_local.samples import write_sample_months
from tests.integration.airflow_environment import PATIENCE

PATH = "/green/green_tripdata_2019-03.csv.gz"
SECRET = "not for the mirror's visitors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, green: Source) -> Path:
    """One sample month, a file beside the mirror's folder, and a link that leads out of it."""
    around = tmp_path_factory.mktemp("around")
    (around / "secret.txt").write_text(SECRET, encoding="utf-8")
    folder = around / "mirror"
    write_sample_months([green], [Month(2019, 3)], folder, 1000)
    (folder / "link.txt").symlink_to(around / "secret.txt")
    (folder / "empty.csv.gz").touch()
    return folder


@pytest.fixture(scope="module")
def mirror(folder: Path) -> Iterator[Mirror]:
    with serve(folder) as mirror:
        yield mirror


@pytest.fixture
def get(mirror: Mirror) -> Iterator[Callable[..., requests.Response]]:
    with requests.Session() as session:

        def get(path: str = PATH, method: str = "GET", **headers: str) -> requests.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return session.request(method, mirror.address + path, headers=named, timeout=10)

        yield get


Get = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def content(folder: Path) -> bytes:
    return (folder / PATH[1:]).read_bytes()


# --- whole files ---


def test_a_file_comes_whole_and_described(get: Get, content: bytes, folder: Path) -> None:
    response = get()
    assert response.status_code == 200
    assert response.content == content
    assert response.headers["Content-Length"] == str(len(content))
    assert response.headers["Content-Type"] == "application/gzip"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    changed = int((folder / PATH[1:]).stat().st_mtime)
    assert parsedate_to_datetime(response.headers["Last-Modified"]).timestamp() == changed
    assert "Content-Encoding" not in response.headers


def test_head_describes_it_without_a_body(get: Get) -> None:
    head, whole = get(method="HEAD"), get()
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Length", "Content-Type", "Accept-Ranges", "ETag", "Last-Modified"):
        assert head.headers[name] == whole.headers[name]


def test_an_empty_file_is_a_file(get: Get) -> None:
    response = get("/empty.csv.gz")
    assert (response.status_code, response.content, response.headers["Content-Length"]) == (200, b"", "0")
    assert get("/empty.csv.gz", Range="bytes=0-").status_code == 416


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_not_allowed(method: str, get: Get, folder: Path, content: bytes) -> None:
    response = get(method=method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert (folder / PATH[1:]).read_bytes() == content


# --- entity tags ---


def test_the_entity_tag_follows_the_content_and_not_the_time(tmp_path: Path) -> None:
    file = tmp_path / "month.csv.gz"
    tags = []
    with serve(tmp_path) as mirror, requests.Session() as session:
        for content, changed in [(b"first", 1_000_000_000), (b"first", 1_100_000_000), (b"other", 1_100_000_000)]:
            part = tmp_path / ".part"
            part.write_bytes(content)
            os.utime(part, (changed, changed))
            part.replace(file)
            response = session.get(f"{mirror.address}/month.csv.gz", timeout=10)
            assert response.content == content
            assert response.headers["Last-Modified"] == formatdate(changed, usegmt=True)
            tags.append(response.headers["ETag"])
    assert tags[0] == tags[1] != tags[2]
    assert not any(tag.startswith("W/") for tag in tags)


def test_files_may_come_and_go_while_it_serves(tmp_path: Path) -> None:
    with serve(tmp_path) as mirror, requests.Session() as session:
        address = f"{mirror.address}/month.csv.gz"
        assert session.get(address, timeout=10).status_code == 404
        (tmp_path / "month.csv.gz").write_bytes(b"here")
        assert session.get(address, timeout=10).content == b"here"
        (tmp_path / "month.csv.gz").unlink()
        assert session.get(address, timeout=10).status_code == 404


# --- parts of files ---


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=500-", 500, None), ("bytes=-7", -7, None)],
)
def test_a_range_comes_as_partial_content(asked: str, first: int, last: int | None, get: Get, content: bytes) -> None:
    response = get(Range=asked)
    end = len(content) - 1 if last is None else last
    begin = first % len(content)
    assert response.status_code == 206
    assert response.content == content[begin : end + 1]
    assert response.headers["Content-Range"] == f"bytes {begin}-{end}/{len(content)}"
    assert response.headers["Content-Length"] == str(end + 1 - begin)
    assert response.headers["ETag"] == get(method="HEAD").headers["ETag"]


def test_a_range_that_ends_behind_the_file_is_cut(get: Get, content: bytes) -> None:
    response = get(Range=f"bytes=10-{len(content) + 1000}")
    assert response.status_code == 206
    assert response.content == content[10:]
    assert response.headers["Content-Range"] == f"bytes 10-{len(content) - 1}/{len(content)}"


def test_a_range_behind_the_file_can_not_be_satisfied(get: Get, content: bytes) -> None:
    for begin in (len(content), len(content) + 5):
        response = get(Range=f"bytes={begin}-")
        assert response.status_code == 416
        assert response.headers["Content-Range"] == f"bytes */{len(content)}"
        assert content[:20] not in response.content


def test_a_file_fetched_in_parts_is_the_file(get: Get, content: bytes) -> None:
    half = len(content) // 2
    assert get(Range=f"bytes=0-{half - 1}").content + get(Range=f"bytes={half}-").content == content


def test_head_takes_a_range_too(get: Get, content: bytes) -> None:
    response = get(method="HEAD", Range="bytes=1-2")
    assert (response.status_code, response.content) == (206, b"")
    assert response.headers["Content-Range"] == f"bytes 1-2/{len(content)}"


def test_if_range_resumes_only_the_same_file(get: Get, content: bytes) -> None:
    head = get(method="HEAD").headers
    for same in (head["ETag"], head["Last-Modified"]):
        response = get(Range="bytes=100-", If_Range=same)
        assert (response.status_code, response.content) == (206, content[100:])
    for other in ('"another"', f"W/{head['ETag']}", formatdate(0, usegmt=True)):
        response = get(Range="bytes=100-", If_Range=other)
        assert (response.status_code, response.content) == (200, content)


# --- conditions ---


def test_a_file_that_is_known_is_not_sent_again(get: Get) -> None:
    head = get(method="HEAD").headers
    for condition in (
        {"If_None_Match": head["ETag"]},
        {"If_None_Match": f'"another", {head["ETag"]}'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": head["Last-Modified"]},
        {"If_Modified_Since": formatdate(time.time() + 3600, usegmt=True)},
    ):
        response = get(**condition)
        assert (response.status_code, response.content) == (304, b""), condition
        assert response.headers["ETag"] == head["ETag"]


def test_a_file_that_is_not_known_is_sent(get: Get, content: bytes) -> None:
    head = get(method="HEAD").headers
    for condition in (
        {"If_None_Match": '"another"'},
        {"If_Modified_Since": formatdate(0, usegmt=True)},
        {"If_Modified_Since": "some day"},
        {"If_None_Match": '"another"', "If_Modified_Since": head["Last-Modified"]},
    ):
        response = get(**condition)
        assert (response.status_code, response.content) == (200, content), condition


# --- what it does not show ---


@pytest.mark.parametrize(
    "path",
    ["/", "/green", "/green/", "/green/green_tripdata_2099-01.csv.gz", "/nothing", f"{PATH}/below", "/%00"],
)
def test_a_missing_file_is_a_small_page_of_plain_text(path: str, get: Get) -> None:
    response = get(path)
    assert response.status_code == 404
    assert response.text == "Not Found"
    assert response.headers["Content-Type"].startswith("text/plain")


def test_hidden_files_are_not_served(get: Get, folder: Path) -> None:
    hidden = [path for path in (folder / "green").iterdir() if path.name.startswith(".")]
    assert hidden
    for path in hidden:
        assert get(f"/green/{path.name}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/../secret.txt", "/%2e%2e/secret.txt", "/green/../../secret.txt", "/green/..%2f..%2fsecret.txt"),
        *("/..%5csecret.txt", "//secret.txt", "/link.txt", "{outside}", "/%2f{outside}"),
    ],
)
def test_no_path_leads_out_of_the_folder(path: str, mirror: Mirror, folder: Path) -> None:
    outside = folder.parent / "secret.txt"
    assert outside.read_text(encoding="utf-8") == SECRET
    # Not through requests, which tidies such paths before it sends them.
    with closing(http.client.HTTPConnection(str(urlsplit(mirror.address).netloc), timeout=10)) as connection:
        connection.putrequest("GET", path.format(outside=outside), skip_accept_encoding=True)
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 404
        assert SECRET.encode() not in response.read()


# --- connections ---


def test_a_connection_is_kept_for_the_next_request(mirror: Mirror, content: bytes) -> None:
    with closing(http.client.HTTPConnection(str(urlsplit(mirror.address).netloc), timeout=10)) as connection:
        sockets = set()
        for _ in range(3):
            connection.request("GET", PATH)
            response = connection.getresponse()
            assert response.version == 11
            assert response.read() == content
            assert connection.sock is not None
            sockets.add(connection.sock.getsockname())
        assert len(sockets) == 1


@pytest.fixture
def stalled(tmp_path: Path) -> Iterator[tuple[Mirror, requests.Response]]:
    """A mirror with a download under way that nobody reads on, of a file too long for any buffer."""
    with (tmp_path / "long.csv.gz").open("wb") as file:
        file.truncate(64 << 20)
    with serve(tmp_path) as mirror, requests.get(f"{mirror.address}/long.csv.gz", stream=True, timeout=10) as response:
        yield mirror, response


def test_a_download_under_way_holds_up_nobody(stalled: tuple[Mirror, requests.Response]) -> None:
    mirror, slow = stalled
    assert slow.raw.read(10) == bytes(10)
    second = requests.get(f"{mirror.address}/long.csv.gz", headers={"Range": "bytes=-5"}, timeout=10)
    assert (second.status_code, second.content) == (206, bytes(5))
    assert sum(len(block) for block in slow.iter_content(1 << 20)) == (64 << 20) - 10


def test_closing_waits_for_no_stalled_download(stalled: tuple[Mirror, requests.Response]) -> None:
    mirror, slow = stalled
    assert slow.status_code == 200
    mirror.close()
    with pytest.raises(requests.RequestException):
        sum(len(block) for block in slow.iter_content(1 << 20))


def test_it_listens_on_the_loopback_address_only(mirror: Mirror) -> None:
    address = urlsplit(mirror.address)
    assert address.hostname == "127.0.0.1"
    assert address.port
    with socket.create_connection(("127.0.0.1", address.port), timeout=10):
        pass
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", address.port), timeout=1):  # noqa: PT011
        pass


def test_closing_frees_the_port_and_may_be_repeated(folder: Path) -> None:
    first = serve(folder)
    port = urlsplit(first.address).port
    assert port
    first.close()
    first.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(first.address + PATH, timeout=10)
    with serve(folder, port=port) as second:
        assert second.address == first.address
        assert requests.get(second.address + PATH, timeout=10).status_code == 200


def test_an_error_in_the_block_closes_it_too(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), serve(folder) as mirror:
        _ = 1 / 0
    with pytest.raises(requests.ConnectionError):
        requests.get(mirror.address + PATH, timeout=10)


def test_requests_are_logged_where_the_process_logs(mirror: Mirror, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="uvicorn.access"):
        requests.get(mirror.address + PATH, timeout=10)
        requests.get(mirror.address + "/nothing", timeout=10)
    lines = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
    assert [line.partition(" - ")[2] for line in lines] == [f'"GET {PATH} HTTP/1.1" 200', '"GET /nothing HTTP/1.1" 404']


# --- wrong arguments ---


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="missing is not a folder: expected one that holds"):
        serve(tmp_path / "missing")


def test_a_port_in_use_is_named(mirror: Mirror, folder: Path) -> None:
    port = urlsplit(mirror.address).port
    assert port
    with pytest.raises(InvalidArgumentError, match=f"port {port} of 127.0.0.1 can't be listened on.*name another"):
        serve(folder, port=port)


def test_a_port_that_is_none_is_named(folder: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="port 70000 of"):
        serve(folder, port=70_000)


# --- the command ---


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "taxiway_local.mirror_server", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("number", "options", "logged"),
    [(signal.SIGTERM, [], 1), (signal.SIGINT, ["--quiet"], 0)],
    ids=["SIGTERM", "SIGINT-quiet"],
)
def test_the_command_serves_until_it_is_told_to_stop(
    number: signal.Signals, options: list[str], logged: int, folder: Path, content: bytes
) -> None:
    process = command("--folder", str(folder), *options)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        assert requests.get(address + PATH, timeout=10).content == content
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE * 20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, output) == (0, "")
    assert errors.count("\n") == errors.count(f'"GET {PATH} HTTP/1.1" 200\n') == logged


def test_the_command_names_what_is_wrong(tmp_path: Path) -> None:
    process = command("--folder", str(tmp_path / "missing"))
    output, errors = process.communicate(timeout=PATIENCE * 20)
    assert (process.returncode, output) == (2, "")
    assert errors == f"mirror: {tmp_path / 'missing'} is not a folder: expected one that holds the mirror's files\n"
