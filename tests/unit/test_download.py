"""A month's file comes whole, is kept, and is taken from the cache while the mirror's is unchanged."""

from __future__ import annotations

import gzip
import json
import logging
import os
import threading
import tracemalloc
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from taxiway.download.cache import Cache
from taxiway.download.download import Download, download_month
from taxiway.errors import DownloadError
from tests.integration.airflow_environment import PATIENCE
from tests.mirror_faults import Answer, FaultyMirror, good, held, status
from tests.month_files import GREEN, MONTH, PATH, fetch, fetch_in_process, files_below, month_file, wait_for_part


def test_file_is_stored_byte_for_byte(mirror: FaultyMirror, cache: Cache) -> None:
    body = month_file()
    mirror.put(PATH, body)

    download = fetch(mirror, cache)

    answer = good(body)
    assert Path(download.path).read_bytes() == body
    assert download == Download(
        path=download.path,
        url=mirror.url + PATH,
        etag=answer.etag,
        last_modified=answer.last_modified,
        size=len(body),
        sha256=sha256(body).hexdigest(),
        from_cache=False,
        unpacked_bytes=len(gzip.decompress(body)),
    )
    assert Path(download.path).is_relative_to(cache.folder)
    assert files_below(cache.folder) == {"", ".json"}


def test_result_travels_as_json(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, month_file())
    download = fetch(mirror, cache)
    assert Download.from_dict(json.loads(json.dumps(download.to_dict()))) == download


def test_own_bytes_are_asked_for(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, month_file())
    fetch(mirror, cache)
    assert mirror.seen[0].headers["accept-encoding"] == "identity"
    assert "range" not in mirror.seen[0].headers


@pytest.mark.parametrize("length", ["none", "chunked"])
def test_file_without_a_length_is_taken(mirror: FaultyMirror, cache: Cache, length: str) -> None:
    body = month_file()
    mirror.put(PATH, good(body, length=length))
    assert Path(fetch(mirror, cache).path).read_bytes() == body


def test_file_of_several_gzip_members_is_taken(mirror: FaultyMirror, cache: Cache) -> None:
    body = month_file(seed=1) + gzip.compress(b"") + month_file(seed=2)
    mirror.put(PATH, body)
    assert Path(fetch(mirror, cache).path).read_bytes() == body


@pytest.mark.parametrize("content_type", ["text/csv", "application/octet-stream", "text/html"])
def test_content_encoding_on_the_gz_file_itself_leaves_it_as_it_is(
    mirror: FaultyMirror, cache: Cache, content_type: str
) -> None:
    body = month_file()
    mirror.put(PATH, good(body, headers={"Content-Type": content_type, "Content-Encoding": "gzip"}))

    download = fetch(mirror, cache)

    assert Path(download.path).read_bytes() == body
    assert download.size == len(body)


def test_compression_around_the_gz_file_is_undone(mirror: FaultyMirror, cache: Cache) -> None:
    body = month_file()
    mirror.put(PATH, good(gzip.compress(body), headers={"Content-Encoding": "gzip"}))

    download = fetch(mirror, cache)

    assert Path(download.path).read_bytes() == body
    assert download.sha256 == sha256(body).hexdigest()
    assert files_below(cache.folder) == {"", ".json"}
    assert fetch(mirror, cache).from_cache


def test_unchanged_file_is_not_sent_again(mirror: FaultyMirror, cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    mirror.put(PATH, month_file())
    first = fetch(mirror, cache)
    sent = mirror.sent

    second = fetch(mirror, cache)

    assert [seen.status for seen in mirror.seen] == [200, 304]
    assert mirror.sent == sent == first.size
    assert second == Download.from_dict(first.to_dict() | {"from_cache": True})
    assert caplog.messages[0].startswith(
        f"green 2019-03: fetched {first.size / 1000:.1f} kB from {mirror.url}{PATH} in "
    )
    unpacked = len(gzip.decompress(month_file()))
    size = f"{unpacked} bytes ({unpacked / 10**6:.1f} MB, {unpacked / 2**20:.1f} MiB)"
    assert caplog.messages[1::2] == [f"green 2019-03: the file unpacks to {size}"] * 2
    assert caplog.messages[2].startswith("green 2019-03: unchanged, taken from the cache (")


def test_file_that_an_earlier_version_fetched_is_measured_where_it_lies(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, month_file())
    first = fetch(mirror, cache)
    record = Path(f"{first.path}.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "unpacked_bytes": None}))

    assert fetch(mirror, cache) == Download.from_dict(first.to_dict() | {"from_cache": True})

    Path(first.path).write_bytes(bytes(first.size))
    assert not fetch(mirror, cache).from_cache


def test_last_modified_alone_is_enough_to_ask_by(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, good(month_file(), etag=None))
    fetch(mirror, cache)
    assert fetch(mirror, cache).from_cache
    assert "if-none-match" not in mirror.seen[1].headers


def test_plain_static_server_is_mirror_enough(tmp_path: Path, cache: Cache) -> None:
    file = tmp_path / "files" / PATH[1:]
    file.parent.mkdir(parents=True)
    file.write_bytes(month_file())
    os.utime(file, (1_551_772_800, 1_551_772_800))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "files"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}"
            with requests.Session() as session:
                downloads = [download_month(session, address, GREEN, MONTH, cache) for _ in range(2)]
        finally:
            server.shutdown()
            thread.join()
    assert [download.from_cache for download in downloads] == [False, True]
    assert Path(downloads[1].path).read_bytes() == month_file()


def test_last_modified_of_this_very_second_is_not_trusted(mirror: FaultyMirror, cache: Cache) -> None:
    # The file may have changed again within that second.
    moment = "Tue, 05 Mar 2019 08:00:00 GMT"
    headers = {"Date": moment}
    mirror.put(PATH, Answer(month_file(), headers=headers, last_modified=moment))
    fetch(mirror, cache)
    assert not fetch(mirror, cache).from_cache
    assert "if-modified-since" not in mirror.seen[1].headers


def test_file_without_validators_is_fetched_each_time(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, Answer(month_file()))
    fetch(mirror, cache)
    assert not fetch(mirror, cache).from_cache


def test_changed_file_replaces_the_old_one(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, month_file(seed=1))
    old = fetch(mirror, cache)
    mirror.put(PATH, month_file(seed=2))

    new = fetch(mirror, cache)

    assert not new.from_cache
    assert new.path == old.path
    assert new.sha256 != old.sha256
    assert Path(new.path).read_bytes() == month_file(seed=2)


def test_cache_can_be_passed_over(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, month_file())
    fetch(mirror, cache)
    assert not fetch(mirror, cache, use_cache=False).from_cache
    assert [seen.status for seen in mirror.seen] == [200, 200]
    assert "if-none-match" not in mirror.seen[1].headers


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip_a_bit(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def _lose_the_record(path: Path) -> None:
    path.with_name(path.name + ".json").unlink()


def _garble_the_record(path: Path) -> None:
    path.with_name(path.name + ".json").write_text('{"url": 3')


@pytest.mark.parametrize("damage", [_shorten, _flip_a_bit, _lose_the_record, _garble_the_record, Path.unlink])
def test_damaged_cache_counts_as_empty(mirror: FaultyMirror, cache: Cache, damage: object) -> None:
    mirror.put(PATH, month_file())
    first = fetch(mirror, cache)
    damage(Path(first.path))  # type: ignore[operator]

    assert fetch(mirror, cache) == first
    assert Path(first.path).read_bytes() == month_file()


def test_failed_fetch_leaves_the_old_file(mirror: FaultyMirror, cache: Cache) -> None:
    mirror.put(PATH, month_file())
    first = fetch(mirror, cache)
    mirror.script(PATH, status(500))
    with pytest.raises(DownloadError):
        fetch(mirror, cache)
    assert Path(first.path).read_bytes() == month_file()
    assert fetch(mirror, cache).from_cache


def test_two_processes_fetch_a_month_once(mirror: FaultyMirror, cache: Cache) -> None:
    answer = held(good(month_file()), after=1000)
    assert answer.started is not None
    assert answer.hold is not None
    mirror.script(PATH, answer)
    mirror.put(PATH, month_file())
    with fetch_in_process(mirror, cache) as first:
        assert answer.started.wait(30)
        with fetch_in_process(mirror, cache) as second:
            assert second.stdout is not None
            assert "another process is fetching this file" in second.stdout.readline()
            assert len(mirror.seen) == 1
            answer.hold.set()
            results = [
                json.loads(process.communicate(timeout=PATIENCE * 30)[0].splitlines()[-1])
                for process in (first, second)
            ]

    assert [result["from_cache"] for result in results] == [False, True]
    assert [seen.status for seen in mirror.seen] == [200, 304]
    assert Path(results[1]["path"]).read_bytes() == month_file()


def test_killed_process_leaves_no_lock_and_its_bytes(mirror: FaultyMirror, cache: Cache) -> None:
    body = month_file(rows=20_000)
    answer = held(good(body), after=len(body) // 2)
    assert answer.started is not None
    mirror.script(PATH, answer)
    mirror.put(PATH, body)
    with fetch_in_process(mirror, cache) as process:
        assert answer.started.wait(30)
        part = wait_for_part(cache)
        process.kill()
        process.wait(timeout=30)
        kept = part.stat().st_size

    download = fetch(mirror, cache, lock_timeout=0)

    assert Path(download.path).read_bytes() == body
    assert mirror.seen[1].status == 206
    assert mirror.seen[1].sent == len(body) - kept < len(body)


def test_waiting_for_another_process_has_an_end(mirror: FaultyMirror, cache: Cache) -> None:
    answer = held(good(month_file()), after=1000)
    assert answer.started is not None
    mirror.script(PATH, answer)
    with fetch_in_process(mirror, cache):
        assert answer.started.wait(30)
        with pytest.raises(DownloadError, match=r"green 2019-03: another process has been fetching http.* 0\.1 s"):
            fetch(mirror, cache, lock_timeout=0.1)


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"0" * 200_000_000, id="200 MB of zeros"), pytest.param(None, id="64 MB that don't compress")],
)
def test_memory_stays_small(mirror: FaultyMirror, cache: Cache, content: bytes | None) -> None:
    body = gzip.compress(content, 1) if content else gzip.compress(os.urandom(64_000_000), 0)
    del content
    mirror.put(PATH, body)
    tracemalloc.start()
    try:
        download = fetch(mirror, cache)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert download.size == len(body)
    assert peak < 8_000_000
